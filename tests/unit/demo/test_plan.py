import hashlib
from collections import Counter

import pytest

from streamproc.demo.clips import load_manifest, read_bytes
from streamproc.demo.plan import NOT_AVRO, build_plan
from streamproc.demo.run import locate
from streamproc.errors import PoisonError, Reason, StreamprocError
from streamproc.records.analysis import Status
from streamproc.records.avro import unframe
from streamproc.records.record import Record
from streamproc.records.recording import KEY_GRAMMAR

PLAN = build_plan(load_manifest(), "run-1")


def test_at_least_24_different_recordings_are_announced() -> None:
    contents = {one.sha256 for one in PLAN if one.how == Status.OK}
    assert len(contents) >= 24


def test_the_manifest_tells_the_truth_about_its_files() -> None:
    manifest = load_manifest()
    hashes = {clip.file: clip.sha256 for clip in manifest.clips} | {odd.file: odd.sha256 for odd in manifest.oddities}
    assert {file: hashlib.sha256(read_bytes(file)).hexdigest() for file in hashes} == hashes


def test_every_kind_of_trouble_is_there() -> None:
    ends = {(one.ends, one.how) for one in PLAN}
    assert ends == {
        ("result", Status.OK),
        ("result", Status.NO_SPEECH),
        ("result", Status.TOO_SHORT),
        ("dead_letter", Reason.DECODE_FAILED),
        ("dead_letter", Reason.FORMAT_UNSUPPORTED),
        ("dead_letter", Reason.OBJECT_MISSING),
        ("dead_letter", Reason.AVRO_INVALID),
    }


def test_repeats_follow_their_original_under_one_key() -> None:
    by_content: dict[str, list[str]] = {}
    for one in PLAN:
        if one.sha256:
            by_content.setdefault(one.sha256, []).append(one.key)
    repeated = [keys for keys in by_content.values() if len(keys) > 1]
    assert len(repeated) >= 4
    assert all(len(set(keys)) == 1 for keys in repeated)


def test_exactly_one_event_is_sent_twice() -> None:
    counts = Counter(one.event_id for one in PLAN if one.event_id)
    assert sorted(counts.values())[-2:] == [1, 2]


def test_titles_are_unique_and_keys_belong_to_the_run() -> None:
    assert len({one.title for one in PLAN}) == len(PLAN)
    assert all(one.key.startswith("run-1:") for one in PLAN)
    assert all(KEY_GRAMMAR.fullmatch(one.object_key) for one in PLAN if one.object_key)


def test_what_is_no_event_is_refused_by_the_codec() -> None:
    with pytest.raises(PoisonError) as caught:
        unframe(NOT_AVRO)
    assert caught.value.reason == Reason.AVRO_INVALID


def record(key: str, partition: int, offset: int) -> Record:
    return Record("demo.recordings", partition, offset, 0, key.encode(), b"")


def test_announcements_are_found_on_the_topic_by_key_and_order() -> None:
    records = [record(one.key, len(one.key) % 3, 100 + place) for place, one in enumerate(PLAN)]
    strangers = [record("run-0:angry-line.wav", 0, 1), Record("demo.recordings", 0, 2, 0, None, b"")]
    found = locate(PLAN, [*strangers, *records])
    assert [(one.announcement, one.offset) for one in found] == [(one, 100 + at) for at, one in enumerate(PLAN)]


def test_an_announcement_that_is_not_on_the_topic_is_named() -> None:
    with pytest.raises(StreamprocError, match="not-avro"):
        locate(PLAN, [record(one.key, 0, place) for place, one in enumerate(PLAN[:-1])])
