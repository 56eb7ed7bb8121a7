"""What is set below ``local``."""

from pathlib import Path

from streamproc.kinds import Count
from streamproc.settings.section import Section

LOCAL_ENV = "local.env"
"""The file in ``local.state_dir`` that leads to the servers of ``streamproc up``."""


class LocalSettings(Section):
    """The servers that ``streamproc up`` starts on this computer."""

    prefer_path: bool = True
    """Use java, mvn, go, redis-server and minio from PATH where they are; False takes the Python packages."""
    state_dir: Path = Path(".streamproc")
    cache_dir: Path | None = None
    """Downloads, models and built servers; None means STREAMPROC_CACHE, else ~/.cache/streamproc."""
    kafka_heap_mb: Count = 512
    """Memory of the local Kafka."""
