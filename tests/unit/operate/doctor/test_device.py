import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from streamproc.errors import UsageError
from streamproc.operate.doctor import device, model
from streamproc.operate.doctor.examine import Examined, examine
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import LocalSettings, ModelSettings, Settings

PUBLISHED = "emotion2vec_plus_large"


def found(warm: device.Warm) -> Mapping[str, Examined]:
    settings = Settings(model=warm.model, local=LocalSettings(cache_dir=warm.cache))
    return {one.check: one for one in examine([model.check(settings, os.environ), device.check(warm)])}


def test_a_model_that_is_not_pulled_is_told_once(tmp_path: Path) -> None:
    warm = device.Warm(ModelSettings(name_or_dir=PUBLISHED), tmp_path)
    told = found(warm)
    assert (told["model"].verdict, told["device"].verdict) == (Verdict.WRONG, Verdict.UNKNOWN)
    assert f"streamproc model pull {PUBLISHED}" in told["model"].says
    assert told["device"].says == "there is no such model, as said of it"
    with pytest.raises(UsageError):  # whoever waits for what the network says of itself hears of it
        warm.identity.result(0)


def test_whatever_keeps_it_from_being_looked_for_whoever_waits_hears_of_it(tmp_path: Path) -> None:
    warm = device.Warm(ModelSettings(name_or_dir="~nobody-of-that-name/model"), tmp_path)
    assert found(warm)["device"].verdict is Verdict.WRONG
    with pytest.raises(RuntimeError):
        warm.identity.result(0)


def test_where_the_model_is_an_analyzers_own_affair_the_device_tells_it(tmp_path: Path) -> None:
    told = found(device.Warm(ModelSettings(name_or_dir=PUBLISHED, engine="tests.of:mine"), tmp_path))
    assert (told["model"].verdict, told["device"].verdict) == (Verdict.WELL, Verdict.WRONG)
