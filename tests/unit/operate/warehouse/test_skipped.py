from streamproc.operate.place import Place, parse_place
from streamproc.operate.warehouse.skipped import SKIPPED, skipped, with_skipped

PLACES = [parse_place(text) for text in ("emotion.results/3/17", "emotion.results/10/4", "emotion.results/3/9")]


def test_places_are_kept_in_order_and_each_once() -> None:
    config = with_skipped({"topics": "t"}, [*PLACES, *PLACES])
    assert config == {"topics": "t", SKIPPED: "emotion.results/3/9 emotion.results/3/17 emotion.results/10/4"}
    assert skipped(config) == sorted(PLACES)


def test_without_a_place_nothing_is_kept() -> None:
    assert with_skipped({"topics": "t", SKIPPED: "emotion.results/3/9"}, []) == {"topics": "t"}
    assert skipped({}) == list[Place]()
