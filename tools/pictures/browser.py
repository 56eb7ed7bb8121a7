"""A browser without a window: Chromium, from PATH."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome")
WITHIN_S = 120


class Browser:
    """Takes pictures of files. Ends with 2 where there is none."""

    def __init__(self) -> None:
        found = next(filter(None, map(shutil.which, NAMES)), None)
        if found is None:
            print(f"none of {', '.join(NAMES)} is on PATH", file=sys.stderr)
            raise SystemExit(2)
        self._program = found

    def picture(self, file: Path, to: Path, width: int, height: int) -> None:
        """Show a file in a window of this size (pixels), and write what is seen as PNG."""
        alone = ["--no-sandbox"] if os.geteuid() == 0 else []  # its sandbox refuses root, and the page is our own
        seen = ["--hide-scrollbars", f"--window-size={width},{height}", f"--screenshot={to.absolute()}"]
        home = f"--user-data-dir={file.parent / 'browser'}"
        command = [self._program, "--headless", "--disable-gpu", *alone, home, *seen, file.absolute().as_uri()]
        subprocess.run(command, check=True, capture_output=True, timeout=WITHIN_S)
