"""What only a file can do wrong: several processes, crashes, damage, hand-made edits."""

from __future__ import annotations

import csv
import errno
import fcntl
import io
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pyarrow import parquet

from dataknobs_data.backends import file_formats
from dataknobs_data.backends.file import AsyncFileDatabase, FileDatabase, SyncFileDatabase
from dataknobs_data.backends.file_store import SharedFile
from dataknobs_data.exceptions import (
    BackendNotFoundError,
    BatchError,
    ConcurrencyError,
    ConfigurationError,
    DatabaseOperationError,
    DataFormatError,
    DuplicateRecordError,
    ThrottledError,
)
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Of a file that does not exist yet."""
    return tmp_path / "records.jsonl"


def open_file(path: Path, **settings: Any) -> FileDatabase:
    """A database on that file."""
    return FileDatabase.from_config({"path": str(path), **settings})


def fill(path: Path, count: int = 3) -> FileDatabase:
    """A database of r0, r1, …"""
    db = open_file(path)
    for n in range(count):
        db.create(Record({"n": n}, id=f"r{n}"))
    return db


# ---------------------------------------------------------------------------------------------- which file
def test_the_names_are_one_class() -> None:
    assert SyncFileDatabase is FileDatabase
    assert AsyncFileDatabase.sync_class is FileDatabase


@pytest.mark.parametrize(
    ("name", "start"),
    [("x.jsonl", b'{"format"'), ("x.csv", b"\xef\xbb\xbf_id,n,"), ("X.CSV", b"\xef\xbb\xbf_id,n,"), ("x.parquet", b"PAR1"),
     ("x.pq", b"PAR1"), ("x.data", b'{"format"'), ("x", b'{"format"')],
)  # fmt: skip
def test_the_name_chooses_the_format(tmp_path: Path, name: str, start: bytes) -> None:
    fill(tmp_path / name)
    assert (tmp_path / name).read_bytes().startswith(start)


def test_a_setting_chooses_the_format_against_the_name(tmp_path: Path) -> None:
    open_file(tmp_path / "x.jsonl", format="csv").create(Record({"n": 1}))
    assert (tmp_path / "x.jsonl").read_bytes().startswith(b"\xef\xbb\xbf_id")


def test_wrong_settings_are_named(path: Path) -> None:
    with pytest.raises(ConfigurationError, match="did you mean 'parquet'"):
        open_file(path, format="parket")
    with pytest.raises(ConfigurationError, match="requires 'path'"):
        FileDatabase.from_config({})


def test_a_path_may_be_a_path(path: Path) -> None:
    FileDatabase.from_config({"path": path}).create(Record({"n": 1}, id="a"))
    assert open_file(path).list_ids() == ["a"]


def test_the_folder_is_made_by_the_first_write_only(tmp_path: Path) -> None:
    db = open_file(tmp_path / "deep" / "er" / "x.jsonl")
    assert db.count() == 0
    assert not (tmp_path / "deep").exists()
    db.create(Record({"n": 1}))
    assert db.count() == 1


def test_a_link_is_followed_and_stays(tmp_path: Path, path: Path) -> None:
    fill(path)
    link = tmp_path / "link.jsonl"
    link.symlink_to(path)
    open_file(link).update("r0", Record({"n": 10}))
    assert link.is_symlink()
    assert open_file(path).read("r0")["n"] == 10  # type: ignore[index]


def test_the_file_s_mode_survives(path: Path) -> None:
    db = fill(path)
    path.chmod(0o640)
    db.update("r0", Record({"n": 10}))
    db.delete("r1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_nothing_but_the_file_and_its_lock_is_left(path: Path) -> None:
    db = fill(path)
    db.update("r0", Record({"n": 10}))
    db.close()
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".records.jsonl.lock", "records.jsonl"]


def test_a_driver_that_is_missing_is_named_with_its_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ImportError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(file_formats, "import_module", missing)
    with pytest.raises(BackendNotFoundError, match=r"pyarrow.*pip install '\.\[parquet\]'"):
        open_file(tmp_path / "x.parquet").connect()


# ---------------------------------------------------------------------------------------------- durable
def test_creates_are_appended_and_everything_else_replaces(path: Path) -> None:
    db = fill(path)
    first = path.stat().st_ino
    db.batch_create([Record({"n": n}) for n in range(5)])
    db.upsert(Record({"n": 1}, id="new"))
    assert path.stat().st_ino == first
    content = path.read_bytes()
    with pytest.raises(DuplicateRecordError):
        db.create(Record({"n": 9}, id="r0"))
    assert db.update("missing", Record({})) is False
    assert db.delete("missing") is False
    assert path.read_bytes() == content, "what changes nothing writes nothing"
    db.update("r0", Record({"n": 10}))
    assert path.stat().st_ino != first
    assert open_file(path).count() == 9


def test_the_disk_has_it_before_it_is_told(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[int] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    db = open_file(path)
    for change in (
        lambda: db.create(Record({"n": 1}, id="a")),
        lambda: db.update("a", Record({})),
        lambda: db.delete("a"),
    ):
        synced.clear()
        change()
        assert path.stat().st_ino in synced
        assert path.parent.stat().st_ino in synced
    db.create(Record({"n": 1}, id="b"))
    synced.clear()
    db.create(Record({"n": 1}, id="c"))
    assert synced == [path.stat().st_ino], "an append leaves the folder alone"


WRITER = """
import sys
from dataknobs_data.backends.file import FileDatabase
from dataknobs_data.records import Record

path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
db = FileDatabase.from_config({"path": path})
for n in range(count):
    id = db.create(Record({"n": n, "by": name}, id=f"{name}-{n:06}"))
    if n % 3 == 1:
        db.update(id, Record({"n": -n, "by": name}))
    print(id, flush=True)
"""


def start_writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    """A process that creates records, updates every third, and prints the id of what is done."""
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)], stdout=subprocess.PIPE, text=True
    )


@pytest.mark.parametrize("extension", ["jsonl", "csv"])
def test_several_processes_lose_nothing_of_each_other(tmp_path: Path, extension: str) -> None:
    path = tmp_path / f"shared.{extension}"
    writers = [start_writer(path, name, 20) for name in "abc"]
    acknowledged = [id for writer in writers for id in writer.communicate()[0].split()]
    assert [writer.returncode for writer in writers] == [0, 0, 0]
    db = open_file(path)
    assert db.list_ids() == sorted(acknowledged)
    assert len(acknowledged) == 60
    assert {str(record.id): record["n"] for record in db.all()} == {
        f"{name}-{n:06}": -n if n % 3 == 1 else n for name in "abc" for n in range(20)
    }


def test_a_killed_process_loses_nothing_that_it_was_told(path: Path) -> None:
    writer = start_writer(path, "a", 100_000)
    assert writer.stdout is not None
    acknowledged = [writer.stdout.readline().strip() for _ in range(50)]
    writer.send_signal(signal.SIGKILL)
    acknowledged += writer.communicate()[0].split()
    db = open_file(path)
    assert set(acknowledged) <= set(db.list_ids())
    assert db.create(Record({"n": 1}, id="afterwards")) == "afterwards", "its lock went with it"


def test_a_write_that_fails_changes_nothing_and_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    db = fill(path)
    content = path.read_bytes()

    def full(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    changes: list[Callable[[], object]] = [
        lambda: db.create(Record({"n": 3}, id="r3")),
        lambda: db.update("r0", Record({"n": 10})),
        lambda: db.upsert(Record({"n": 10}, id="r1")),
        lambda: db.delete("r0"),
        db.clear,
    ]
    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        for change in changes:
            with pytest.raises(DatabaseOperationError, match="No space left"):
                change()
            assert path.read_bytes() == content
        with pytest.raises(BatchError) as caught:
            db.batch_upsert([Record({"bad": object()}, id="r5"), Record({"n": 1}, id="r6")])
        assert sorted(caught.value.failed) == [0, 1]
        assert [record["n"] for record in db.all()] == [0, 1, 2]
    assert sorted(entry.name for entry in path.parent.iterdir()) == [".records.jsonl.lock", "records.jsonl"]
    db.delete("r0")
    assert open_file(path).list_ids() == ["r1", "r2"]


def test_an_interrupt_in_the_middle_of_a_write_leaves_what_is_in_the_file(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    db = fill(path)

    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", interrupted)
        with pytest.raises(KeyboardInterrupt):
            db.update("r0", Record({"n": 10}))
    assert db.read("r0")["n"] == 0  # type: ignore[index]
    assert db.update("r0", Record({"n": 10})) is True


# ---------------------------------------------------------------------------------------------- shared
def test_changes_by_others_are_seen_at_once_even_of_the_same_size(path: Path) -> None:
    mine, other = open_file(path), open_file(path)
    mine.create(Record({"n": 0}, id="a"))
    for n in range(1, 10):
        other.update("a", Record({"n": n}))
        assert mine.read("a")["n"] == n  # type: ignore[index]
    path.unlink()
    assert mine.read("a") is None
    assert mine.create(Record({"n": 0}, id="a")) == "a"
    assert other.list_ids() == ["a"]


def test_a_stale_view_is_refreshed_before_a_write(path: Path) -> None:
    mine, other = open_file(path), open_file(path)
    mine.create(Record({"n": 0}, id="a"))
    version = mine.get_version("a")
    other.update("a", Record({"n": 1}))
    with pytest.raises(ConcurrencyError):
        mine.update("a", Record({"n": 2}), expected_version=version)
    with pytest.raises(DuplicateRecordError):
        other.create(Record({}, id="b")) and mine.create(Record({}, id="b"))


def test_a_lock_that_is_held_too_long_is_said(path: Path) -> None:
    fill(path)
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with SharedFile(path, Runtime(), 1.0).locked(exclusive=True):
            held.set()
            done.wait()

    holder = threading.Thread(target=hold)
    holder.start()
    held.wait()
    try:
        db = open_file(path, lock_timeout="0.02")
        with pytest.raises(ThrottledError, match=r"held its lock for 0\.02 s"):
            db.create(Record({"n": 1}))
    finally:
        done.set()
        holder.join()
    assert db.create(Record({"n": 1}, id="a")) == "a"


def test_a_lock_is_held_on_the_file_that_others_will_lock(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lock, real = path.with_name(".records.jsonl.lock"), fcntl.flock
    deletions = iter([True])

    def flock(descriptor: int, kind: int) -> None:
        if next(deletions, False):
            lock.unlink()  # somebody cleans up between our open and our lock
            lock.touch()
        real(descriptor, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    second = SharedFile(path, Runtime(), 0.02)
    with (
        SharedFile(path, Runtime(), 10).locked(exclusive=True),
        pytest.raises(ThrottledError),
        second.locked(exclusive=True),
    ):
        pass
    with SharedFile(path, Runtime(), 10).locked(exclusive=True):
        pass


# ---------------------------------------------------------------------------------------------- damage
def test_a_damaged_line_is_named_and_nothing_is_changed_until_it_is_repaired(path: Path) -> None:
    db = fill(path)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(lines[0] + b'{"id": "r1", "data": {"n"\n' + lines[2])
    content = path.read_bytes()
    message = r"records\.jsonl, line 2: no JSON"
    with pytest.raises(DataFormatError, match=message) as caught:
        db.search()
    assert caught.value.context == {"path": str(path), "line": 2}
    for call in (
        db.count,
        db.list_ids,
        lambda: db.read("r1"),
        lambda: db.exists("r1"),
        lambda: db.get_version("nobody"),
    ):
        with pytest.raises(DataFormatError, match=message):
            call()
    for write in (lambda: db.create(Record({})), lambda: db.delete("r0"), db.clear):
        with pytest.raises(DataFormatError, match="repair the file"):
            write()
    assert path.read_bytes() == content
    assert db.read("r2")["n"] == 2  # type: ignore[index]
    found = db.search(on_error="collect")
    assert ([record.id for record in found], len(found.errors)) == (["r0", "r2"], 1)

    path.write_bytes(b"".join(lines))
    assert db.delete("r0") is True


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"[1, 2]", "no JSON object"),
        (b'{"data": {"n": 1}}', "a record id must be a string"),
        (b'{"id": "x", "name": "Alice"}', "no 'data' object"),
        (b'{"id": "x", "data": {"d": "soon"}, "types": {"/data/d": "date"}}', "/data/d is no date"),
        (b'{"id": "x", "data": {}, "format": 99}', "format 99"),
        (b"\xff\xfe", "no JSON"),
        (b'{"id": "r0", "data": {}}', "two records 'r0'"),
    ],
)
def test_every_kind_of_damage_is_said(path: Path, line: bytes, what: str) -> None:
    db = fill(path)
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(DataFormatError, match=what) as caught:
        db.search()
    assert str(path) in str(caught.value)
    assert len(db.search(on_error="collect")) == 3


def test_a_torn_end_is_reported_left_out_and_kept_aside(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    fill(path)
    whole = path.read_bytes()
    torn = whole.splitlines()[0][:40]
    path.write_bytes(whole + torn)
    db = open_file(path)
    with caplog.at_level(logging.WARNING):
        assert db.list_ids() == ["r0", "r1", "r2"]
    assert f"{len(torn)} bytes of a record that was not written completely" in caplog.text
    assert path.read_bytes() == whole + torn, "reading changes nothing"
    db.create(Record({"n": 3}, id="r3"))
    assert path.with_name("records.jsonl.torn").read_bytes() == torn + b"\n"
    assert open_file(path).list_ids() == ["r0", "r1", "r2", "r3"]


def test_a_last_line_without_its_end_is_a_line_when_it_is_whole(path: Path) -> None:
    fill(path)
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    db = open_file(path)
    db.create(Record({"n": 3}, id="r3"))
    assert open_file(path).list_ids() == ["r0", "r1", "r2", "r3"]


def test_lines_of_other_writers_are_read(path: Path) -> None:
    path.write_text('\n{"id": "a", "data": {"x": NaN}, "metadata": {"m": 1}}\r\n\n{"id": "b", "data": {}}')
    db = open_file(path)
    a = db.read("a")
    assert a is not None
    assert a["x"] != a["x"]
    assert a.metadata["m"] == 1
    assert a.metadata["created_at"].endswith("Z")
    version = db.get_version("a")
    path.write_text('{"id": "a", "data": {"x": 1}}\n')
    assert db.get_version("a") != version, "a change by hand is a new version"


# ---------------------------------------------------------------------------------------------- CSV
def rows_of(path: Path) -> list[dict[str, str]]:
    """A CSV file as a spreadsheet sees it."""
    with open(path, encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def test_a_csv_file_is_readable_in_a_spreadsheet(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    values = {
        "name": 'Änne, "A"\nB',
        "age": 31,
        "ok": True,
        "none": None,
        "price": Decimal("1.10"),
        "tags": ["a"],
        "f": "=1+1",
    }
    open_file(path).create(Record(values, {"source": "import"}, id="a"))
    [row] = rows_of(path)
    assert list(row)[:8] == ["_id", *values]
    assert {name: row[name] for name in values} == {
        "name": "Änne, \"A\"\nB", "age": "31", "ok": "true", "none": "", "price": "1.10", "tags": '["a"]', "f": '"=1+1"',
    }  # fmt: skip


def test_a_csv_file_may_be_edited_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    db = open_file(path)
    db.create(Record({"name": "Alice", "age": 31, "born": None}, {"kept": 1}, id="a"))
    rows = rows_of(path)
    rows[0] |= {"name": "Alicia", "age": "32"}
    rows.append({"_id": "b", "name": "Bob", "age": "40", "note": "new column"})
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, [*rows[0], "note"], restval="")
        writer.writeheader()
        writer.writerows(rows)
    a, b = db.batch_read(["a", "b"])
    assert a is not None
    assert b is not None
    assert (a.data, a.metadata["kept"]) == ({"name": "Alicia", "age": 32, "born": None}, 1)
    assert b.data == {"name": "Bob", "age": "40", "note": "new column"}
    db.update("b", Record({"age": 41}))
    assert open_file(path).read("a") == a


def test_any_csv_file_with_ids_is_a_database(tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,name,city\n1,Alice,Berlin\n2,Bob,\n\n")
    db = open_file(path)
    assert [(record.id, record.data) for record in db.all()] == [
        ("1", {"id": "1", "name": "Alice", "city": "Berlin"}),
        ("2", {"id": "2", "name": "Bob"}),
    ]
    db.create(Record({"name": "Cho"}, id="3"))
    assert open_file(path).list_ids() == ["1", "2", "3"]


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"name,city\nAlice,Berlin\n", "line 1: there is no column '_id' or 'id'"),
        (b"_id,name,name\na,x,y\n", "line 1: the column name 'name' stands there twice"),
        (b"_id,name\na,x,y\n", "line 2: 3 cells under 2 column names"),
        (b'_id,name\na,"x\ny"\nb,"open\n', "line 4: "),
        (b"_id,name\na,\xff\n", "line 2: not UTF-8"),
        (b"_id,name\n,x\n", "line 2: a record id must not be empty"),
        (b"_id,name,_rest\na,x,{\n", "line 2: no JSON"),
        (b"_id,name,_rest\na,x,[]\n", "line 2: _rest is no JSON object"),
        (b'_id,age,_rest\na,x,"{""order"":[""age""],""json"":[""age""]}"\n', "line 2: column 'age' should hold JSON"),
        (b'_id,age,_rest\na,x,"{""order"":5}"\n', "line 2: not a record"),
    ],
)
def test_damage_in_a_csv_file_is_named_by_line(tmp_path: Path, content: bytes, what: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    with pytest.raises(DataFormatError) as caught:
        open_file(path).search()
    assert f"{path}, {what}" in str(caught.value)


def test_cells_longer_than_the_csv_module_s_limit_are_read(tmp_path: Path) -> None:
    open_file(tmp_path / "x.csv").create(Record({"text": "x" * 300_000}, id="a"))
    csv.field_size_limit(131_072)
    assert len(open_file(tmp_path / "x.csv").read("a")["text"]) == 300_000  # type: ignore[index]


def test_fields_beyond_the_columns_are_kept_in_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(file_formats, "COLUMNS_MAX", 3)
    path = tmp_path / "x.csv"
    record = Record({f"f{n}": n for n in range(10)}, id="a")
    open_file(path).create(record)
    assert list(rows_of(path)[0]) == ["_id", "f0", "f1", "f2", "_created_at", "_updated_at", "_rest"]
    assert open_file(path).read("a").data == record.data  # type: ignore[union-attr]
    assert open_file(path).read("a").field_names() == record.field_names()  # type: ignore[union-attr]


# ---------------------------------------------------------------------------------------------- Parquet
def test_a_parquet_file_has_typed_columns_for_other_tools(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    open_file(path).batch_create(
        [
            Record({"n": 1, "f": 1.5, "b": True, "t": "x", "mixed": 1, "list": [1], "_own": 1, "big": 2**63}, id="a"),
            Record({"n": None, "t": "", "mixed": "1"}, id="b"),
        ]
    )
    table = parquet.read_table(path)
    assert {field.name: str(field.type) for field in table.schema} == {
        "_id": "string", "n": "int64", "f": "double", "b": "bool", "t": "string",
        "_created_at": "string", "_updated_at": "string", "_rest": "string",
    }  # fmt: skip
    assert table.select(["_id", "n", "t"]).to_pylist() == [
        {"_id": "a", "n": 1, "t": "x"},
        {"_id": "b", "n": None, "t": ""},
    ]


def test_a_file_that_is_no_parquet_is_said(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    db = open_file(path)
    with pytest.raises(DataFormatError, match="row 1: not a Parquet file"):
        db.search()
    with pytest.raises(DataFormatError, match="repair"):
        db.create(Record({}))
    assert path.read_bytes() == b"PAR1 and then nothing"


def test_any_parquet_file_with_ids_is_a_database(tmp_path: Path) -> None:
    import pyarrow

    path = tmp_path / "x.parquet"
    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"id": [1, 2], "name": ["Alice", None], "raw": [b"x", b""]}), buffer)
    path.write_bytes(buffer.getvalue())
    assert [(record.id, record.data) for record in open_file(path).all()] == [
        ("1", {"id": 1, "name": "Alice", "raw": b"x"}),
        ("2", {"id": 2, "raw": b""}),
    ]
