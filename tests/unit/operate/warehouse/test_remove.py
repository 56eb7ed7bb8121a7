"""What may be taken away; that Connect does it is seen on the real one."""

import pytest

from streamproc.errors import UsageError
from streamproc.operate.warehouse.connectors import connectors, names
from streamproc.operate.warehouse.remove import Other, others, remove_named
from streamproc.operate.warehouse.skipped import SKIPPED
from streamproc.settings import ConnectSettings, Settings, WarehouseSettings
from tests.unit.operate.warehouse.scripted import FAILED, RUNNING, Reply, serving

CONFIGS = {
    one.name: one.config for one in connectors(Settings(connect=ConnectSettings(registry_url="http://registry")))
}
CLUSTER = {
    **CONFIGS,
    "odd-emotion-results": {**CONFIGS["emotion-results"], "collection.name.format": "odd.emotion_results"},
    "emotion-results-trial": CONFIGS["emotion-results"],
    "their-emotion-results": {"connector.class": "theirs", "topics": "t"},
    "theirs": CONFIGS["emotion-results"],
}


class Cluster:
    def __init__(self) -> None:
        self.there = dict(CLUSTER)
        self.state: Reply = (200, RUNNING)

    def __call__(self, method: str, path: str) -> Reply:
        _, _, *rest = path.split("/")
        name = rest[0] if rest else ""
        if not rest:
            return 200, list(self.there)
        if name not in self.there:
            return 404, {"message": "unknown"}
        if method == "DELETE":
            del self.there[name]
            return 204, b""
        return (200, self.there[name]) if rest[1] == "config" else self.state


def test_what_other_settings_have_made_is_told_and_nothing_of_other_programs() -> None:
    with serving(Cluster()) as connect:
        found = others(Settings(connect=connect))
    assert found == [
        Other("emotion-results-trial", "emotion.results", "public.emotion_results", "RUNNING"),
        Other("odd-emotion-results", "emotion.results", "odd.emotion_results", "RUNNING"),
    ]


def test_one_whose_task_failed_is_not_said_to_run() -> None:
    cluster = Cluster()
    cluster.state = (200, FAILED)
    with serving(cluster) as connect:
        assert {one.state for one in others(Settings(connect=connect))} == {"FAILED"}


def test_what_is_named_is_taken_away() -> None:
    cluster = Cluster()
    with serving(cluster) as connect:
        remove_named(Settings(connect=connect), ["odd-emotion-results", "emotion-results-trial"])
    assert CLUSTER.keys() - cluster.there.keys() == {"odd-emotion-results", "emotion-results-trial"}


def test_a_connector_of_these_settings_is_not_taken_away_unasked_and_its_skips_are_told() -> None:
    cluster, places = Cluster(), "emotion.results/0/3 emotion.results/2/0"
    cluster.there["emotion-results"] = {**CONFIGS["emotion-results"], SKIPPED: places}
    with serving(cluster) as connect:
        settings = Settings(connect=connect)
        with pytest.raises(UsageError, match=r"emotion-results is of these settings.* of 2 records that were.*--yes"):
            remove_named(settings, ["odd-emotion-results", "emotion-results"])
        assert cluster.there.keys() == CLUSTER.keys()
        gone = remove_named(settings, ["odd-emotion-results", "emotion-results"], current=True)
    assert " ".join(map(str, gone)) == places
    assert CLUSTER.keys() - cluster.there.keys() == {"odd-emotion-results", "emotion-results"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("nobody", "has no connector nobody; it has dead-letters, emotion-results,"),
        ("theirs", "theirs is no connector of this program"),
        ("their-emotion-results", "is no connector of this program"),
    ],
)
def test_what_is_not_there_or_not_ours_keeps_the_others_too(name: str, said: str) -> None:
    cluster = Cluster()
    with serving(cluster) as connect, pytest.raises(UsageError, match=said):
        remove_named(Settings(connect=connect), ["odd-emotion-results", name])
    assert cluster.there == CLUSTER


def test_connectors_are_called_as_they_are_made() -> None:
    odd = Settings(
        connect=ConnectSettings(registry_url="http://registry"), warehouse=WarehouseSettings(namespace="odd")
    )
    assert list(names(odd)) == [one.name for one in connectors(odd)] == [f"odd-{name}" for name in CONFIGS]
