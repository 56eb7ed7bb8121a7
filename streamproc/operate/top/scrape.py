"""What one worker exposes at one moment."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

import httpx2
from prometheus_client.parser import text_string_to_metric_families

from streamproc.errors import DependencyDownError
from streamproc.operate.endpoint import ANSWER_S, ask, told

Labels = frozenset[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scrape:
    """Values by name and labels, as of ``at`` (seconds of a monotonic clock)."""

    worker: str
    """HOST:PORT."""
    at: float
    values: Mapping[tuple[str, Labels], float]
    group: str = ""
    """Of consumers; empty where the worker does not say."""

    def of(self, name: str, **labels: str) -> Iterator[tuple[Mapping[str, str], float]]:
        """Labels and value of each series with this name, without its prefix, and with these labels."""
        wanted = set(labels.items())
        for (known, pairs), value in self.values.items():
            if known == f"streamproc_{name}" and wanted <= pairs:
                yield dict(pairs), value


def scrape(worker: str, clock: Callable[[], float]) -> Scrape:
    """Ask a worker. ``clock`` gives seconds that only grow. Raises DependencyDownError."""
    try:
        # Not through a proxy: a worker is addressed as it is.
        with httpx2.Client(timeout=ANSWER_S, trust_env=False) as client:
            text = client.get(f"http://{worker}/metrics").raise_for_status().text
        found = Scrape(worker, clock(), read(text))
    except (httpx2.HTTPError, httpx2.InvalidURL, ValueError) as error:
        raise DependencyDownError(f"worker {worker}", told(error)) from error
    if not any(found.of("ready")):
        raise DependencyDownError(f"worker {worker}", "it is no worker of ours: there is no streamproc_ready")
    return replace(found, group=str(ask("GET", worker, "/status").get("group") or ""))


def read(text: str) -> Mapping[tuple[str, Labels], float]:
    """Prometheus' text format. Raises ValueError."""
    families = text_string_to_metric_families(text)
    samples = (sample for family in families for sample in family.samples)
    return {(sample.name, frozenset(sample.labels.items())): sample.value for sample in samples}
