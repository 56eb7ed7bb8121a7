import pytest

from streamproc.errors import UsageError
from streamproc.operate.dlq.kept import find_forgotten
from streamproc.records.topics import topic_specs
from streamproc.settings import TopicSettings

TOPICS = TopicSettings()
NOTES, LETTERS = TOPICS.replays, TOPICS.dead_letters


@pytest.mark.parametrize("kept", [{}, {LETTERS: 5}, {NOTES: 5, LETTERS: 5}, {NOTES: 6, LETTERS: 5}])
def test_notes_that_outlive_their_letters_are_enough(kept: dict[str, int]) -> None:
    find_forgotten(TOPICS, kept)


@pytest.mark.parametrize("kept", [{NOTES: 4, LETTERS: 5}, {NOTES: 4}])
def test_notes_that_are_gone_before_their_letters_are_refused(kept: dict[str, int]) -> None:
    with pytest.raises(UsageError, match=r"would go back twice: raise its retention\.ms \(4\)"):
        find_forgotten(TOPICS, kept)


def test_our_own_topics_are_kept_so() -> None:
    kept = {spec.name: int(spec.config["retention.ms"]) for spec in topic_specs(TOPICS)}
    assert 0 < kept[LETTERS] < kept[NOTES]
    find_forgotten(TOPICS, kept)
