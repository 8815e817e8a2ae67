"""What is particular to SQLite: files, locks, threads and processes, damage."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.backends.sqlite import AsyncSQLiteDatabase, SQLiteDatabase, SyncSQLiteDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.documents import Deletion
from dataknobs_data.exceptions import (
    ConcurrencyError,
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataFormatError,
)
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.streaming import StreamConfig
from tests.integration.statements import statements_of


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file that does not exist yet."""
    return tmp_path / "records.db"


@pytest.fixture
def db(path: Path) -> Iterator[SQLiteDatabase]:
    """A new, empty database."""
    with SQLiteDatabase({"path": path}) as database:
        yield database


def execute(path: Path, *statements: str) -> None:
    """Changes the file behind the database's back."""
    connection = sqlite3.connect(path)
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


# ---------------------------------------------------------------------------------------------- settings
def test_the_names_of_its_classes() -> None:
    assert SyncSQLiteDatabase is SQLiteDatabase
    assert AsyncSQLiteDatabase.sync_class is SQLiteDatabase


def test_database_is_another_name_for_path(path: Path) -> None:
    with SQLiteDatabase({"database": str(path)}) as db:
        db.create(Record({"n": 1}))
    assert path.exists()


@pytest.mark.parametrize(
    ("config", "key"), [({}, "path"), ({"path": ""}, "path"), ({"path": "x", "table": ""}, "table")]
)
def test_path_and_table_must_be_given(config: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"sqlite.*'{key}'"):
        SQLiteDatabase(config)


@pytest.mark.parametrize("table", ["select", 'we"ird; DROP TABLE x', "with space", "%s", ":id", "Ümläut", "a.b"])
def test_a_table_may_have_any_name(path: Path, table: str) -> None:
    with SQLiteDatabase({"path": path, "table": table}) as db, SQLiteDatabase({"path": path}) as other:
        db.create(Record({"n": 1}, id="a"))
        assert db.search(Query().filter("n", "=", 1))[0].id == "a"
        assert other.count() == 0
    connection = sqlite3.connect(path)
    assert (table,) in connection.execute("SELECT name FROM sqlite_master").fetchall()
    connection.close()


def test_the_folder_is_made(tmp_path: Path) -> None:
    with SQLiteDatabase({"path": tmp_path / "new" / "folder" / "x.db"}) as db:
        assert db.count() == 0


# ---------------------------------------------------------------------------------------------- what can go wrong
def test_a_path_that_is_a_folder(tmp_path: Path) -> None:
    with pytest.raises(DatabaseConnectionError, match=r"unable to open.*check that 'path'") as caught:
        SQLiteDatabase({"path": tmp_path}).connect()
    assert str(tmp_path) in str(caught.value)


def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DatabaseConnectionError, match=r"the folder .*file.* cannot be made"):
        SQLiteDatabase({"path": tmp_path / "file" / "x.db"}).connect()


def test_a_file_that_is_no_database(path: Path) -> None:
    path.write_bytes(b"something else\n" * 100)
    with pytest.raises(DatabaseConnectionError, match="not a database"):
        SQLiteDatabase({"path": path}).connect()
    assert path.read_bytes().startswith(b"something else")


def test_a_table_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    execute(path, "CREATE TABLE records (id TEXT PRIMARY KEY, name TEXT)", "INSERT INTO records VALUES ('1', 'x')")
    with pytest.raises(
        ConfigurationError, match=r"'records' exists and is no record table: it has no data.*has id, name"
    ):
        SQLiteDatabase({"path": path}).count()
    with SQLiteDatabase({"path": path, "table": "mine"}) as db:
        assert db.count() == 0


def test_a_writer_that_keeps_the_file_too_long(path: Path) -> None:
    with SQLiteDatabase({"path": path, "timeout": 0.05}) as db:
        db.create(Record({"n": 1}, id="a"))
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(DatabaseOperationError, match=r"locked; another writer kept it for 0.05 s; .*'timeout'"):
            db.update("a", Record({"n": 2}))
        assert db.read("a")["n"] == 1
        other.close()
        assert db.update("a", Record({"n": 2}))


def test_a_new_file_that_another_is_about_to_write(path: Path) -> None:
    """The switch to the write-ahead log does not wait by itself, whatever the timeout."""
    path.parent.mkdir(parents=True, exist_ok=True)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    release = threading.Timer(0.3, lambda: other.execute("COMMIT"))
    release.start()
    try:
        with SQLiteDatabase({"path": path}) as db:
            assert db.create(Record({}, id="a")) == "a"
    finally:
        release.join()
        other.close()


def test_it_can_be_used_again_after_close(db: SQLiteDatabase, path: Path) -> None:
    db.create(Record({"n": 1}, id="a"))
    db.close()
    assert db.read("a") is not None
    db.close()
    assert not path.with_name("records.db-wal").exists()  # the last connection is gone, and took it along


# ---------------------------------------------------------------------------------------------- damage
DAMAGE = {
    "no JSON": "UPDATE records SET data = '{\"n\": 1' WHERE id = 'b'",
    "no object": "UPDATE records SET data = '[1]' WHERE id = 'b'",
    "metadata": "UPDATE records SET metadata = 'x' WHERE id = 'b'",
    "types are no JSON": "UPDATE records SET types = '{' WHERE id = 'b'",
    "unknown type": "UPDATE records SET types = '{\"/data/n\": \"star\"}' WHERE id = 'b'",
    "wrong type": "UPDATE records SET types = '{\"/data/s\": \"date\"}' WHERE id = 'b'",
    "no such place": "UPDATE records SET types = '{\"/data/n/x\": \"date\"}' WHERE id = 'b'",
    "fields": 'UPDATE records SET fields = \'{"n": {"type": "star"}}\' WHERE id = \'b\'',
    "replaces": "UPDATE records SET replaces = '5' WHERE id = 'b'",
}


@pytest.fixture(params=DAMAGE)
def damaged(request: pytest.FixtureRequest, db: SQLiteDatabase, path: Path) -> SQLiteDatabase:
    """Three records, the second of which is damaged."""
    db.batch_create([Record({"n": n, "s": "x"}, id=id) for n, id in enumerate("abc")])
    execute(path, DAMAGE[request.param])
    return db


READS: dict[str, Callable[[SyncDatabase], object]] = {
    "read": lambda db: db.read("b"),
    "batch_read": lambda db: db.batch_read(["a", "b"]),
    "all": lambda db: db.all(),
    "search": lambda db: db.search(Query().filter("n", "=", 1)),
    "sorted": lambda db: db.search(Query().sort("n").limit(3)),
    "stream": lambda db: list(db.stream_read()),
    "upsert": lambda db: db.upsert("b", Record({"n": 2})),
}


@pytest.mark.parametrize("read", READS)
def test_damage_is_an_error_that_names_the_record(damaged: SQLiteDatabase, read: str) -> None:
    with pytest.raises(DataFormatError, match="'b'"):
        READS[read](damaged)


@pytest.mark.parametrize(
    "query", [Query(), Query().filter("n", "!=", 7), Query().sort("n"), Query().offset(0).limit(9)]
)
def test_damage_is_collected_when_asked(damaged: SQLiteDatabase, query: Query) -> None:
    found = damaged.search(query, on_error="collect")
    assert [record.id for record in found] == ["a", "c"]
    assert [error.context["id"] for error in found.errors] == ["b"]


def test_a_damaged_record_can_be_deleted(damaged: SQLiteDatabase) -> None:
    assert damaged.list_ids() == ["a", "b", "c"]
    assert damaged.exists("b")
    assert damaged.delete("b") is True
    assert [record.id for record in damaged.all()] == ["a", "c"]


def test_a_count_never_takes_damage_for_an_answer(db: SQLiteDatabase, path: Path) -> None:
    db.batch_create([Record({"n": n}, id=str(n)) for n in range(3)])
    execute(path, "UPDATE records SET data = 'x' WHERE id = '1'")
    with pytest.raises(DataFormatError, match="'1'"):
        db.count(Query().filter("n", "=", 0))


# ---------------------------------------------------------------------------------------------- threads, processes
def count_up(db: SyncDatabase, times: int) -> None:
    """Adds 1 to the counter, so often, by compare-and-set."""
    done = 0
    while done < times:
        version = db.get_version("counter")
        value = db.read("counter")["n"]
        try:
            done += db.update("counter", Record({"n": value + 1}), expected_version=version)
        except ConcurrencyError:
            continue


@pytest.mark.parametrize("place", ["file", ":memory:"])
def test_fifty_threads_lose_nothing(place: str, path: Path) -> None:
    with SQLiteDatabase({"path": path if place == "file" else place}) as db:

        def work(number: int) -> int:
            ids = db.batch_create([Record({"thread": number, "n": n}, id=f"{number}/{n}") for n in range(10)])
            assert db.upsert(f"{number}/0", Record({"thread": number})) == ids[0]
            assert db.delete(f"{number}/9")
            return len(db.search(Query().filter("thread", "=", number).sort("n", "DESC")))

        with ThreadPoolExecutor(50) as threads:
            assert list(threads.map(work, range(50))) == [9] * 50
        assert db.count() == 450


OPENER = """
import sys
from dataknobs_data.backends.sqlite import SQLiteDatabase
from dataknobs_data.exceptions import DuplicateRecordError
from dataknobs_data.records import Record
from dataknobs_data.streaming import StreamConfig
from tests.integration.test_sqlite import count_up

with SQLiteDatabase({"path": sys.argv[1]}) as db:
    db.create(Record({}, id="own/" + sys.argv[2]))
    try:
        db.create(Record({"n": 0}, id="counter"))
    except DuplicateRecordError:
        pass
    count_up(db, 25)
"""


def test_processes_share_a_file_from_the_very_first_moment(path: Path) -> None:
    running = [subprocess.Popen([sys.executable, "-c", OPENER, str(path), str(n)]) for n in range(4)]
    assert [process.wait(60) for process in running] == [0] * 4
    with SQLiteDatabase({"path": path}) as db:
        assert db.read("counter")["n"] == 100
        assert db.count() == 5


def test_a_stream_sees_one_moment_while_others_write(db: SQLiteDatabase) -> None:
    db.batch_create([Record({"n": n}, id=f"{n:05}") for n in range(3_000)])
    seen = []
    for record in db.stream_read():
        seen.append(record.id)
        if len(seen) == 1:
            db.delete("02999")
            db.create(Record({}, id="99999"))
            db.update("02998", Record({"n": -1}))
    assert seen == [f"{n:05}" for n in range(3_000)]
    assert db.count() == 3_000


def test_records_in_memory_can_be_changed_while_they_are_streamed() -> None:
    with SQLiteDatabase({"path": ":memory:"}) as db:
        db.batch_create([Record({"n": n}) for n in range(10)])
        for record in db.stream_read():
            db.update(record.id, Record({"n": -1}))
        assert db.count(Query().filter("n", "=", -1)) == 10


def test_records_in_memory_are_nobody_else_s_and_end_with_close() -> None:
    with SQLiteDatabase({"path": ":memory:"}) as db, SQLiteDatabase({"path": ":memory:"}) as other:
        db.create(Record({"n": 1}))
        assert (db.count(), other.count()) == (1, 0)
        db.close()
        assert db.count() == 0


# ---------------------------------------------------------------------------------------------- what SQL does
@pytest.fixture
def filled(db: SQLiteDatabase) -> SQLiteDatabase:
    """A hundred records."""
    db.batch_create([Record({"n": n, "name": f"name {n}", "even": n % 2 == 0}, id=f"{n:03}") for n in range(100)])
    return db


@pytest.mark.parametrize(
    ("query", "count"),
    [
        (Query(), 100),
        (Query().filter("n", "<", 10), 10),
        (Query().filter("n", "between", [10, 19]).filter("even", "=", True), 5),
        (Query().filter("name", "=", "name 5").or_(Query().filter("id", "starts_with", "00")), 10),
        (Query().filter("name", "like", "NAME 1%"), 11),
        (Query().not_(Query().filter("n", "in", [1, 2, 3])).limit(50), 50),
    ],
)
def test_a_count_that_sql_can_decide_reads_no_record(filled: SQLiteDatabase, query: Query, count: int) -> None:
    with statements_of(filled) as statements:
        assert filled.count(query) == count
    assert len(statements) == 1
    assert statements[0].startswith("SELECT count(*)")


def test_limit_and_offset_are_sql_s_where_nothing_is_asked(filled: SQLiteDatabase) -> None:
    with statements_of(filled) as statements:
        assert [record.id for record in filled.search(Query().sort("id", "DESC").offset(2).limit(3))] == [
            "097",
            "096",
            "095",
        ]
    (statement,) = statements
    assert "ORDER BY records.id DESC" in statement
    assert "LIMIT ? OFFSET ?" in statement


def test_a_sorted_search_reads_only_the_records_it_returns(filled: SQLiteDatabase) -> None:
    with statements_of(filled) as statements:
        found = filled.search(Query().filter("even", "=", True).sort("n", "DESC").offset(1).limit(2))
    assert [record["n"] for record in found] == [96, 94]
    keys, documents = statements
    assert "records.revision" not in keys
    assert "IN (?, ?)" in documents


@pytest.mark.parametrize(
    "query", [Query().sort("n"), Query().sort("n").limit(3), Query().offset(1), Query().offset(1).limit(3)]
)
def test_what_sql_cannot_decide_is_decided_before_it_is_counted_off(filled: SQLiteDatabase, query: Query) -> None:
    numbers = sorted(n for n in range(100) if "7" in str(n))
    found = [record["n"] for record in filled.search(query.filter("name", "regex", "7"))]
    assert found == numbers[query.offset_value :][: query.limit_value]
    assert filled.count(query) == len(found)


def test_a_stream_holds_a_window_not_the_table(db: SQLiteDatabase) -> None:
    db.batch_create(Record({"text": f"{n:05}" * 400}) for n in range(10_000))
    tracemalloc.start()
    assert sum(1 for _ in db.stream_read()) == 10_000  # 20 MB
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 15_000_000


def test_threads_that_open_it_together_open_it_once(path: Path) -> None:
    db = SQLiteDatabase({"path": path})
    start = threading.Barrier(20)

    def first_use(number: int) -> int:
        start.wait()
        return db.count()

    with db, ThreadPoolExecutor(20) as threads:
        assert list(threads.map(first_use, range(20))) == [0] * 20


def test_a_batch_may_be_larger_than_a_statement_may_have_parameters(db: SQLiteDatabase) -> None:
    records = [Record({"n": n}, id=f"{n:05}") for n in range(40_000)]
    result = db.stream_write(records, StreamConfig(batch_size=40_000, on_conflict="upsert"))
    assert (result.total_batches, result.successful) == (1, 40_000)
    engine = db.connect()._engine
    assert engine.delete_many([Deletion(record.id) for record in records if record.id]) == [True] * 40_000
    assert db.count() == 0
