"""One frozen tree of settings, from ``STREAMPROC_<SECTION>__<NAME>`` variables, ``.streamproc/local.env`` or TOML.

Precedence, highest first: arguments, environment, ``local.env`` of ``local.state_dir`` (written by ``streamproc up``),
the TOML file named by ``STREAMPROC_CONFIG``, defaults. Impossible combinations are refused here, once, with the reason.
"""

from streamproc.settings.address import without_credentials
from streamproc.settings.analytics import AnalyticsSettings
from streamproc.settings.audio import AudioSettings
from streamproc.settings.brake import BrakeSettings
from streamproc.settings.connect import ConnectSettings
from streamproc.settings.dedupe import DedupeSettings
from streamproc.settings.flow import FlowSettings
from streamproc.settings.http import HttpSettings
from streamproc.settings.kafka import KafkaSettings
from streamproc.settings.load import load_settings, users_settings
from streamproc.settings.local import LOCAL_ENV, LocalSettings
from streamproc.settings.log import LogSettings
from streamproc.settings.model import ModelSettings
from streamproc.settings.prometheus import PrometheusSettings
from streamproc.settings.redis import RedisSettings
from streamproc.settings.registry import RegistrySettings
from streamproc.settings.retry import RetrySettings
from streamproc.settings.settings import Settings
from streamproc.settings.storage import StorageSettings
from streamproc.settings.takeover import ASSIGNMENT_S, HEARTBEATS, OVERDUE_S, handover_s, heartbeat_s, takeover_s
from streamproc.settings.topics import TopicSettings
from streamproc.settings.trace import TraceSettings
from streamproc.settings.warehouse import WarehouseSettings
from streamproc.settings.worker import WorkerSettings

__all__ = [
    "ASSIGNMENT_S",
    "HEARTBEATS",
    "LOCAL_ENV",
    "OVERDUE_S",
    "AnalyticsSettings",
    "AudioSettings",
    "BrakeSettings",
    "ConnectSettings",
    "DedupeSettings",
    "FlowSettings",
    "HttpSettings",
    "KafkaSettings",
    "LocalSettings",
    "LogSettings",
    "ModelSettings",
    "PrometheusSettings",
    "RedisSettings",
    "RegistrySettings",
    "RetrySettings",
    "Settings",
    "StorageSettings",
    "TopicSettings",
    "TraceSettings",
    "WarehouseSettings",
    "WorkerSettings",
    "handover_s",
    "heartbeat_s",
    "load_settings",
    "takeover_s",
    "users_settings",
    "without_credentials",
]
