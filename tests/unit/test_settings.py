from streamproc.settings import TopicSettings


def test_a_copy_of_the_topics_has_lanes_of_its_own() -> None:
    topics = TopicSettings()
    assert topics.lanes == ("audio.recordings.retry.10s", "audio.recordings.retry.5m")
    copy = topics.model_copy(update={"recordings": "other"})
    assert copy.lanes == ("other.retry.10s", "other.retry.5m")
    assert copy.dead_letters == "other.dlq"
