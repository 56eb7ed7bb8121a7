"""What runs here."""

import platform
from importlib.metadata import PackageNotFoundError, version

from streamproc import __version__
from streamproc.kafka.preflight import librdkafka_version
from streamproc.operate.doctor.check import Check
from streamproc.operate.doctor.finding import Finding, well, wrong

PACKAGES = ("confluent-kafka", "fastavro", "minio", "onnxruntime", "redis", "torch")
"""Whose versions change what happens."""


def check() -> Check:
    """For whoever is asked for help."""
    return Check("versions", "What runs here?", _look, "Install the packages again.")


def _look() -> Finding:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    if missing:
        return wrong(f"not installed: {', '.join(missing)}", "Install streamproc again, with what it depends on.")
    machine = f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}"
    return well(f"streamproc {__version__}, {machine}", ", ".join([f"librdkafka {librdkafka_version()}", *found]))
