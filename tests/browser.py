"""A real browser, told what to do by the pipe of its own debugging protocol."""

import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
_LIKE = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
_PATIENCE_S = 60.0


class BrowserError(Exception):
    """Raised for what the browser refuses, and for an error within the page."""


class Page:
    """One page of a browser."""

    def __init__(self, commands: int, answers: int) -> None:
        self._commands = commands
        self._answers = answers
        self._begun = b""
        self._number = 0
        self._session: str | None = None
        self.complaints: list[str] = []
        """What went wrong in the page: errors, what its policy refused. That a server is gone is no fault of a page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method: str, **parameters: object) -> Mapping[str, Any]:
        """Call a method of the protocol. Raises BrowserError."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        if self._session is not None:
            message["sessionId"] = self._session
        os.write(self._commands, json.dumps(message).encode() + b"\0")
        while True:
            told = self._next()
            if told.get("id") == self._number:
                if "error" in told:
                    raise BrowserError(f"{method}: {told['error']}")
                result: Mapping[str, Any] = told["result"]
                return result
            self._hear(told)

    def look(self, width: int, height: int, zone: str) -> None:
        """Be a screen of this size, in this time zone."""
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setTimezoneOverride", timezoneId=zone)

    def open(self, url: str) -> None:
        """Go there, from nowhere: only another fragment would load nothing."""
        for place in ("about:blank", url):
            self.call("Page.navigate", url=place)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def value(self, expression: str) -> Any:
        """What an expression comes to in the page. Raises BrowserError."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in told:
            raise BrowserError(f"{expression}: {told['exceptionDetails']}")
        return told["result"].get("value")

    def wait(self, expression: str) -> None:
        """Return when an expression is true. Raises BrowserError."""
        until = time.monotonic() + _PATIENCE_S
        while not self.value(expression):
            if time.monotonic() > until:
                raise BrowserError(f"never true: {expression}; the page says {self.value('document.body.innerText')!r}")
            time.sleep(0.05)

    def _hear(self, told: Mapping[str, Any]) -> None:
        method, said = told.get("method"), told.get("params", {})
        if method == "Runtime.exceptionThrown" or (method == "Log.entryAdded" and said["entry"]["source"] != "network"):
            self.complaints.append(json.dumps(said))

    def _next(self) -> Mapping[str, Any]:
        while b"\0" not in self._begun:
            got = os.read(self._answers, 1 << 16)
            if not got:
                raise BrowserError("the browser has ended")
            self._begun += got
        told, _, self._begun = self._begun.partition(b"\0")
        message: Mapping[str, Any] = json.loads(told)
        return message


@contextmanager
def browser(folder: Path) -> Iterator[Page]:
    """A browser with a profile of its own in ``folder``, for as long as the block lasts."""
    assert CHROMIUM is not None
    (for_it, commands), (answers, from_it) = os.pipe(), os.pipe()
    # The protocol wants descriptors 3 and 4, which a shell can give it.
    line = f'exec "$0" "$@" 3<&{for_it} 4>&{from_it}'
    with (folder / "browser.log").open("wb") as log:
        process = subprocess.Popen(
            [
                "/bin/bash",
                "-c",
                line,
                CHROMIUM,
                *_LIKE,
                f"--user-data-dir={folder / 'profile'}",
                "--remote-debugging-pipe",
            ],
            pass_fds=(for_it, from_it),
            stdout=log,
            stderr=log,
        )
    os.close(for_it)
    os.close(from_it)
    try:
        yield Page(commands, answers)
    finally:
        os.close(commands)  # which it ends by
        os.close(answers)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
