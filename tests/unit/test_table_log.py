"""The table's log: how it is read, how commits are made, and what is said when it is not what it should be."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from dataknobs_data.exceptions import DataFormatError, OutcomeUnknownError, SnapshotExpiredError
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.table.actions import Add, MetaData, Remove, Txn, encode
from dataknobs_data.s3.table.log import Committed, Conflict, Job
from dataknobs_data.s3.table.snapshot import COMMITS_KEPT, Snapshot
from tests.unit.log_fakes import KEYS, SCHEMA, WIDER, Break, LogStore, Table, actions_of, pack, paths
from tests.unit.s3_fakes import START, FakeWorld

WEEK = timedelta(days=7)
ENTRY = "{:020}.json".format
CHECKPOINT = "{:020}.checkpoint.parquet".format


# ---------------------------------------------------------------------------------------------- reading
def test_where_nothing_lies_is_no_table() -> None:
    table = Table()
    assert table.log().refresh() is None
    assert table.requests() == ["GetObject", "ListObjectsV2"]


@pytest.mark.parametrize("operation", ["GetObject", "ListObjectsV2"])
@pytest.mark.parametrize("kind", [Kind.SERVER, Kind.DENIED, Kind.NO_BUCKET, Kind.NETWORK])
def test_a_failed_request_is_no_empty_log(operation: str, kind: Kind) -> None:
    table = Table(max_retries=1)
    table.made(2)
    table.store.breaks = [Break(kind, operation=operation, times=99)]
    with pytest.raises(Fault) as caught:
        table.log().refresh()
    assert caught.value.kind is kind


def test_what_a_commit_says_is_what_others_read() -> None:
    table = Table()
    log = table.made(2)
    made = log.commit_with(
        actions_of(Remove("packs/0", 7, 100, {}), pack("packs/x", stats='{"numRecords":1}'), Txn("app", 3)),
        Job("the job", "COMPACT", {"full": "true"}),
    )
    assert made
    assert made.version == 3
    for snapshot in (made.snapshot, log.refresh(), table.log().refresh()):
        assert snapshot is not None
        assert snapshot.version == 3
        assert paths(snapshot) == ["packs/1", "packs/x"]
        assert snapshot.packs["packs/x"].stats == '{"numRecords":1}'
        assert snapshot.removed == {"packs/0": Remove("packs/0", 7, 100, {})}
        assert snapshot.txns == {"app": Txn("app", 3)}
        assert snapshot.schema == SCHEMA
        info = snapshot.commits[-1].info
        assert info is not None
        assert (info["operation"], info["operationParameters"]) == ("COMPACT", {"full": "true"})
        assert info["readVersion"] == 2
        assert info["timestamp"] == int(START.timestamp() * 1000)
        assert snapshot.commits[-1].job == "the job"


def test_what_each_step_costs() -> None:
    table = Table()
    log = table.made(4)
    assert table.requests() == ["GetObject", "ListObjectsV2", *["PutObject"] * 5]
    log.refresh()
    assert table.requests() == ["ListObjectsV2"]
    other = table.log()
    other.refresh()
    assert table.requests() == ["GetObject", "ListObjectsV2", *["GetObject"] * 5]
    table.add(log, "packs/a")
    table.add(log, "packs/b")
    table.requests()
    assert paths(other.refresh())[-2:] == ["packs/a", "packs/b"]
    assert table.requests() == ["ListObjectsV2", "GetObject", "GetObject"]
    table.upkeep(log).checkpoint(log.known, WEEK)
    table.requests()
    table.add(log, "packs/c")
    table.requests()
    assert len(paths(table.log().refresh())) == 7
    assert table.requests() == ["GetObject", "ListObjectsV2", "GetObject", "GetObject"]


def test_the_time_of_a_commit_is_the_stores() -> None:
    table = Table()
    log = table.made()
    for number in range(3):
        table.world.seconds += 10
        table.add(log, f"packs/{number}")
    assert [commit.modified for commit in log.known.commits] == [None] * 4
    expected = [START + timedelta(seconds=seconds) for seconds in (0, 10, 20, 30)]
    table.requests()
    for process in (log, table.log()):
        snapshot = process.refresh()
        assert snapshot is not None
        assert [commit.modified for commit in snapshot.commits] == expected
    assert table.requests()[0] == "ListObjectsV2"


def test_pages_of_a_listing_make_one_log() -> None:
    table = Table(LogStore(FakeWorld(), page_size=3))
    log = table.made(10)
    assert len(paths(table.log().refresh())) == 10
    other = table.log()
    other.refresh()
    for number in range(10, 18):
        table.add(log, f"packs/{number}")
    assert len(paths(other.refresh())) == 18


def test_a_page_that_fails_is_no_end_of_a_log() -> None:
    table = Table(LogStore(FakeWorld(), page_size=3), max_retries=0)
    table.made(10)
    table.store.breaks = [Break(Kind.SERVER, nth=2, operation="ListObjectsV2")]
    with pytest.raises(Fault):
        table.log().refresh()


def test_a_file_that_comes_back() -> None:
    table = Table()
    log = table.made(1)
    log.commit_with(actions_of(Remove("packs/0", 1)), table.job())
    made = log.commit_with(actions_of(pack("packs/0", stats="{}")), table.job())
    assert made
    for snapshot in (made.snapshot, table.log().refresh()):
        assert snapshot.packs == {"packs/0": pack("packs/0", stats="{}")}
        assert snapshot.removed == {}


def test_a_slow_refresh_does_not_undo_a_fast_one() -> None:
    table = Table(max_workers=4)
    log, other = table.made(), table.log()
    table.add(other, "packs/a")

    def overtake(operation: str, key: str) -> None:
        if operation == "GetObject":
            table.store.meanwhile = lambda operation, key: None
            table.add(other, "packs/b")
            assert paths(log.refresh()) == ["packs/a", "packs/b"]

    table.store.meanwhile = overtake
    assert paths(log.refresh()) == ["packs/a", "packs/b"]
    assert paths(log.known) == ["packs/a", "packs/b"]


def test_snapshots_do_not_change() -> None:
    table = Table()
    log = table.made(1)
    before = log.known
    assert before is not None
    table.add(log, "packs/new")
    assert paths(before) == ["packs/0"]
    assert before.version == 1


def test_a_snapshot_remembers_so_many_commits() -> None:
    table = Table()
    log = table.made(COMMITS_KEPT + 5)
    snapshot = log.known
    assert snapshot is not None
    assert len(snapshot.commits) == COMMITS_KEPT
    table.requests()
    assert [commit.version for commit in log.commits_since(snapshot, 1000)] == list(range(1001, 1006))
    assert table.requests() == []
    older = log.commits_since(snapshot, 2)
    assert [commit.version for commit in older] == list(range(3, 1006))
    assert [commit.job for commit in older[:2]] == ["job-4", "job-5"]
    assert table.requests().count("GetObject") == 3
    table.store.objects.pop(KEYS.log + ENTRY(4))
    with pytest.raises(SnapshotExpiredError, match="commits after 2 have been cleaned away"):
        log.commits_since(snapshot, 2)


# ---------------------------------------------------------------------------------------------- damage
def damaged(table: Table) -> str:
    """What both a process that knows the table and a new one say."""
    with pytest.raises(DataFormatError) as caught:
        table.log().refresh()
    return str(caught.value)


def test_a_commit_that_is_missing() -> None:
    table = Table()
    table.made(5)
    table.store.objects.pop(KEYS.log + ENTRY(2))
    assert "commit 2 is missing though commit 5 is there" in damaged(table)


def test_a_commit_that_is_missing_after_what_is_known() -> None:
    table = Table()
    log, writer = table.made(2), table.log()
    for number in range(3):
        table.add(writer, f"packs/later-{number}")
    table.store.objects.pop(KEYS.log + ENTRY(4))
    with pytest.raises(DataFormatError, match="commit 4 is missing"):
        log.refresh()


def test_a_commit_that_is_damaged() -> None:
    table = Table()
    table.made(3)
    body, etag, options = table.store.objects[KEYS.log + ENTRY(2)]
    table.store.objects[KEYS.log + ENTRY(2)] = (body[:-20], etag, options)
    assert f"{KEYS.log}{ENTRY(2)}, line 2: a damaged commit" in damaged(table)


def test_the_beginning_is_missing() -> None:
    table = Table()
    table.made(3)
    table.store.objects.pop(KEYS.log + ENTRY(0))
    assert "commit 0 is missing" in damaged(table)


def test_a_beginning_without_a_protocol() -> None:
    table = Table()
    table.store.write(ENTRY(0), encode({}, [MetaData("id", SCHEMA)]))
    assert "never says the table's protocol" in damaged(table)


def test_other_files_are_no_log() -> None:
    table = Table()
    table.store.write("00000000000000000003.crc", b"{}")
    assert "has no commit 0, but it holds other files" in damaged(table)
    table.store.objects.clear()
    table.store.write("_last_checkpoint", b'{"version":3,"size":1}')
    assert "commits were lost" in damaged(table)
    table.store.objects.clear()
    table.store.write("", b"")  # a folder that somebody made in a console
    assert table.log().refresh() is None


def test_commits_that_are_lost_behind_a_checkpoint() -> None:
    table = Table()
    log = table.made(4)
    table.upkeep(log).checkpoint(log.known, WEEK)
    for version in (3, 4):
        table.store.objects.pop(KEYS.log + ENTRY(version))
    said = "has no commit 4, but the newest checkpoint is of version 4: commits were lost"
    assert said in damaged(table)
    table.store.objects.pop(KEYS.last_checkpoint)
    assert said in damaged(table)


def test_the_log_went_back() -> None:
    table = Table()
    log = table.made(4)
    table.store.objects.pop(KEYS.log + ENTRY(4))
    with pytest.raises(DataFormatError, match="ends with commit 3, but commit 4 was there before"):
        log.refresh()
    assert paths(log.refresh()) == ["packs/0", "packs/1", "packs/2"], "said once; who goes on knows"


def test_a_commit_that_was_overwritten() -> None:
    table = Table()
    log = table.made(2)
    table.store.write(ENTRY(2), encode({"operation": "WRITE"}, [pack("packs/rival")]))
    with pytest.raises(
        DataFormatError, match="has been overwritten since it was read: this store ignores If-None-Match"
    ):
        log.refresh()
    assert "packs/rival" in paths(log.refresh())


def test_a_table_that_is_gone() -> None:
    table = Table()
    log = table.made(2)
    table.store.objects.clear()
    with pytest.raises(SnapshotExpiredError, match="the table that was read here is gone"):
        log.refresh()
    assert log.refresh() is None


def test_a_table_that_is_another_one() -> None:
    table = Table()
    log = table.made(5)
    table.store.objects.clear()
    table.made(1)
    assert paths(log.refresh()) == ["packs/0"]
    assert log.refresh().version == 1


def test_nothing_is_committed_on_what_another_table_was() -> None:
    table = Table()
    log = table.made(5)
    old = log.known
    table.store.objects.clear()
    table.made(1)
    log.refresh()
    outcome = log.commit(old, [pack("packs/mine")], table.job())
    assert isinstance(outcome, Conflict)
    assert table.store.files() == [ENTRY(0), ENTRY(1)]


# ---------------------------------------------------------------------------------------------- checkpoints, read
def test_a_hint_is_only_a_hint() -> None:
    table = Table()
    log = table.made(4)
    table.upkeep(log).checkpoint(log.known, WEEK)
    table.add(log, "packs/4")
    hint = table.store.objects[KEYS.last_checkpoint][0]
    for body in (b"", b"{", b"[]", b'{"version":"4"}', b'{"version":99}', b'{"version":2}', b'{"version":-1}'):
        table.store.write("_last_checkpoint", body)
        assert len(paths(table.log().refresh())) == 5
    table.store.write("_last_checkpoint", hint)
    table.store.objects.pop(KEYS.log + CHECKPOINT(4))
    assert len(paths(table.log().refresh())) == 5
    table.store.objects.pop(KEYS.log + ENTRY(1))
    assert "commit 1 is missing though commit 5 is there" in damaged(table)


def test_a_newer_checkpoint_than_the_hint_says_is_found() -> None:
    table = Table()
    log = table.made(2)
    table.upkeep(log).checkpoint(log.known, WEEK)
    hint = table.store.objects[KEYS.last_checkpoint][0]
    for number in range(10):
        table.add(log, f"packs/later-{number}")
    table.upkeep(log).checkpoint(log.known, WEEK)
    table.store.write("_last_checkpoint", hint)
    table.requests()
    assert len(paths(table.log().refresh())) == 12
    assert table.requests() == ["GetObject", "ListObjectsV2", "GetObject", "GetObject"]


def test_a_damaged_checkpoint() -> None:
    table = Table()
    log = table.made(2)
    table.upkeep(log).checkpoint(log.known, WEEK)
    table.store.write(CHECKPOINT(2), b"PAR1 nonsense PAR1")
    assert f"{KEYS.log}{CHECKPOINT(2)}: a checkpoint that cannot be read" in damaged(table)


def test_checkpoints_of_other_forms_are_named() -> None:
    table = Table()
    table.made(2)
    table.store.write("00000000000000000002.checkpoint.0000000001.0000000002.parquet", b"")
    assert len(paths(table.log().refresh())) == 2, "the commits are all there"
    table.store.objects.pop(KEYS.log + ENTRY(0))
    assert "it has checkpoints in parts or of the V2 form" in damaged(table)


# ---------------------------------------------------------------------------------------------- creating
def test_of_two_who_create_one_table_one_does() -> None:
    table = Table()
    first, second = table.log(), table.log()
    rival: list[Snapshot] = []

    def race(operation: str, key: str) -> None:
        if operation == "PutObject" and not rival:
            rival.append(None)
            rival[0] = second.ensure(WIDER, Job("second", "CREATE TABLE"))

    table.store.meanwhile = race
    made = first.ensure(SCHEMA, Job("first", "CREATE TABLE"))
    assert made.metadata == rival[0].metadata
    assert made.schema == WIDER
    assert table.store.files() == [ENTRY(0)]
    assert first.ensure(SCHEMA, Job("third", "CREATE TABLE")).version == 0


@pytest.mark.parametrize("before", [True, False])
def test_a_creation_whose_answer_is_lost(before: bool) -> None:
    table = Table(max_retries=1)
    table.store.breaks = [Break(Kind.NETWORK, operation="PutObject", before=before)]
    assert table.log().ensure(SCHEMA, table.job()).version == 0
    table.store.objects.clear()
    table.store.breaks = [Break(Kind.NETWORK, operation="PutObject", before=before, times=2)]
    log = table.log()
    if before:
        with pytest.raises(OutcomeUnknownError):
            log.ensure(SCHEMA, table.job())
    assert log.ensure(SCHEMA, table.job()).version == 0
    assert table.store.files() == [ENTRY(0)]


def test_commits_need_a_table() -> None:
    table = Table()
    with pytest.raises(DataFormatError, match="there is no table"):
        table.log().commit_with(actions_of(pack("a")), table.job())


# ---------------------------------------------------------------------------------------------- committing
def test_a_commit_on_what_is_no_longer_the_newest_changes_nothing() -> None:
    table = Table()
    log, other = table.made(1), table.log()
    old = log.known
    assert old is not None
    table.add(other, "packs/rival")
    table.requests()
    outcome = log.commit(old, [pack("packs/mine")], table.job())
    assert isinstance(outcome, Conflict)
    assert table.requests() == ["PutObject", "ListObjectsV2", "GetObject"]
    assert paths(outcome.snapshot) == ["packs/0", "packs/rival"]
    outcome = log.commit(old, [pack("packs/mine")], table.job())
    assert isinstance(outcome, Conflict)
    assert table.requests() == [], "what is known to be lost is not sent"
    outcome = log.commit(outcome.snapshot, [pack("packs/mine")], table.job())
    assert isinstance(outcome, Committed)
    assert outcome.version == 3


def test_after_a_conflict_it_is_decided_again() -> None:
    table = Table()
    log, other = table.made(), table.log()
    seen: list[list[str]] = []

    def decide(snapshot: Snapshot) -> list[Add]:
        seen.append(paths(snapshot))
        if len(seen) < 4:
            table.add(other, f"packs/rival-{len(seen)}")
        return [pack(f"packs/after-{len(snapshot.packs)}")]

    made = log.commit_with(decide, table.job())
    assert made
    assert made.version == 4
    assert [len(each) for each in seen] == [0, 1, 2, 3]
    assert "packs/after-3" in paths(table.log().refresh())
    assert len(table.world.slept) == 3


def test_who_decides_for_nothing_commits_nothing() -> None:
    table = Table()
    log = table.made()
    table.requests()
    assert log.commit_with(lambda snapshot: None, table.job()) is None
    assert table.requests() == ["ListObjectsV2"]
    assert log.commit_with(lambda snapshot: [], table.job()), "an empty commit is one"
    assert table.log().refresh().version == 1


def test_rivals_until_the_deadline() -> None:
    table = Table(deadline=60.0, timeout=20.0)
    log, other = table.made(), table.log()

    def decide(snapshot: Snapshot) -> list[Add]:
        table.add(other, f"packs/{snapshot.version}")
        return [pack("packs/mine")]

    with pytest.raises(Fault) as caught:
        log.commit_with(decide, table.job())
    assert caught.value.kind is Kind.LATE
    assert "packs/mine" not in paths(table.log().refresh())


def test_a_conflict_that_shows_nothing_is_tried_again() -> None:
    """409 ConditionalRequestConflict: another upload of the same key was under way, and failed."""
    table = Table()
    log = table.made()
    table.store.breaks = [Break(Kind.CONDITION, operation="PutObject")]
    made = log.commit_with(actions_of(pack("a")), table.job())
    assert made
    assert made.version == 1


@pytest.mark.parametrize("rival", [False, True])
@pytest.mark.parametrize("kind", [Kind.NETWORK, Kind.SERVER])
def test_a_commit_whose_answer_is_lost_is_found_in_the_log(kind: Kind, rival: bool) -> None:
    table = Table(max_retries=2)
    log, other = table.made(), table.log()
    table.store.breaks = [Break(kind, operation="PutObject", before=False)]

    def race(operation: str, key: str) -> None:
        if operation == "PutObject" and KEYS.log + ENTRY(1) in table.store.objects and rival:
            table.store.meanwhile = lambda operation, key: None
            table.add(other, "packs/rival")

    table.store.meanwhile = race
    outcome = log.commit(log.known, [pack("packs/mine")], Job("mine", "WRITE"))
    assert isinstance(outcome, Committed)
    assert outcome.version == 1
    assert outcome.snapshot.version == 1 + rival
    assert outcome.snapshot.commits[1].job == "mine"


def test_a_commit_whose_answer_is_lost_is_found_behind_a_checkpoint() -> None:
    table = Table(max_retries=1)
    log, other = table.made(), table.log()
    known = log.known
    table.store.breaks = [Break(Kind.NETWORK, operation="PutObject", before=False)]

    def hide(operation: str, key: str) -> None:
        if operation == "ListObjectsV2":
            table.store.meanwhile = lambda operation, key: None
            table.add(other, "packs/rival")
            table.upkeep(other).checkpoint(other.known, WEEK)
            table.store.objects.pop(KEYS.log + ENTRY(0))

    table.store.meanwhile = hide
    outcome = log.commit(known, [pack("packs/mine")], Job("mine", "WRITE"))
    assert isinstance(outcome, Committed)
    assert outcome.version == 1
    assert [commit.version for commit in outcome.snapshot.commits] == [2]


def test_a_commit_whose_answers_are_all_lost() -> None:
    table = Table(max_retries=0)
    log = table.made()
    table.store.breaks = [Break(Kind.NETWORK, operation="PutObject", before=False)]
    made = log.commit_with(actions_of(pack("packs/0")), table.job())
    assert made
    assert made.version == 1
    assert table.store.files() == [ENTRY(0), ENTRY(1)]


def test_a_commit_that_may_still_come_is_unknown() -> None:
    table = Table(max_retries=0)
    log = table.made()
    table.store.breaks = [Break(Kind.NETWORK, operation="PutObject", before=True)]
    with pytest.raises(OutcomeUnknownError, match="it is not there yet") as caught:
        log.commit_with(actions_of(pack("packs/0")), Job("mine", "WRITE"))
    assert caught.value.context == {"job": "mine", "version": 1}


def test_a_commit_that_cannot_be_looked_for_is_unknown() -> None:
    table = Table(max_retries=0)
    log = table.made()
    table.store.breaks = [
        Break(Kind.NETWORK, operation="PutObject", before=False),
        Break(Kind.SERVER, operation="ListObjectsV2"),
    ]
    with pytest.raises(OutcomeUnknownError, match="looking at the log failed"):
        log.commit(log.known, [pack("packs/0")], table.job())


def test_a_lost_answer_and_a_rival_in_its_place_is_a_conflict() -> None:
    table = Table(max_retries=1)
    log, other = table.made(), table.log()
    table.store.breaks = [Break(Kind.NETWORK, operation="PutObject", before=True)]

    def race(operation: str, key: str) -> None:
        if operation == "PutObject" and not table.store.breaks[0].times:
            table.store.meanwhile = lambda operation, key: None
            table.add(other, "packs/rival")

    table.store.meanwhile = race
    outcome = log.commit(log.known, [pack("packs/mine")], table.job())
    assert isinstance(outcome, Conflict)
    assert paths(outcome.snapshot) == ["packs/rival"]


@pytest.mark.parametrize("kind", [Kind.DENIED, Kind.UNREACHABLE, Kind.REFUSED])
def test_a_commit_that_was_surely_not_made(kind: Kind) -> None:
    table = Table(max_retries=0)
    log = table.made()
    table.store.breaks = [Break(kind, operation="PutObject")]
    with pytest.raises(Fault) as caught:
        log.commit_with(actions_of(pack("packs/0")), table.job())
    assert caught.value.kind is kind


def test_a_table_of_another_program_that_asks_too_much_is_not_written() -> None:
    table = Table()
    protocol = {"minReaderVersion": 1, "minWriterVersion": 7, "writerFeatures": ["rowTracking"]}
    first = encode({}, [MetaData("id", SCHEMA)]) + json.dumps({"protocol": protocol}).encode()
    table.store.write(ENTRY(0), first)
    log = table.log()
    assert paths(log.refresh()) == []
    with pytest.raises(DataFormatError, match="rowTracking"):
        log.commit_with(actions_of(pack("a")), table.job())
    with pytest.raises(DataFormatError, match="rowTracking"):
        table.upkeep(log).checkpoint(log.known, WEEK)
    assert table.store.files() == [ENTRY(0)]
