import pytest

from streamproc.analytics.retention import check_retention
from streamproc.errors import UsageError
from streamproc.settings import AnalyticsSettings, Settings

DAY_S = 86_400


@pytest.mark.parametrize(("kept_s", "enough"), [(DAY_S + 3600 + 300, True), (DAY_S + 3600 + 299, False)])
def test_rows_are_kept_as_long_as_their_windows(
    monkeypatch: pytest.MonkeyPatch,
    kept_s: int,
    enough: bool,  # noqa: FBT001  # a case, no switch
) -> None:
    settings = Settings(analytics=AnalyticsSettings(retention_s=DAY_S, ahead_s=300))
    kept = {settings.topics.segments: kept_s * 1000}  # the others have no end
    monkeypatch.setattr("streamproc.analytics.retention.ask_retention_ms", lambda *_: kept)
    if enough:
        check_retention(settings)
    else:
        with pytest.raises(UsageError, match=r"for 90300 s .* emotion\.segments keeps them for 90299 s"):
            check_retention(settings)
