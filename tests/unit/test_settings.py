import os
import re
from pathlib import Path

import pytest
from pydantic import BaseModel, ValidationError

from streamproc.dedupe.deadline import Deadline, connect
from streamproc.errors import UsageError
from streamproc.glance import glance
from streamproc.settings import AnalyticsSettings, FlowSettings, Settings, TopicSettings, load_settings, users_settings


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the settings come from."""
    file = tmp_path / "streamproc.toml"
    monkeypatch.setenv("STREAMPROC_CONFIG", str(file))
    return file


@pytest.fixture(autouse=True)
def _nothing_outranks_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the ``local.env`` of the working folder, nor where this machine has its programs from."""
    for name in [name for name in os.environ if name.startswith("STREAMPROC_LOCAL__")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", str(tmp_path / "state"))


def test_a_copy_of_the_topics_has_lanes_of_its_own() -> None:
    topics = TopicSettings()
    assert topics.lanes == ("audio.recordings.retry.10s", "audio.recordings.retry.5m")
    copy = topics.model_copy(update={"recordings": "other"})
    assert copy.lanes == ("other.retry.10s", "other.retry.5m")
    assert copy.dead_letters == "other.dlq"


def test_a_config_that_is_not_there_is_told(toml: Path) -> None:
    with pytest.raises(UsageError, match=f"STREAMPROC_CONFIG names {toml}, which is no file"):
        load_settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[kafak]\ngroup = "canary"\n', "kafak.group ({}, line 2): unknown section; did you mean kafka.group?"),
        ("[kafak]\n", "kafak ({}, line 1): unknown section; did you mean kafka?"),
        ("\nkafak = 1\n", "kafak ({}, line 2): unknown section; did you mean kafka?"),
        ("[xyz]\nttl_s = 1\n", "xyz.ttl_s ({}, line 2): unknown section; did you mean redis.ttl_s?"),
        ("[xyz]\nurl = 1\n", "xyz.url ({}, line 2): unknown section; the sections are kafka, registry, redis, "),
        ("[kafka]\nttl_s = 1\n", "kafka.ttl_s ({}, line 2): unknown setting; did you mean redis.ttl_s?"),
        ("[kafka]\nqqq = 1\n", "kafka.qqq ({}, line 2): unknown setting"),
    ],
)
def test_a_name_that_nothing_has_is_told_with_its_line_and_what_was_meant(toml: Path, text: str, told: str) -> None:
    toml.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith("  " + told.format(toml))
    assert "canary" not in line


def test_one_fault_hides_no_other(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text("[xyz]\na = 1\n[flow]\ndrain_s = 90\nlinger = 1\nproduce_again = 0\n[kafka]\nslot = -1\n")
    monkeypatch.setenv("STREAMPROC_XYZ__B", "1")
    monkeypatch.setenv("STREAMPROC_FLOW_LINGER_S", "1")
    monkeypatch.setenv("STREAMPROC_TOPICS__RESULTS", "audio.recordings.dlq")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert [re.split(r"[ :=]", line.strip())[0] for line in str(caught.value).splitlines()[1:]] == [
        "STREAMPROC_FLOW_LINGER_S",
        "xyz.a",
        "xyz.b",
        "kafka.slot",
        "flow.produce_again",
        "flow.linger",
        "flow.drain_s",
        "all",
        "'audio.recordings.dlq'",
    ]


def test_a_line_is_where_a_setting_begins_whatever_stands_around_it(toml: Path) -> None:
    toml.write_text(
        '# drain_s = 1\n[kafka]\ngroup = """\n[flow]\ndrain_s = 2\n"""\n\n[flow] # drain_s = 3\n'
        "linger_s = [\n  1,\n]\nmicro_batches = 0"
    )
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert re.findall(r"(\w+)=\S+.* \(.*, line (\d+)\)", str(caught.value)) == [
        ("linger_s", "9"),
        ("micro_batches", "12"),
    ]


def test_sections_of_the_file_are_read_below_the_environment(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('[kafka]\ngroup = "calls"\n[topics]\npartitions = 3\n')
    monkeypatch.setenv("STREAMPROC_TOPICS__PARTITIONS", "4")
    monkeypatch.setenv("STREAMPROC_PORT", "tcp://10.0.0.1:80")  # what Kubernetes sets for a service named streamproc
    settings = load_settings()
    assert (settings.kafka.group, settings.topics.partitions) == ("calls", 4)


@pytest.mark.parametrize(
    ("variable", "setting", "value"),
    [
        ("STREAMPROC_STORAGE__ALLOWED_BUCKETS", "storage.allowed_buckets", "planted,mine"),
        ("STREAMPROC_STORAGE__ALLOWED_BUCKETS", "storage.allowed_buckets", '"mine"'),
        ("STREAMPROC_RETRY__DELAYS_S", "retry.delays_s", "10,300"),
    ],
)
def test_a_list_that_is_none_is_told_with_its_variable_and_its_form(
    variable: str, setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match="in a variable as a JSON list") as caught:
        load_settings()
    assert f"{setting}={value!r} ({variable})" in str(caught.value)


@pytest.mark.parametrize(
    "value", ["[10]", "[10, 300, 900]", "[300, 10]", "[10, 10]", "[0, 10]", "[10, 86401]", '["x", 1]']
)
def test_delays_that_cannot_be_are_told_with_how_many_they_are_in_which_order(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STREAMPROC_RETRY__DELAYS_S", value)
    with pytest.raises(UsageError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()[1:]
    assert line == (
        f"  retry.delays_s={value!r} (STREAMPROC_RETRY__DELAYS_S): has to be a list of two numbers of seconds, the "
        "second larger than the first, each over 0 and at most 86400, as in [10, 300]; in a variable as a JSON list"
    )


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAMPROC_REDIS__TTL_S", "redis://me:canary@redis:6379"),
        ("STREAMPROC_KAFKA__GROUP_PROTOCOL", "https://me:canary@registry"),
    ],
)
def test_an_address_with_a_password_in_a_wrong_place_is_not_repeated(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match=variable) as caught:
        load_settings()
    assert "canary" not in str(caught.value)


def test_a_secret_that_is_none_is_not_repeated(toml: Path) -> None:
    toml.write_text("[kafka]\nsasl_username = 'me'\nsasl_password = [1234567]\n")
    with pytest.raises(UsageError, match=r"kafka\.sasl_password \(.*, line 3\)") as caught:
        load_settings()
    assert "1234567" not in str(caught.value)


def test_a_value_is_not_repeated_endlessly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_FLOW__DRAIN_S", "x" * 10_000)
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert len(str(caught.value)) < 300


def test_lists_are_read_from_their_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_STORAGE__ALLOWED_BUCKETS", '["a", "b"]')
    monkeypatch.setenv("STREAMPROC_RETRY__DELAYS_S", "[1, 2.5]")
    settings = load_settings()
    assert (settings.storage.allowed_buckets, settings.retry.delays_s) == (("a", "b"), (1, 2.5))


def test_a_section_that_is_text_is_told_without_the_text(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_KAFKA", "canary")
    with pytest.raises(UsageError, match=r"kafka \(STREAMPROC_KAFKA\)") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize("text", [b'[storage]\nsecret_key = "canary', b"secret_key = canary\n", b"\xff canary"])
def test_a_config_that_is_not_toml_is_told_without_its_text(toml: Path, text: bytes) -> None:
    toml.write_bytes(text)
    with pytest.raises(UsageError, match=r"streamproc\.toml is not TOML") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


def test_the_local_servers_of_the_state_folder_are_found_wherever_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "local.env").write_text(
        "STREAMPROC_REGISTRY__URL=http://127.0.0.1:20001\nSTREAMPROC_KAFKA__BOOTSTRAP_SERVERS=127.0.0.1:20002\n"
    )
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", str(tmp_path))
    monkeypatch.setenv("STREAMPROC_REGISTRY__URL", "http://registry:8081")
    settings = load_settings()
    assert (settings.registry.url, settings.kafka.bootstrap_servers) == ("http://registry:8081", "127.0.0.1:20002")
    users = users_settings()
    assert (users.registry.model_fields_set, users.kafka.model_fields_set) == ({"url"}, set())


def test_settings_that_are_made_in_code_read_nothing_from_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_KAFKA__GROUP", "theirs")
    assert Settings().kafka.group == "streamproc-emotion"
    with pytest.raises(ValidationError, match="all of it holds together with"):
        Settings(flow=FlowSettings(drain_s=10))


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        (
            "STREAMPROC_FLOWW__DRAIN_S",
            "floww.drain_s (STREAMPROC_FLOWW__DRAIN_S): unknown section; did you mean STREAMPROC_FLOW__DRAIN_S?",
        ),
        (
            "streamproc_floww__x",
            "floww.x (streamproc_floww__x): unknown section; did you mean STREAMPROC_FLOW__...?",
        ),
        (
            "STREAMPROC__FLOW__DRAIN_S",
            "_flow.drain_s (STREAMPROC__FLOW__DRAIN_S): unknown section; did you mean STREAMPROC_FLOW__DRAIN_S?",
        ),
        ("STREAMPROC_NONSENSE__X", "nonsense.x (STREAMPROC_NONSENSE__X): unknown section; the sections are kafka, "),
        ("STREAMPROC___X", ".x (STREAMPROC___X): unknown section; the sections are kafka, registry, "),
        (
            "STREAMPROC_FLOW__DRIAN_S",
            "flow.drian_s (STREAMPROC_FLOW__DRIAN_S): unknown setting; did you mean STREAMPROC_FLOW__DRAIN_S?",
        ),
        ("STREAMPROC_FLOW__QQQ", "flow.qqq (STREAMPROC_FLOW__QQQ): unknown setting"),
        ("STREAMPROC_FLOW_DRAIN_S", "STREAMPROC_FLOW_DRAIN_S: no setting; did you mean STREAMPROC_FLOW__DRAIN_S?"),
        ("Streamproc_Flow_Drain_S", "Streamproc_Flow_Drain_S: no setting; did you mean STREAMPROC_FLOW__DRAIN_S?"),
        (
            "STREAMPROC_KAFKA_BOOTSTRAP_SERVER",
            "STREAMPROC_KAFKA_BOOTSTRAP_SERVER: no setting; did you mean STREAMPROC_KAFKA__",
        ),
        ("STREAMPROC_CONFG", "STREAMPROC_CONFG: no setting; did you mean STREAMPROC_CONFIG?"),
    ],
)
def test_a_variable_that_is_no_setting_is_told_without_its_value(
    variable: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "canary")
    with pytest.raises(UsageError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith(f"  {told}")
    assert "canary" not in line


@pytest.mark.parametrize("variable", ["STREAMPROC_HOME", "STREAMPROC_IMAGE_TAG"])
def test_a_variable_that_only_begins_like_ours_is_a_warning(
    variable: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(variable, "canary")
    load_settings()
    assert caplog.messages == [f"ignored: {variable}. Settings are STREAMPROC_<SECTION>__<NAME>"]


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("STREAMPROC_PORT", "tcp://10.0.0.1:80"),
        ("STREAMPROC_PORT_9464_TCP_ADDR", "10.0.0.1"),
        ("STREAMPROC_SERVICE_HOST", "10.0.0.1"),
        ("STREAMPROC_SERVICE_PORT_METRICS", "9464"),
        ("STREAMPROC_HTTP_PORT", "tcp://10.0.0.1:80"),  # of a service named streamproc-http
        ("STREAMPROC_CACHE", "cache"),
    ],
)
def test_what_kubernetes_tells_of_a_service_is_left_alone(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv(variable, value)
    load_settings()
    assert caplog.messages == []


def test_the_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    without = load_settings()
    monkeypatch.setenv("STREAMPROC_PORT_9464_TCP_ADDR", "10.0.0.1")
    monkeypatch.setenv("OTHER_FLOWW__X", "1")
    assert load_settings() == without


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[flow]\ndrain_s = -3", "flow.drain_s=-3 ({}, line 2): has to be a number over 0"),
        ("[flow]\ndrain_s = inf", "flow.drain_s=inf ({}, line 2): has to be a number over 0"),
        (
            "flow = 3",
            "flow ({}, line 1): this is a section: set its settings, as in STREAMPROC_FLOW__MICRO_BATCH_RECORDS",
        ),
        ('[storage]\nallowed_buckets = "a"', "storage.allowed_buckets='a' ({}, line 2): has to be a list of names"),
        ("[retry]\ndelays_s = [10, 0]", "retry.delays_s=[10, 0] ({}, line 2): has to be a list of two numbers"),
        (
            '[analytics]\nattributes = ["agent", "agent"]',
            "analytics.attributes=['agent', 'agent'] ({}, line 2): has to be a list of tenant, agent, queue",
        ),
        ("[kafka]\nmax_poll_interval_s = true", "kafka.max_poll_interval_s=True ({}, line 2): has to be a number"),
        ('[kafka]\ngroup = ""', "kafka.group='' ({}, line 2): has to be text that is not empty"),
        ("[kafka]\ngroup = 5", "kafka.group=5 ({}, line 2): has to be text that is not empty"),
        ('[kafka]\nslot = "a"', "kafka.slot='a' ({}, line 2): has to be a whole number, at least 0"),
        ('[kafka]\ndelivery = "twice"', "kafka.delivery='twice' ({}, line 2): has to be exactly_once or at_least_once"),
        ("[storage]\nregion = 5", "storage.region=5 ({}, line 2): has to be text"),
        ('[local]\nprefer_path = "x"', "local.prefer_path='x' ({}, line 2): has to be true or false"),
        ("[local]\ncache_dir = 5", "local.cache_dir=5 ({}, line 2): has to be a path"),
        ("[http]\nport = 65536", "http.port=65536 ({}, line 2): has to be a port: a whole number from 0 to 65535"),
        ('[topics]\nrecordings = "bad topic!"', "topics.recordings='bad topic!' ({}, line 2): has to be 1 to 230 of "),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_the_line_the_value_and_what_it_has_to_be(
    toml: Path, text: str, told: str
) -> None:
    toml.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith("  " + told.format(toml))


def test_a_slot_may_be_none_on_purpose() -> None:
    assert load_settings(kafka={"slot": None}).kafka.slot is None


def test_every_setting_says_what_it_takes(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pydantic's own words are for programmers."""
    names = [(section, name) for section, field in Settings.model_fields.items() for name in names_of(field.annotation)]
    monkeypatch.delenv("STREAMPROC_LOCAL__STATE_DIR")
    monkeypatch.chdir(toml.parent)
    for section, name in names:
        toml.write_text(f"[{section}]\n{name} = {{ no = 'value' }}")
        with pytest.raises(UsageError) as caught:
            load_settings()
        assert "has to be " in str(caught.value), (section, name)


def names_of(kind: object) -> tuple[str, ...]:
    assert isinstance(kind, type)
    assert issubclass(kind, BaseModel)
    return tuple(kind.model_fields)


def test_links_are_told_with_the_places_that_their_values_come_from(
    toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text("[kafka]\ntransaction_timeout_s = 40\n")
    (tmp_path / "local.env").write_text("STREAMPROC_FLOW__MICRO_BATCHES=8\n")
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", str(tmp_path))
    monkeypatch.setenv("STREAMPROC_FLOW__DRAIN_S", "20")
    with pytest.raises(UsageError) as caught:
        load_settings()
    link, cure = str(caught.value).splitlines()[1:]
    assert link.startswith(
        f"  kafka.transaction_timeout_s=40 ({toml}, line 2) + 0.25 s for each of flow.micro_batches=8 "
        f"(STREAMPROC_FLOW__MICRO_BATCHES in {tmp_path / 'local.env'}) make 42, over flow.drain_s=20 "
        "(STREAMPROC_FLOW__DRAIN_S): a stop or a revoke"
    )
    assert cure == "  all of it holds together with flow.drain_s=42 instead of 20"


def test_a_variable_that_outranks_the_file_is_told_and_not_the_file(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text("[flow]\ndrain_s = 60\nlinger_s = 0")
    monkeypatch.setenv("streamproc_flow__drain_s", "soon")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert sorted(line.split(": ")[0] for line in str(caught.value).splitlines()[1:]) == [
        "  flow.drain_s='soon' (streamproc_flow__drain_s)",
        f"  flow.linger_s=0 ({toml}, line 3)",
    ]


def test_what_is_wrong_in_the_local_servers_file_is_told_with_its_variable(
    toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text("[registry]\ntimeout_s = 5")
    (tmp_path / "local.env").write_text("STREAMPROC_REGISTRY__TIMEOUT_S=0\n")
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", str(tmp_path))
    with pytest.raises(
        UsageError, match=r"registry\.timeout_s='0' \(STREAMPROC_REGISTRY__TIMEOUT_S in .*local\.env\): has"
    ):
        load_settings()


def test_windows_that_overlap_begin_at_multiples_of_their_hop() -> None:
    with pytest.raises(ValidationError, match=r"hopping_s=3600 is no multiple of hop_s=1000"):
        Settings(analytics=AnalyticsSettings(hop_s=1000))


def test_an_alert_is_cleared_under_a_share_that_raises_none() -> None:
    Settings(analytics=AnalyticsSettings(alert_share=0.4))
    with pytest.raises(ValidationError, match=r"alert_clear_share=0\.4 is above alert_share=0\.3"):
        Settings(analytics=AnalyticsSettings(alert_share=0.3))


def test_the_app_and_the_workers_have_groups_of_their_own() -> None:
    group = Settings().kafka.group
    with pytest.raises(ValidationError, match=rf"analytics\.group={group} is the workers' kafka\.group"):
        Settings(analytics=AnalyticsSettings(group=group))


@pytest.mark.parametrize(
    "setting",
    ["registry.url", "storage.endpoint", "trace.endpoint", "connect.url", "connect.registry_url", "prometheus.url"],
)
@pytest.mark.parametrize("value", ["ftp://there", "there:8081", "http://", "http://:8081", ""])
def test_an_address_that_is_none_of_the_web_is_told(setting: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    variable = f"STREAMPROC_{setting.upper().replace('.', '__')}"
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError) as caught:
        load_settings()
    wanted = "has to be an address that begins with http:// or https:// and a host"
    assert f"{setting}={value!r} ({variable}): {wanted}" in str(caught.value)
    monkeypatch.setenv(variable, "HTTPS://name:password@there:1/path")
    load_settings()


@pytest.mark.parametrize(("section", "name"), [("connect", "url"), ("connect", "registry_url"), ("prometheus", "url")])
def test_an_address_that_is_none_is_told_with_its_line(toml: Path, section: str, name: str) -> None:
    toml.write_text(f"[{section}]\ntimeout_s = 1\n{name} = 'there:8083'\n")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert f"{section}.{name}='there:8083' ({toml}, line 3): has to be an address" in str(caught.value)


REDIS = [
    "http://canary",
    "REDIS://canary:6379",
    "redis:canary",
    "redis://",
    "redis:///0?canary=1",
    "redis://:6379/0?canary=1",
    "redis://canary:port",
    "redis://canary:65536",
    "redis://canary/first",
    "redis://can ary",
    "unix://canary",
    "canary:6379",
]


@pytest.mark.parametrize("value", REDIS)
def test_what_is_no_address_of_a_redis_is_told_with_its_line_and_not_repeated(toml: Path, value: str) -> None:
    toml.write_text(f"[redis]\nttl_s = 1\nurl = '{value}'\n")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert f"redis.url ({toml}, line 3): has to be an address that begins with redis://" in str(caught.value)
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "redis://there",
        "rediss://there:6380/",
        "redis://there/0",
        "redis://[::1]:6379/0",
        "redis://me:p:w d@there:6379/2?health_check_interval=2",
        "redis://:pass@10.0.0.1:6379",
        "unix:///run/redis.sock",
        "unix://:pass@/run/redis.sock?db=1",
    ],
)
def test_addresses_that_a_redis_client_takes_are_taken(toml: Path, value: str) -> None:
    toml.write_text(f"[redis]\nurl = '{value}'\n")
    settings = load_settings()
    if value:
        connect(value, Deadline(settings.redis.timeout_s)).close()


DEEP = 2_000


@pytest.mark.parametrize("text", [f"[kafka]\ngroup = {'[' * DEEP}{']' * DEEP}", "[a]\nb = " + "{a=" * DEEP])
def test_a_config_that_is_nested_beyond_reading_is_told(toml: Path, text: str) -> None:
    toml.write_text(text)
    with pytest.raises(
        UsageError, match=r"streamproc\.toml is not TOML of settings: a value in it is nested too deeply"
    ):
        load_settings()
    assert glance(os.environ) is None


@pytest.mark.parametrize("name", ["drain_s", "unknown"])
def test_a_value_that_is_nested_beyond_showing_is_told_with_its_line(toml: Path, name: str) -> None:
    toml.write_text(f"[flow]\n{name}{'.a' * DEEP} = 1\n")
    with pytest.raises(UsageError, match=rf"flow\.{name} \(.*, line 2\)"):
        load_settings()


def test_a_list_that_is_nested_beyond_reading_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_STORAGE__ALLOWED_BUCKETS", "[" * DEEP)
    with pytest.raises(UsageError, match="in a variable as a JSON list"):
        load_settings()
