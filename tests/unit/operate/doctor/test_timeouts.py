import pytest

from streamproc.operate.doctor import timeouts
from streamproc.operate.doctor.finding import Verdict
from streamproc.settings import KafkaSettings, Settings, load_settings


def test_the_numbers_of_the_settings_are_filled_in() -> None:
    found = timeouts.check(Settings(), None).look()
    assert found.verdict is Verdict.WELL
    assert found.details == (
        "kafka.transaction_timeout_s 30 + 0.25 s x flow.micro_batches 4 = 31 <= flow.drain_s 60",
        "kafka.transaction_timeout_s 30 + flow.drain_s 60 + 15 s = 105 <= kafka.max_poll_interval_s 300",
        "flow.drain_s 60 <= kafka.max_poll_interval_s 300 x 0.2 = 60",
        "flow.pause_after_s 5 + flow.linger_s 0.05 = 5.05 <= kafka.max_poll_interval_s 300 x 0.8 = 240",
        "flow.drain_s 60 + 10 s = 70 s until SIGKILL; --grace says what is granted",
        "what is given back is worked on by another worker within 78.1 s",
    )


def test_a_link_of_another_protocol_is_left_out() -> None:
    classic = Settings(kafka=KafkaSettings(group_protocol="classic"))
    assert any("session_timeout_s 6 <= " in line for line in timeouts.check(classic, None).look().details)
    assert not any("session_timeout_s" in line for line in timeouts.check(load_settings(), None).look().details)


@pytest.mark.parametrize(("grace_s", "verdict"), [(69.9, Verdict.WRONG), (70.0, Verdict.WELL)])
def test_a_grace_shorter_than_a_stop_is_wrong(grace_s: float, verdict: Verdict) -> None:
    found = timeouts.check(Settings(), grace_s).look()
    assert found.verdict is verdict
    assert bool(found.advice) == (verdict is Verdict.WRONG)
