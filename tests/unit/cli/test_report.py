import pytest
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.errors import ExitCode


@pytest.mark.parametrize("span", ["0h", "0s", "00d"])
def test_a_period_of_no_time_is_wrong_use(span: str) -> None:
    done = CliRunner().invoke(app, ["report", "--last", span])
    assert done.exit_code == ExitCode.USAGE
    assert "--last is a period, as in 1h" in done.stderr
