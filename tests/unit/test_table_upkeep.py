"""Checkpoints and cleaning: what they forget, what they never forget, and that they may end at any request."""

from __future__ import annotations

import io
import json
import random
from datetime import timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError, DataFormatError, SnapshotExpiredError
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.table.actions import Add, MetaData, Protocol, Remove, Txn
from dataknobs_data.s3.table.checkpoint import checkpoint_bytes, checkpoint_state
from dataknobs_data.s3.table.log import STALE, Committed, Conflict, Job, Log
from dataknobs_data.s3.table.snapshot import Snapshot, State
from dataknobs_data.s3.table.upkeep import LOG_RETENTION_MIN
from tests.unit.log_fakes import KEYS, SCHEMA, Break, Table, actions_of, pack, paths
from tests.unit.test_table_actions import ACTIONS

WEEK, MONTH = timedelta(days=7), timedelta(days=30)
DAY_SECONDS = 86_400
ENTRY = "{:020}.json".format
CHECKPOINT = "{:020}.checkpoint.parquet".format
START_STATE = State(Protocol(), MetaData("id", SCHEMA))


def known(log: Log) -> Snapshot:
    assert log.known is not None
    return log.known


# ---------------------------------------------------------------------------------------------- the file
@given(st.lists(ACTIONS, max_size=12))
@settings(max_examples=30)
def test_a_checkpoint_holds_the_whole_state(actions: list[Add | Remove | Txn | Protocol | MetaData]) -> None:
    state = START_STATE.after(actions)
    found = checkpoint_state(checkpoint_bytes(state), "key")
    assert found == state
    assert pq.read_metadata(io.BytesIO(checkpoint_bytes(state))).num_rows == state.size


def test_a_checkpoint_of_other_kinds_is_refused() -> None:
    table = pq.read_table(io.BytesIO(checkpoint_bytes(START_STATE.after([pack("a")]))))

    def changed(name: str, values: list[object], type: pa.DataType) -> bytes:
        sink = io.BytesIO()
        at = table.column_names.index(name) if name in table.column_names else None
        column = pa.array(values, type)
        pq.write_table(table.append_column(name, column) if at is None else table.set_column(at, name, column), sink)
        return sink.getvalue()

    vector = pa.struct({"path": pa.string(), "deletionVector": pa.struct({"storageType": pa.string()})})
    with pytest.raises(DataFormatError, match="after the V2 specification"):
        checkpoint_state(changed("checkpointMetadata", [None, None, None], pa.struct({"version": pa.int64()})), "key")
    with pytest.raises(
        DataFormatError, match="key: a checkpoint that cannot be read: the file 'a' has a deletion vector"
    ):
        checkpoint_state(
            changed("add", [None, None, {"path": "a", "deletionVector": {"storageType": "u"}}], vector), "key"
        )
    with pytest.raises(DataFormatError, match="cannot be read: 'size'"):
        checkpoint_state(changed("add", [None, None, {"path": "a"}], pa.struct({"path": pa.string()})), "key")


# ---------------------------------------------------------------------------------------------- checkpoints
def test_tombstones_are_kept_for_their_time() -> None:
    table = Table()
    log = table.made(2)
    milliseconds = int(table.store.time.timestamp() * 1000)
    removed = [pack(f"packs/{n}").removed(milliseconds + n) for n in range(2)]
    log.commit_with(lambda snapshot: [*removed, Remove("packs/unknown", None)], table.job())
    table.world.seconds += WEEK.total_seconds() + 0.001
    table.upkeep(log).checkpoint(known(log), WEEK)
    snapshot = table.log().refresh()
    assert snapshot is not None
    assert snapshot.removed == {"packs/1": Remove("packs/1", milliseconds + 1, 100, {})}
    assert paths(snapshot) == []


def test_the_hint_only_goes_forward() -> None:
    table = Table()
    log = table.made(2)
    old = known(log)
    table.add(log, "packs/2")
    upkeep = table.upkeep(log)
    upkeep.checkpoint(known(log), WEEK)
    upkeep.checkpoint(old, WEEK)
    upkeep.checkpoint(known(log), WEEK)
    assert json.loads(table.store.objects[KEYS.last_checkpoint][0])["version"] == 3
    assert [name for name in table.store.files() if "parquet" in name] == [CHECKPOINT(2), CHECKPOINT(3)]


def test_two_who_hint_at_once() -> None:
    table = Table()
    log = table.made(2)
    old = known(log)
    table.add(log, "packs/2")
    upkeep = table.upkeep(log)

    def race(operation: str, key: str) -> None:
        if operation == "PutObject" and key == KEYS.last_checkpoint:
            table.store.meanwhile = lambda operation, key: None
            table.upkeep(log).checkpoint(known(log), WEEK)

    table.store.meanwhile = race
    upkeep.checkpoint(old, WEEK)
    assert json.loads(table.store.objects[KEYS.last_checkpoint][0]) == {"version": 3, "size": 5, "numOfAddFiles": 3}


def test_a_hint_that_is_not_there_or_may_not_be_seen() -> None:
    """403 for a missing object, where not all of the bucket may be listed."""
    table = Table()
    log = table.made(2)
    denied = Break(Kind.DENIED, operation="GetObject", times=1)
    table.store.breaks = [denied]
    assert len(paths(table.log().refresh())) == 2
    denied.nth, denied.times = 1, 1
    table.upkeep(log).checkpoint(known(log), WEEK)
    assert json.loads(table.store.objects[KEYS.last_checkpoint][0])["version"] == 2
    denied.nth, denied.times = 1, 99
    with pytest.raises(Fault) as caught:
        table.upkeep(log).checkpoint(known(log), WEEK)
    assert caught.value.kind is Kind.DENIED


def test_no_checkpoint_of_what_is_not_in_the_log() -> None:
    table = Table()
    log = table.made(2)
    table.store.write(ENTRY(2), b'{"commitInfo":{}}')
    with pytest.raises(DataFormatError, match="has been overwritten since it was read; there will be no checkpoint"):
        table.upkeep(log).checkpoint(known(log), WEEK)
    table.store.objects.pop(KEYS.log + ENTRY(2))
    with pytest.raises(SnapshotExpiredError, match="has been cleaned away"):
        table.upkeep(log).checkpoint(known(log), WEEK)
    assert not [name for name in table.store.files() if "checkpoint" in name]


# ---------------------------------------------------------------------------------------------- cleaning
def aged(table: Table, log: Log) -> None:
    """Versions 0 to 9 with checkpoints of 3, 6 and 9, a day each."""
    for version in range(1, 10):
        table.world.seconds += DAY_SECONDS
        table.add(log, f"packs/{version}")
        if version % 3 == 0:
            table.upkeep(log).checkpoint(known(log), WEEK)


@pytest.mark.parametrize(("days", "first"), [(9, 0), (6.5, 0), (6, 3), (4, 3), (3.5, 3), (3, 6), (1, 6)])
def test_cleaning_keeps_what_it_takes_to_read_all_younger_versions(days: float, first: int) -> None:
    table = Table()
    log = table.made()
    aged(table, log)
    table.store.write(f"{2:020}.crc", b"")
    before = table.store.files()
    removed = table.upkeep(log).clean(timedelta(days=days))
    doomed = [name for name in before if name[0] == "0" and int(name[:20]) < first]
    assert removed == len(doomed)
    assert table.store.files() == [name for name in before if name not in doomed]
    for process in (log, table.log()):
        assert len(paths(process.refresh())) == 9
    table.requests()
    assert table.upkeep(log).clean(timedelta(days=days)) == 0
    assert table.requests() == ["ListObjectsV2", "HeadObject"]


def test_without_a_checkpoint_nothing_is_cleaned() -> None:
    table = Table()
    log = table.made(3)
    table.world.seconds += 100 * DAY_SECONDS
    assert table.upkeep(log).clean() == 0
    assert len(table.store.files()) == 4
    empty = Table()
    assert empty.upkeep(empty.log()).clean() == 0


def test_a_checkpoint_is_read_before_what_is_behind_it_goes() -> None:
    table = Table()
    log = table.made()
    aged(table, log)
    table.store.write(CHECKPOINT(6), b"nonsense")
    before = table.store.files()
    with pytest.raises(DataFormatError, match="cannot be read"):
        table.upkeep(log).clean(timedelta(days=1))
    table.store.objects.pop(KEYS.log + ENTRY(8))
    table.store.objects.pop(KEYS.log + CHECKPOINT(9))
    with pytest.raises(DataFormatError, match="commit 8 is missing"):
        table.upkeep(log).clean(timedelta(days=1))
    assert [name for name in before if name not in table.store.files()] == [ENTRY(8), CHECKPOINT(9)]


def test_the_hint_never_names_what_is_cleaned_away() -> None:
    table = Table()
    log = table.made()
    aged(table, log)
    table.store.write("_last_checkpoint", b'{"version":3,"size":1}')
    table.upkeep(log).clean(timedelta(days=1))
    assert json.loads(table.store.objects[KEYS.last_checkpoint][0]) == {"version": 6, "size": 8, "numOfAddFiles": 6}


def test_less_than_a_day_is_refused() -> None:
    table = Table()
    log = table.made()
    with pytest.raises(ConfigurationError, match="must be 1 day, 0:00:00 or more"):
        table.upkeep(log).clean(timedelta(hours=23))


def test_what_cannot_be_deleted_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    table = Table()
    log = table.made()
    aged(table, log)
    refused = Fault(Kind.DENIED, "no")
    monkeypatch.setattr(table.store, "delete_many", lambda keys: dict.fromkeys(keys, refused))
    with pytest.raises(DatabaseOperationError, match=r"could not be deleted, with 6 more; the log is whole"):
        table.upkeep(log).clean(timedelta(days=1))


def test_a_process_that_slept_while_the_log_was_cleaned() -> None:
    table = Table()
    sleeper, writer = table.made(1), table.log()
    old = known(sleeper)
    writer.refresh()
    aged(table, writer)
    table.world.seconds += MONTH.total_seconds()
    assert table.upkeep(writer).clean() == 12
    assert ENTRY(2) not in table.store.files(), "the hole into which it would write"
    outcome = sleeper.commit(old, [pack("packs/mine")], table.job())
    assert isinstance(outcome, Conflict)
    assert outcome.snapshot.version == 10
    assert ENTRY(2) not in table.store.files()
    assert isinstance(sleeper.commit(outcome.snapshot, [pack("packs/mine")], table.job()), Committed)
    assert timedelta(seconds=100) + STALE < LOG_RETENTION_MIN


@pytest.mark.parametrize("times", [1, 2, 3])
def test_cleaning_in_the_middle_of_an_opening(times: int) -> None:
    table = Table()
    writer = table.made(3)
    left, listed = times, False

    def clean(operation: str, key: str) -> None:
        """When the first commit of a listing is to be read, all but a checkpoint of a newer one is cleaned away."""
        nonlocal left, listed
        listed = listed or operation == "ListObjectsV2"
        if not left or not listed or operation != "GetObject" or not key.endswith(".json"):
            return
        left, listed = left - 1, False
        store.meanwhile = lambda operation, key: None
        for number in range(2):
            table.add(writer, f"packs/later-{left}-{number}")
            if not number:
                table.upkeep(writer).checkpoint(known(writer), WEEK)
        for version in range(known(writer).version - 1):
            store.objects.pop(KEYS.log + ENTRY(version), None)
            store.objects.pop(KEYS.log + CHECKPOINT(version), None)
        store.objects.pop(KEYS.log + ENTRY(known(writer).version - 1))
        store.meanwhile = clean

    store = table.store
    store.meanwhile = clean
    if times == 3:
        with pytest.raises(SnapshotExpiredError, match="has been cleaned away while the log was read: begin again"):
            table.log().refresh()
    assert len(paths(table.log().refresh())) == 3 + 2 * times
    assert not left


# ---------------------------------------------------------------------------------------------- crashes
CRASHES = [(nth, before) for nth in range(1, 40) for before in (True, False)]


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [Kind.NETWORK, Kind.DENIED])
def test_commits_checkpoints_and_cleaning_that_end_at_any_request(kind: Kind) -> None:
    """NETWORK: an answer that is lost; DENIED: the process ends there, for nothing is tried again."""
    ended = 0
    for nth, before in CRASHES:
        table = Table(max_retries=0)
        log = table.made()
        aged(table, log)
        table.store.breaks = [Break(kind, nth=nth, before=before)]
        acknowledged = set(paths(known(log)))
        try:
            upkeep = table.upkeep(log)
            for number in range(3):
                made = log.commit_with(actions_of(pack(f"packs/new-{number}")), Job(f"new-{number}", "WRITE"))
                assert made
                acknowledged.add(f"packs/new-{number}")
                upkeep.checkpoint(made.snapshot, WEEK)
            upkeep.clean(timedelta(days=1))
        except (Fault, DatabaseOperationError):
            ended += 1
        table.store.breaks = []
        for process in (log, table.log()):
            found = paths(process.refresh())
            assert acknowledged <= set(found)
            assert len(found) <= len(acknowledged) + 1, "at most what was not acknowledged yet"
        again = table.log()
        for number in range(3):  # the same work once more: jobs that are in the log already are found there
            add_once(again, f"packs/new-{number}")
        table.upkeep(again).checkpoint(known(again), WEEK)
        table.upkeep(again).clean(timedelta(days=1))
        assert table.upkeep(again).clean(timedelta(days=1)) == 0
        names = table.store.files()
        assert [int(name[:20]) for name in names if name.endswith(".json")] == list(range(6, 13))
        assert len(paths(table.log().refresh())) == 12
    assert ended > 20


def add_once(log: Log, path: str) -> None:
    log.commit_with(lambda snapshot: None if path in snapshot.packs else [pack(path)], Job(path, "WRITE"))


# ---------------------------------------------------------------------------------------------- all of it
@given(st.integers(0, 2**32))
@settings(max_examples=40)
@pytest.mark.thorough
def test_any_sequence_is_what_a_dict_says(seed: int) -> None:
    dice = random.Random(seed)
    table = Table()
    logs = [table.made(), table.log(), table.log()]
    expected: dict[str, int] = {}
    version = 0
    for step in range(dice.randrange(5, 40)):
        log = dice.choice(logs)
        table.world.seconds += dice.choice([1, DAY_SECONDS, 10 * DAY_SECONDS])
        what = dice.choice(["add", "add", "change", "remove", "checkpoint", "clean", "open"])
        if what == "open":
            logs[dice.randrange(3)] = table.log()
        elif what == "checkpoint":
            snapshot = log.refresh()
            assert snapshot is not None
            table.upkeep(log).checkpoint(snapshot, WEEK)
        elif what == "clean":
            table.upkeep(log).clean(dice.choice([timedelta(days=1), WEEK, MONTH]))
        else:
            gone = dice.sample(sorted(expected), min(len(expected), dice.randrange(3))) if what != "add" else []
            new = (
                {f"packs/{step}-{n}": dice.randrange(1000) for n in range(dice.randrange(3))}
                if what != "remove"
                else {}
            )
            milliseconds = int(table.store.time.timestamp() * 1000)
            actions = [*(pack(p).removed(milliseconds) for p in gone), *(Add(p, s, 0) for p, s in new.items())]
            made = log.commit_with(actions_of(*actions), table.job(), snapshot=log.known)
            assert made
            version += 1
            assert made.version == version
            expected = {path: size for path, size in expected.items() if path not in gone} | new
    for process in (*logs, table.log()):
        snapshot = process.refresh()
        assert snapshot is not None
        assert snapshot.version == version
        assert {path: add.size for path, add in snapshot.packs.items()} == expected
        assert not snapshot.removed.keys() & expected.keys()


@pytest.mark.thorough
def test_ten_thousand_commits_are_opened_by_their_checkpoint() -> None:
    table = Table()
    log = table.made()
    for number in range(10_000):
        actions = [pack(f"packs/{number}")]
        if number > 50:
            actions.append(pack(f"packs/{number - 50}").removed(number))
        assert isinstance(log.commit(known(log), actions, table.job()), Committed)
        if number % 100 == 99:
            table.upkeep(log).checkpoint(known(log), WEEK)
    table.requests()
    assert len(paths(table.log().refresh())) == 51
    assert table.requests() == ["GetObject", "ListObjectsV2", "GetObject"]
