"""The transactional slot: which of the group's producers this process is.

The slot has to be the same after a restart, so that the new process fences its predecessor's transaction at once
instead of waiting for it to time out (measured: 6 s against 13 s), and no two live processes may share one.
"""

import fcntl
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from streamproc.errors import UsageError
from streamproc.settings import Settings

MOST_SLOTS = 1024
"""Workers of one host and folder; the search for a free lock ends here."""

MOST_NAME = 200
"""A file's name may have 255 bytes, and the slot's number comes behind."""

_ORDINAL = re.compile(r".+-([0-9]{1,9})")


@dataclass(frozen=True, slots=True)
class Slot:
    """A slot, and the lock that holds it until ``release`` or the end of the process."""

    number: int
    descriptor: int | None = None

    def release(self) -> None:
        """Let another process have it."""
        if self.descriptor is not None:
            os.close(self.descriptor)


def claim_slot(settings: Settings, hostname: str, environ: Mapping[str, str], folder: Path) -> Slot:
    """Take the slot of the settings, else a StatefulSet's ordinal, else the lowest free file lock.

    The host name counts only inside Kubernetes, which sets ``KUBERNETES_SERVICE_HOST``: elsewhere ``web-3`` or
    ``ip-10-0-0-7`` is just a name, and two workers of that host would fence each other for ever. File locks in
    ``folder`` tell the workers of one user and host apart; beyond it the ordinal or the setting keeps slots distinct.

    Raises UsageError when all locks are taken, or the folder cannot be written or is somebody else's.
    """
    if settings.kafka.slot is not None:
        return Slot(settings.kafka.slot)
    if "KUBERNETES_SERVICE_HOST" in environ and (ordinal := _ORDINAL.fullmatch(hostname)):
        return Slot(int(ordinal[1]))
    # Two clusters may use the same prefix.
    name = quote(f"{settings.kafka.transactional_prefix}@{settings.kafka.bootstrap_servers}", safe="")[:MOST_NAME]
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if folder.is_symlink() or folder.stat().st_uid != os.getuid():
            raise UsageError(f"{folder} is somebody else's; set STREAMPROC_KAFKA__SLOT")
        return _lowest_free(folder, name)
    except OSError as error:
        raise UsageError(f"no slot can be locked in {folder}: {error}; set STREAMPROC_KAFKA__SLOT") from error


def _lowest_free(folder: Path, prefix: str) -> Slot:
    for number in range(MOST_SLOTS):
        descriptor = os.open(folder / f"{prefix}-{number}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
        else:
            return Slot(number, descriptor)
    raise UsageError(f"all {MOST_SLOTS} slots in {folder} are taken; set STREAMPROC_KAFKA__SLOT")
