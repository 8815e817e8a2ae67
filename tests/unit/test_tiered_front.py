"""What stands in front of the table and cannot be read: archived and damaged objects, as large as a tombstone or not."""

from __future__ import annotations

import random

import pyarrow as pa
import pytest

from dataknobs_data.exceptions import BatchError, DataFormatError, RecordArchivedError
from dataknobs_data.records import Record
from dataknobs_data.s3.store import Listed, PutOptions
from dataknobs_data.s3.tiered.front import Front
from dataknobs_data.s3.tombstones import Tombstone
from tests.unit.tiered_world import KEYS, OPERATION_OVER, TieredWorld, seen

LINE = Listed("key", "etag", 1, "STANDARD", "")


def unreadable(*ids: str) -> TieredWorld:
    """`cold` is archived, `bad` damaged; both could be tombstones by their sizes."""
    world = TieredWorld()
    world.open().create(Record({"v": 1}, id="cold"))
    body, _, options = world.store.objects[KEYS.record("cold")]
    world.store.put(KEYS.record("cold"), body.ljust(128 * 8), options, None)
    world.store.archived.add(KEYS.record("cold"))
    world.store.put(KEYS.record("bad"), b"{".ljust(256), PutOptions(), None)
    return world


def test_they_are_counted_and_listed() -> None:
    db = unreadable().open()
    assert (db.count(), db.list_ids()) == (2, ["bad", "cold"])


def test_reading_them_says_what_is_the_matter() -> None:
    db = unreadable().open()
    with pytest.raises(RecordArchivedError):
        db.read("cold")
    with pytest.raises(DataFormatError):
        db.read("bad")


def test_a_load_does_not_take_their_ids() -> None:
    world = unreadable()
    with pytest.raises(BatchError) as caught:
        world.open().batch_create([Record({"v": n}, id=id) for n, id in enumerate(["a", "b", "bad", "cold"])])
    assert set(caught.value.succeeded.values()) == {"a", "b"}
    assert set(caught.value.failed) == {2, 3}
    assert world.births("a", "b", "bad", "cold").keys() == {"a", "b"}


@pytest.mark.parametrize("others", [0, 3, 30, 300])
def test_a_tombstone_of_any_size_hides_what_it_kills(others: int) -> None:
    """Of 300 births its headers cannot tell."""
    world = TieredWorld()
    db = world.open()
    db.batch_create([Record({"v": n}, id=f"r{n}") for n in range(3)])
    (birth,) = world.births("r1")["r1"]
    kills = frozenset({birth, *(f"another birth {number}" for number in range(others))})
    grave = Tombstone(kills, "r")
    world.store.put(KEYS.record("r1"), grave.encode(), PutOptions(grave.headers()), None)
    assert seen(world.open()).keys() == {"r0", "r2"}
    assert not world.open().exists("r1")
    assert world.open().delete("r1") is False
    world.passes(OPERATION_OVER)
    world.open().compact(full=True)
    assert seen(world.open()).keys() == {"r0", "r2"}
    assert not world.births("r1")


def test_a_tombstone_that_makes_no_sense_still_kills_what_its_headers_say() -> None:
    world = TieredWorld()
    db = world.open()
    db.batch_create([Record({"v": n}, id=f"r{n}") for n in range(3)])
    (birth,) = world.births("r1")["r1"]
    grave = Tombstone(frozenset({birth}), "r")
    world.store.put(KEYS.record("r1"), b'{"tombstone":'.ljust(128), PutOptions(grave.headers()), None)
    other = world.open()
    assert (other.count(), other.list_ids()) == (2, ["r0", "r2"])
    world.passes(OPERATION_OVER)
    assert other.compact(full=True, wait=True).buried == 1
    assert not world.hot()
    assert world.open().list_ids() == ["r0", "r2"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())], ids=str)
def test_what_it_hides_of_any_rows(kind: pa.DataType) -> None:
    """Of rows in any order, and of ids in texts of any type: other programs' packs have such."""
    for seed in range(200):
        dice = random.Random(seed)
        rows = [(f"{dice.randrange(30):02}", dice.choice("xy")) for _ in range(dice.randrange(9))]
        documents = {f"{dice.randrange(30):02}": LINE for _ in range(dice.randrange(5))}
        graves = {f"{dice.randrange(30):02}": frozenset(dice.choice("xy")) for _ in range(dice.randrange(5))}
        front = Front(documents, graves)
        ids = pa.array([id for id, _ in rows], pa.string()).cast(kind)
        seen = front.visible(pa.table({"_id": ids, "_born": pa.array([born for _, born in rows], pa.string())}))
        found = list(zip(seen["_id"].to_pylist(), seen["_born"].to_pylist(), strict=True))
        assert found == [row for row in rows if row[0] not in documents and row[1] not in graves.get(row[0], ())]
