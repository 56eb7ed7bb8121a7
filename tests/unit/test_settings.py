import re
from pathlib import Path

import pytest

from streamproc.errors import UsageError
from streamproc.settings import Settings, TopicSettings, load_settings


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file that the settings come from."""
    file = tmp_path / "streamproc.toml"
    monkeypatch.setenv("STREAMPROC_CONFIG", str(file))
    return file


def test_a_copy_of_the_topics_has_lanes_of_its_own() -> None:
    topics = TopicSettings()
    assert topics.lanes == ("audio.recordings.retry.10s", "audio.recordings.retry.5m")
    copy = topics.model_copy(update={"recordings": "other"})
    assert copy.lanes == ("other.retry.10s", "other.retry.5m")
    assert copy.dead_letters == "other.dlq"


def test_a_config_that_is_not_there_is_told(toml: Path) -> None:
    with pytest.raises(UsageError, match=f"STREAMPROC_CONFIG names {toml}, which is no file"):
        load_settings()


def test_a_misspelt_section_is_told_with_those_that_there_are(toml: Path) -> None:
    toml.write_text('[kafak]\ngroup = "calls"\n[topics]\npartitions = 3\n')
    with pytest.raises(UsageError, match=r"streamproc\.toml has kafak; the sections are kafka, registry, ") as caught:
        load_settings()
    assert "calls" not in str(caught.value)


def test_sections_of_the_file_are_read_below_the_environment(toml: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    toml.write_text('[kafka]\ngroup = "calls"\n[topics]\npartitions = 3\n')
    monkeypatch.setenv("STREAMPROC_TOPICS__PARTITIONS", "4")
    monkeypatch.setenv("STREAMPROC_PORT", "tcp://10.0.0.1:80")  # what Kubernetes sets for a service named streamproc
    settings = load_settings()
    assert (settings.kafka.group, settings.topics.partitions) == ("calls", 4)


@pytest.mark.parametrize(
    ("variable", "setting", "value"),
    [
        ("STREAMPROC_STORAGE__ALLOWED_BUCKETS", "storage.allowed_buckets", "planted,canary"),
        ("STREAMPROC_STORAGE__ALLOWED_BUCKETS", "storage.allowed_buckets", '"canary"'),
        ("STREAMPROC_RETRY__DELAYS_S", "retry.delays_s", "10,300"),
    ],
)
def test_a_list_that_is_none_is_told_with_its_variable_and_its_form(
    variable: str, setting: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(UsageError, match="JSON list") as caught:
        load_settings()
    assert f"{setting} ({variable})" in str(caught.value)
    assert "canary" not in str(caught.value)


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
    assert Settings().kafka.bootstrap_servers == "127.0.0.1:9092"


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("STREAMPROC_FLOWW__DRAIN_S", "unknown section; did you mean STREAMPROC_FLOW__?"),
        ("streamproc_floww__drain_s", "unknown section; did you mean STREAMPROC_FLOW__?"),
        ("STREAMPROC_NONSENSE__X", "unknown section; the sections are kafka, registry, "),
        ("STREAMPROC___X", "unknown section; the sections are kafka, registry, "),
    ],
)
def test_a_variable_of_no_section_is_told_without_its_value(
    variable: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "canary")
    with pytest.raises(UsageError, match=re.escape(f"  {variable}: {told}")) as caught:
        load_settings()
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        (
            "STREAMPROC_FLOW__DRIAN_S",
            "flow.drian_s (STREAMPROC_FLOW__DRIAN_S): unknown setting; did you mean flow.drain_s?",
        ),
        ("STREAMPROC_FLOW__QQQ", "flow.qqq (STREAMPROC_FLOW__QQQ): unknown setting"),
    ],
)
def test_an_unknown_setting_is_told_with_the_one_that_was_meant(
    variable: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, "canary")
    with pytest.raises(UsageError, match=re.escape(told) + "$") as caught:
        load_settings()
    assert "canary" not in str(caught.value)


def test_the_variables_of_others_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STREAMPROC_PORT_9464_TCP_ADDR", "10.0.0.1")
    monkeypatch.setenv("OTHER_FLOWW__X", "1")
    load_settings()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[flow]\ndrian_s = 3", "flow.drian_s (in {}): unknown setting; did you mean flow.drain_s?"),
        ("[flow]\ndrain_s = -3", "flow.drain_s (in {}): Input should be greater than 0"),
        ("flow = 3", "flow (in {}): Input should be a valid dictionary"),
        ('[storage]\nallowed_buckets = "canary"', "storage.allowed_buckets (in {}): this is a list, as in [10, 300]"),
        ("[retry]\ndelays_s = [10, 0]", "retry.delays_s[1] (in {}): Input should be greater than 0"),
        ("[kafka]\nmax_poll_interval_s = true", "kafka.max_poll_interval_s (in {}): this is a number, not true"),
        ('[kafka]\ngroup = ""', "kafka.group (in {}): String should have at least 1 character"),
        ('[topics]\nrecordings = "bad topic!"', "topics.recordings (in {}): String should match pattern"),
        ("[flow]\ndrain_s = 30", "kafka.transaction_timeout_s + 0.25 s for each of flow.micro_batches make 31, over"),
    ],
)
def test_what_is_wrong_in_the_file_is_told_with_the_file_and_the_place_in_it(toml: Path, text: str, told: str) -> None:
    toml.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings()
    (line,) = str(caught.value).splitlines()[1:]
    assert line.startswith("  " + told.format(toml))
    assert "STREAMPROC_" not in line
    assert "canary" not in line


def test_a_variable_that_outranks_the_file_is_told_and_not_the_file(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text("[flow]\ndrain_s = 60\nlinger_s = 0")
    monkeypatch.setenv("streamproc_flow__drain_s", "soon")
    with pytest.raises(UsageError) as caught:
        load_settings()
    assert sorted(line.split(": ")[0] for line in str(caught.value).splitlines()[1:]) == [
        "  flow.drain_s (STREAMPROC_FLOW__DRAIN_S)",
        f"  flow.linger_s (in {toml})",
    ]


def test_what_is_wrong_in_the_local_servers_file_is_told_with_its_variable(
    toml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text("[registry]\ntimeout_s = 5")
    (tmp_path / "local.env").write_text("STREAMPROC_REGISTRY__TIMEOUT_S=0\n")
    monkeypatch.setenv("STREAMPROC_LOCAL__STATE_DIR", str(tmp_path))
    with pytest.raises(UsageError, match=r"registry\.timeout_s \(STREAMPROC_REGISTRY__TIMEOUT_S\): Input"):
        load_settings()
