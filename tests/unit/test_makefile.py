"""What the Makefile says where something is missing that it cannot bring."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKE = shutil.which("make")


@pytest.mark.skipif(MAKE is None, reason="make is not here")
@pytest.mark.parametrize("lacks", ["ensurepip", "venv"])
def test_a_python_without_venv_is_told_with_the_package_that_brings_it(lacks: str, tmp_path: Path) -> None:
    (tmp_path / f"{lacks}.py").write_text("raise ImportError")
    venv = tmp_path / "made"
    done = subprocess.run(
        [str(MAKE), f"PYTHON={sys.executable}", f"VENV={venv}", f"{venv}/uv.done"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert "install python3-venv" in done.stderr
    assert "Traceback" not in done.stderr
    assert not venv.exists()
