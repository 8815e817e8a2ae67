"""Ids of every odd kind do everything that plain ones do; strangers' keys are nobody's records."""

from __future__ import annotations

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import DatabaseOperationError, RecordValidationError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench

ODD_IDS = [
    "plain", "UPPER", "upper", "a/b/c", "a/b", "a", "a.json", "a.json/b", ".json", ".hidden", "...", ".", "..", "../up",
    "a/../b", "./a", "/lead", "trail/", "a//b", "//", " lead", "trail ", "  ", "\t", "new\nline", "\r\n", "\x00", "\x1f",
    "\x7f", "\x85", "%", "%41", "%2F", "100%", "a+b", "a b", "a&b=c", "a?b#c", "a;b", "a:b", "a*b", "a|b", "<a>", "\"q\"",
    "it's", "back\\slash", "C:\\dir", "_table", "_table/x", "x/_jobs/y", "_jobs/format", "_tables", "ümlaut", "u\u0308",
    "日本語", "😀", "\u00a0", "\u200b", "\u2028", "\ufeff", "\ufffe", "\uffff", "\U0010ffff", "a" * 200, "ü" * 120, "0", "-1",
    "id=1", "aws:x", "a@b.c", "{}", "[x]", "`", "^", "~", "$HOME", "é", "e\u0301", "x" * 100 + "/" + "y" * 100,
]  # fmt: skip


def test_every_odd_id_does_everything(bench: S3Bench, db: S3Database) -> None:
    assert len(set(ODD_IDS)) == len(ODD_IDS)
    assert db.batch_create(Record({"mine": id}, id=id) for id in ODD_IDS) == ODD_IDS
    fresh = bench.connect()
    for number, id in enumerate(ODD_IDS):
        record = fresh.read(id)
        assert record is not None, id
        assert (record.id, record["mine"]) == (id, id)
        assert fresh.exists(id)
        assert fresh.update(id, Record({"mine": id, "n": number}))
    assert [record["n"] for record in fresh.batch_read(ODD_IDS) if record] == list(range(len(ODD_IDS)))
    assert db.list_ids() == sorted(ODD_IDS), "by code point"
    assert db.count() == len(ODD_IDS)
    assert [record.id for record in db.search()] == sorted(ODD_IDS)
    uncached = bench.connect(cache_ttl=0)
    for prefix in {id[:length] for id in ODD_IDS[:: 3 if bench.is_moto else 1] for length in (1, 4)}:
        wanted = sorted(id for id in ODD_IDS if id.startswith(prefix))
        assert uncached.list_ids(prefix) == wanted, prefix
        assert [one.id for one in db.search(Query().filter("id", "starts_with", prefix))] == wanted, prefix
    for id in ODD_IDS[::2]:
        assert db.delete(id), id
    assert db.batch_delete(ODD_IDS) == [bool(n % 2) for n in range(len(ODD_IDS))]
    assert bench.ids() == []


def test_clear_deletes_every_odd_id(bench: S3Bench, db: S3Database) -> None:
    db.batch_create(Record({}, id=id) for id in ODD_IDS)
    assert db.clear() == len(ODD_IDS)
    assert bench.ids() == []
    assert db.count() == 0


def test_ids_that_differ_only_in_form_are_different_records(bench: S3Bench, db: S3Database) -> None:
    pairs = [("é", "e\u0301"), ("A", "a"), ("b/c", "b%2Fc"), ("x", "x.json"), ("d", "d/"), ("1", "01")]
    for one, other in pairs:
        db.create(Record({"n": 1}, id=one))
        assert db.read(other) is None
        db.create(Record({"n": 2}, id=other))
        assert db.delete(one)
        assert [record["n"] for record in db.batch_read([other]) if record] == [2]


def test_an_id_may_fill_a_key(bench: S3Bench, db: S3Database) -> None:
    room = 1024 - len(f"{bench.prefix}.json")
    id = "/".join(["s" * 200] * 4) + "/" + "x" * (room - 4 * 201)
    assert db.create(Record({"a": 1}, id=id)) == id
    assert db.read(id) is not None
    assert db.list_ids() == [id]
    with pytest.raises(RecordValidationError, match="its key takes 1025 bytes, S3 allows 1024"):
        db.create(Record({}, id=id + "x"))
    with pytest.raises(RecordValidationError, match="its key takes 1025 bytes"):
        db.read(id + "x")


def test_a_long_segment_is_a_matter_of_the_store(bench: S3Bench, db: S3Database) -> None:
    """A file system holds names of 255 bytes: SeaweedFS has one below it, S3 and moto have not."""
    long = "x" * 251
    if bench.is_moto:
        assert db.create(Record({}, id=long)) == long
    else:
        with pytest.raises(RecordValidationError, match=r"at most 255 bytes with its '\.json'; nothing was sent"):
            db.create(Record({}, id=long))
    assert db.create(Record({}, id="x" * 250))
    assert db.read(long) is None or bench.is_moto


# ---------------------------------------------------------------------------------------------- strangers
STRANGERS = [
    "notes.txt", "x", "image.png", "x.json/", "folder/", "x.json/inner", "%41.json", "100%.json",
    "%zz.json", "%2e.json", ".json", "tab\there.json", "_table/part.json", "_table/x.parquet",
    "nested/_table/y.json", "_jobs/other.json", "deep/_jobs/z.json", "x.JSON", "x.json.bak",
]  # fmt: skip


def put_strangers(bench: S3Bench) -> list[str]:
    """SeaweedFS makes `a/b` of `a//b` and `back/slash` of `back\\slash`: there they would be records."""
    for path in STRANGERS + ["a//b.json", "//c.json", "back\\slash.json"] * bench.is_moto:
        bench.put_key(bench.prefix + path, b"" if path.endswith("/") else b"strange")
    return [key for key in bench.paths() if key != "_jobs/format.json"]


def test_strangers_are_not_records_and_are_never_deleted(bench: S3Bench, db: S3Database) -> None:
    there = put_strangers(bench)
    assert len(there) >= len(STRANGERS)
    mine = ["c/d", "m", "y"]
    db.batch_create(Record({}, id=id) for id in mine)
    assert db.list_ids() == mine
    assert db.count() == 3
    assert [record.id for record in db.search()] == mine
    assert [record.id for record in db.stream_read()] == mine
    assert db.batch_delete(["y", "notes", "100%", "_table/part"]) == [True, False, False, False]
    assert db.clear() == 2
    assert sorted(key for key in bench.paths() if key != "_jobs/format.json") == sorted(there)


def test_a_record_beside_a_stranger_of_nearly_its_name(bench: S3Bench, db: S3Database) -> None:
    there = put_strangers(bench)
    for id in ("100%", "%41", "tab\there", "back\\slash", "_table/part", "a//b", "/c"):
        assert db.read(id) is None, id
        db.create(Record({"mine": True}, id=id))
        assert db.read(id) is not None, id
        assert db.delete(id), id
    assert sorted(key for key in bench.paths() if key != "_jobs/format.json") == sorted(there)


@pytest.mark.parametrize("order", [1, -1])
def test_a_record_and_a_folder_of_its_name_do_not_lose_each_other(bench: S3Bench, db: S3Database, order: int) -> None:
    """Where keys are paths of a file system, `a.json` cannot be both, and of two that race one was lost."""
    ids = ["a", "a.json/b", "a.json/c.json/d"][::order]
    for id in ids:
        db.create(Record({"mine": id}, id=id))
    assert db.delete("a.json") is False
    assert [record["mine"] for record in bench.connect().batch_read(ids) if record] == ids
    for id in ids:
        assert db.delete(id)
        assert not db.exists(id)
    for number in range(40):
        pair = [f"r{number}/a", f"r{number}/a.json/b"]
        db.batch_create(Record({}, id=id) for id in pair)
        assert db.list_ids(f"r{number}/") == pair


def test_another_prefix_is_another_database(bench: S3Bench, db: S3Database) -> None:
    beside = bench.connect(prefix=bench.prefix.rstrip("/") + "-beside/")
    beside.create(Record({}, id="theirs"))
    db.create(Record({}, id="mine"))
    assert db.list_ids() == ["mine"]
    assert db.clear() == 1
    assert beside.list_ids() == ["theirs"]


# ---------------------------------------------------------------------------------------------- nested prefixes
def test_the_records_of_a_nested_database_are_visible_by_their_path(bench: S3Bench, db: S3Database) -> None:
    inner = bench.connect(prefix=f"{bench.prefix}2024/01/")
    inner.create(Record({"n": 1}, id="a"))
    db.create(Record({"n": 2}, id="top"))
    assert db.list_ids() == ["2024/01/a", "top"]
    found = db.read("2024/01/a")
    assert found is not None
    assert found["n"] == 1
    assert db.update("2024/01/a", Record({"n": 3}))
    assert db.list_ids("2024/") == ["2024/01/a"]
    inside = inner.read("a")
    assert inside is not None
    assert inside["n"] == 3
    assert inner.list_ids() == ["a"]


def test_clear_refuses_where_another_database_lives_inside(bench: S3Bench, db: S3Database) -> None:
    inner = bench.connect(prefix=f"{bench.prefix}2024/01/")
    inner.create(Record({}, id="a"))
    db.create(Record({}, id="top"))
    before = bench.paths()
    with pytest.raises(DatabaseOperationError) as caught:
        db.clear()
    assert "clear() would delete the records of another database" in str(caught.value)
    assert f"{bench.prefix}2024/01/_jobs/format.json" in str(caught.value)
    assert "nothing was deleted" in str(caught.value)
    assert bench.paths() == before
    assert inner.clear() == 1
    assert db.list_ids() == ["top"]


def test_without_a_prefix_the_whole_bucket_is_the_database(bench: S3Bench, bucket_name: str) -> None:
    bench.server.create_bucket(bucket_name)
    whole = bench.connect(bucket=bucket_name, prefix="")
    whole.create(Record({}, id="a"))
    whole.create(Record({}, id="/b"))
    lines = bench.client.list_objects_v2(Bucket=bucket_name)["Contents"]
    assert sorted(line["Key"] for line in lines) == ["%/b.json", "_jobs/format.json", "a.json"]
    assert whole.list_ids() == ["/b", "a"]
    assert whole.clear() == 2
