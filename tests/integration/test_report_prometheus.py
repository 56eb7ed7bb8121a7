"""What a report says of a real Prometheus that lets nobody in, knows no workers, is none, or is away."""

from collections.abc import Iterator

import pytest
from pydantic import SecretStr
from typer.testing import CliRunner

from streamproc.cli.app import app
from streamproc.errors import DependencyDownError, ExitCode, UsageError
from streamproc.operate.report import prometheus
from streamproc.operate.report.scraped import report
from streamproc.settings import PrometheusSettings, Settings
from tests.prometheus import scraping

NOW_MS = 1_800_000_000_000
HOUR_MS = 3_600_000
NAME, PASSWORD = "admin", "test"
HASH = "$2b$12$hNf2lSsxfm0.i4a.1kVpSOVyBCfIB51VRjgBUyv6kdnyTlgWj81Ay"  # of the password, from Prometheus' documentation
RIGHT = PrometheusSettings(username=NAME, password=SecretStr(PASSWORD))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A Prometheus with a password, which scrapes itself."""
    folder = tmp_path_factory.mktemp("prometheus")
    (folder / "rules.yml").write_text("groups: []\n")
    with scraping("127.0.0.1:1", folder / "rules.yml", folder, {NAME: HASH}) as url:
        yield url


def unheard(_name: str, _text: str, _done: int, _total: int) -> None:
    """Progress that nobody watches."""


def look(settings: PrometheusSettings, url: str, job: str | None = None, span_ms: int = HOUR_MS) -> None:
    report(settings, url, job, (NOW_MS - span_ms, NOW_MS), unheard)


def test_who_has_no_password_is_told_which_settings_to_give(guarded: str) -> None:
    with pytest.raises(UsageError, match=r"answers 401: set prometheus\.username and prometheus\.password"):
        look(PrometheusSettings(), guarded)


def test_a_wrong_password_is_called_that_and_not_shown(guarded: str) -> None:
    wrong = PrometheusSettings(username=NAME, password=SecretStr("wr0ng"))
    with pytest.raises(UsageError, match=r"does not take prometheus\.username") as raised:
        look(wrong, guarded)
    assert "wr0ng" not in str(raised.value)


def test_one_that_scraped_no_workers_makes_no_report_of_zeros(guarded: str) -> None:
    with pytest.raises(UsageError, match=r"saw no worker from 2027-01-15 06:00:00 to 2027-01-15 08:00:00 UTC: does it"):
        look(RIGHT, guarded)
    with pytest.raises(UsageError, match="saw no worker of job 'a\"b"):
        look(RIGHT, guarded, job='a"b\\')


def test_a_password_in_the_address_is_taken_and_not_shown(guarded: str) -> None:
    with pytest.raises(UsageError, match="saw no worker") as raised:
        look(PrometheusSettings(), guarded.replace("//", f"//{NAME}:{PASSWORD}@"))
    assert f"{NAME}:{PASSWORD}" not in str(raised.value)


def test_an_answer_that_is_too_large_is_not_kept(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prometheus, "MOST_BYTES", 16)
    with pytest.raises(UsageError, match="gives more than 16 bytes"):
        look(RIGHT, guarded)


def test_another_path_is_no_prometheus(guarded: str) -> None:
    with pytest.raises(UsageError, match=r"answers 404 at .*/elsewhere .* is not Prometheus"):
        look(RIGHT, f"{guarded}/elsewhere")


def test_another_server_is_no_prometheus(servers: Settings) -> None:
    with pytest.raises(UsageError, match=r"is not Prometheus|answers 403"):
        look(RIGHT, servers.storage.endpoint)


def test_one_that_is_away_is_a_server_that_does_not_answer() -> None:
    with pytest.raises(DependencyDownError, match=r"prometheus does not answer: http://127\.0\.0\.1:1 "):
        look(PrometheusSettings(), "http://127.0.0.1:1")


@pytest.mark.parametrize("url", ["127.0.0.1:9090", "ftp://there", "http://", "prometheus"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match=r"is not http\(s\)://host\[:port\]"):
        look(PrometheusSettings(), url)


def test_the_command_ends_with_the_code_of_what_is_wrong(guarded: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamproc.cli.report.load_settings", lambda: Settings(prometheus=RIGHT))
    assert CliRunner().invoke(app, ["report", "--prometheus", guarded]).exit_code == ExitCode.USAGE
    away = CliRunner().invoke(app, ["report", "--prometheus", "http://127.0.0.1:1"])
    assert away.exit_code == ExitCode.DEPENDENCY_DOWN
    assert CliRunner().invoke(app, ["report", "--job", "streamproc"]).exit_code == ExitCode.USAGE
