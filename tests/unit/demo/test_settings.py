from streamproc.demo.run import demo_settings
from streamproc.settings import Settings


def settings(**sections: object) -> Settings:
    return Settings(**sections)  # type: ignore[arg-type]


def test_the_demo_meets_nothing_of_yours() -> None:
    yours = settings(kafka={"group": "g"})
    demos = demo_settings(yours)
    assert not {*yours.topics.model_dump().values()} & {
        demos.topics.recordings,
        demos.topics.results,
        demos.topics.segments,
        demos.topics.ledger,
    }
    assert demos.topics.lanes == ("demo.recordings.retry.10s", "demo.recordings.retry.5m")
    assert (demos.kafka.group, demos.kafka.transactional_prefix) == ("streamproc-demo", "streamproc-demo")


def test_lanes_follow_their_topic_even_when_they_were_asked_for_before() -> None:
    yours = settings()
    assert yours.topics.lanes[0] == "audio.recordings.retry.10s"
    assert demo_settings(yours).topics.lanes[0] == "demo.recordings.retry.10s"
