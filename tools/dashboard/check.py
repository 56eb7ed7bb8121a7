"""Hold the dashboard against Grafana's own types, which npm has: ``python -m tools.dashboard.check``.

A wrong type, an unknown key or a null that does not belong is a compiler's error.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from tools.dashboard.grafana import text
from tools.dashboard.rows import ROWS

PACKAGES = {"@grafana/schema": "13.2.3", "typescript": "5.9.3"}
STRICT = ("--noEmit", "--skipLibCheck", "--strict", "--moduleResolution", "bundler", "--module", "esnext")
WITHIN_S = 300
MODE = '"mode": "absolute"'
HEAD = """import { type Dashboard, ThresholdsMode } from '@grafana/schema';
const absolute: `${ThresholdsMode}` = "absolute";
export { absolute };
"""
"""An enum of TypeScript takes no literal, however equal: it is put in place of the one in the JSON, and shown equal."""


def program(name: str) -> str:
    """Its path. Ends with 2 where it is not there."""
    found = shutil.which(name)
    if found is None:
        print(f"{name} is not on PATH: install Node.js", file=sys.stderr)
        raise SystemExit(2)
    return found


def main() -> int:
    """Exit status 0 when the compiler has nothing to say."""
    npm, node = program("npm"), program("node")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "package.json").write_text(json.dumps({"private": True, "devDependencies": PACKAGES}))
        typed = text(ROWS).replace(MODE, '"mode": ThresholdsMode.Absolute')
        (folder / "dashboard.ts").write_text(f"{HEAD}export const dashboard: Dashboard = {typed};\n")
        install = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts"]
        subprocess.run(install, cwd=folder, check=True, timeout=WITHIN_S)
        compiler = [node, "node_modules/typescript/bin/tsc", *STRICT, "--target", "es2020", "dashboard.ts"]
        return subprocess.run(compiler, cwd=folder, check=False, timeout=WITHIN_S).returncode


if __name__ == "__main__":
    sys.exit(main())
