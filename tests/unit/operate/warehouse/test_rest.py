"""What Connect's answers mean; which it gives is seen on the real one."""

import pytest

from streamproc.errors import DependencyDownError, DependencyRefusesError, UsageError
from streamproc.operate.warehouse.apply import MISSING, look_by
from streamproc.operate.warehouse.rest import State, open_connect
from streamproc.settings import ConnectSettings, Settings
from tests.unit.operate.warehouse.scripted import FAILED, NO_LOGIN, SHUT, TRACE, answering

SETTLING = (500, {"error_code": 500, "message": "Request cannot be completed because a rebalance is expected"})


@pytest.mark.parametrize("first", [SETTLING, (409, {"message": "rebalancing"}), (503, {"message": "starting"})])
def test_workers_that_settle_are_asked_again(first: tuple[int, object]) -> None:
    with answering(first, (200, {"topics": "t"})) as settings, open_connect(settings) as connect:
        assert connect.config("one") == {"topics": "t"}


def test_workers_that_never_settle_are_away() -> None:
    with answering(SETTLING) as settings:
        hurried = settings.model_copy(update={"timeout_s": 0.6})
        with open_connect(hurried) as connect, pytest.raises(DependencyDownError, match=r"rebalance.*"):
            connect.config("one")


def test_a_refused_configuration_is_wrong_use_with_what_connect_said() -> None:
    with (
        answering((400, {"message": "topics is missing"})) as settings,
        open_connect(settings) as connect,
        pytest.raises(UsageError, match="topics is missing"),
    ):
        connect.put("one", {})


def test_a_failed_task_is_told_by_what_connect_says_and_by_the_cause() -> None:
    with answering((200, FAILED)) as settings, open_connect(settings) as connect:
        state = connect.state("one")
    assert state is not None
    assert state.tasks == ("FAILED",)
    assert state.problem == f"{TRACE.splitlines()[0].removesuffix('.')}: java.net.SocketException: Connection reset"


def test_a_trace_without_a_cause_is_told_by_its_first_line() -> None:
    task = {"id": 0, "state": "FAILED", "trace": "java.lang.OutOfMemoryError\n\tat somewhere\n"}
    with answering((200, FAILED | {"tasks": [task]})) as settings, open_connect(settings) as connect:
        assert connect.state("one") == State("RUNNING", ("FAILED",), "java.lang.OutOfMemoryError")


def test_a_cause_that_was_said_already_is_not_said_again() -> None:
    with answering((200, SHUT)) as settings, open_connect(settings) as connect:
        state = connect.state("one")
    assert state is not None
    assert state.problem == NO_LOGIN.splitlines()[0]


@pytest.mark.parametrize(
    "body", [b"<html>welcome</html>", b"[]", b"{}", b'{"connector": "RUNNING", "tasks": [1]}', b"7"]
)
def test_an_answer_that_is_not_connects_is_a_dependency_that_is_away(body: bytes) -> None:
    with (
        answering((200, body)) as settings,
        open_connect(settings) as connect,
        pytest.raises(DependencyDownError, match="not Kafka Connect's"),
    ):
        connect.state("one")


def test_places_are_what_is_read_next_of_each_partition() -> None:
    offsets = [
        {"partition": {"kafka_topic": "t", "kafka_partition": number}, "offset": {"kafka_offset": 5 * number}}
        for number in (2, 1)
    ]
    with answering((200, {"offsets": offsets})) as settings, open_connect(settings) as connect:
        assert [str(one) for one in connect.places("one")] == ["t/1/5", "t/2/10"]


def test_a_connector_that_is_not_there_has_no_state_and_no_configuration() -> None:
    with answering((404, {"message": "no"})) as settings, open_connect(settings) as connect:
        assert connect.state("one") is None
        assert connect.config("one") is None


def test_nobody_at_the_address_is_a_dependency_that_is_away() -> None:
    nowhere = ConnectSettings(url="http://127.0.0.1:1", timeout_s=1)
    with open_connect(nowhere) as connect, pytest.raises(DependencyDownError, match=r"connect\.url"):
        connect.state("one")


def test_where_no_connector_is_there_it_is_asked_whether_this_is_kafka_connect() -> None:
    known = Settings(connect=ConnectSettings(registry_url="http://registry/apis/registry/v2"))
    gone = (404, {"message": "no such page"})
    with (
        answering(gone) as settings,
        open_connect(settings) as connect,
        pytest.raises(DependencyRefusesError, match="no such page"),
    ):
        look_by(connect, known)
    with answering(gone, gone, gone, (200, {"kafka_cluster_id": "c"})) as settings, open_connect(settings) as connect:
        assert {one.state for one in look_by(connect, known)} == {MISSING}


@pytest.mark.parametrize("url", ["http://[::1", "http://connect:port"])
def test_what_is_no_address_is_wrong_use(url: str) -> None:
    with pytest.raises(UsageError, match=r"connect\.url"), open_connect(ConnectSettings(url=url)):
        pass


def test_what_answers_otherwise_is_not_said_to_be_silent() -> None:
    with (
        answering((404, {"error_code": 404, "message": "Unknown connector: one"})) as settings,
        open_connect(settings) as connect,
        pytest.raises(DependencyRefusesError, match=r"answers, and refuses: .*Unknown connector: one"),
    ):
        connect.restart_failed("one")


def test_a_page_that_another_server_has_not_is_no_connector_that_is_missing() -> None:
    with (
        answering((404, b"<html>not found</html>")) as settings,
        open_connect(settings) as connect,
        pytest.raises(DependencyRefusesError, match="404 to GET /connectors/one/status: <html>not found"),
    ):
        connect.state("one")
