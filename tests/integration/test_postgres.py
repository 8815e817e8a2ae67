"""What is particular to PostgreSQL: addresses, names, locks, conflicts, lost connections, texts it cannot hold."""

from __future__ import annotations

import secrets
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import psycopg
import pytest

from dataknobs_data.backends.postgres import AsyncPostgresDatabase, PostgresDatabase, SyncPostgresDatabase
from dataknobs_data.database import SyncDatabase
from dataknobs_data.embedded import PostgresServer
from dataknobs_data.exceptions import (
    BatchError,
    ConcurrencyError,
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataFormatError,
    DuplicateRecordError,
    OutcomeUnknownError,
    RecordValidationError,
    TransactionError,
)
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.runtime import Runtime
from tests.integration.statements import statements_of
from tests.integration.test_sqlite import count_up

Config = dict[str, Any]


@pytest.fixture
def config(postgres: PostgresServer) -> Config:
    """A table that does not exist yet."""
    return {"connection_string": postgres.url, "table": f"records_{uuid.uuid4().hex}"}


@pytest.fixture
def db(config: Config) -> Iterator[PostgresDatabase]:
    """A new, empty database."""
    with PostgresDatabase(config) as database:
        yield database


@pytest.fixture
def admin(postgres: PostgresServer) -> Iterator[psycopg.Connection]:
    """A connection beside the database's."""
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        yield connection


def execute(admin: psycopg.Connection, statement: str, config: Config, *values: object) -> list[Any]:
    """Runs SQL in which {table} is the table of `config`."""
    name = psycopg.sql.Identifier(config["table"])
    cursor = admin.execute(psycopg.sql.SQL(statement).format(table=name), values)  # type: ignore[arg-type]
    return cursor.fetchall() if cursor.description else []


# ---------------------------------------------------------------------------------------------- addresses
def test_the_names_of_its_classes() -> None:
    assert SyncPostgresDatabase is PostgresDatabase
    assert AsyncPostgresDatabase.sync_class is PostgresDatabase


def test_host_and_database_are_enough_with_the_rest_in_the_environment(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the requirement's migration example does it."""
    for name in ("PGPORT", "PGUSER", "PGPASSWORD"):
        monkeypatch.setenv(name, postgres.environment()[name])
    postgres.create_database(name := f"production_{uuid.uuid4().hex}")
    with SyncDatabase.from_backend("postgres", {"host": "localhost", "database": name}) as source:
        source.create(Record({"n": 1}, id="a"))
        assert source.read("a") is not None
        assert repr(source) == (
            f"<PostgresDatabase PostgreSQL at localhost:{postgres.port}, database {name!r}, table 'public.records'>"
        )


def test_the_environment_alone_is_enough(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in postgres.environment().items():
        monkeypatch.setenv(name, value)
    with PostgresDatabase({"table": f"t{uuid.uuid4().hex}"}) as db:
        assert db.count() == 0


def test_the_password_may_come_from_a_pgpass_file(
    postgres: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pgpass").write_text(f"*:*:*:{postgres.user}:{postgres.password}\n")
    (tmp_path / "pgpass").chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(tmp_path / "pgpass"))
    address = {
        "host": postgres.host,
        "port": str(postgres.port),
        "dbname": postgres.database,
        "username": postgres.user,
    }
    with PostgresDatabase({**address, "table": f"t{uuid.uuid4().hex}"}) as db:
        assert db.count() == 0


@pytest.mark.parametrize("scheme", ["postgresql", "postgres", "postgresql+psycopg"])
def test_urls_as_libpq_and_others_write_them(postgres: PostgresServer, scheme: str) -> None:
    url = postgres.url.replace("postgresql", scheme, 1)
    with PostgresDatabase({"url": url, "table": f"t{uuid.uuid4().hex}"}) as db:
        assert db.count() == 0


def test_key_value_connection_strings(postgres: PostgresServer) -> None:
    text = psycopg.conninfo.make_conninfo(postgres.url)
    with PostgresDatabase({"connection_string": text, "table": f"t{uuid.uuid4().hex}"}) as db:
        assert db.count() == 0


def test_an_address_in_two_places_is_refused() -> None:
    with pytest.raises(ConfigurationError, match=r"'connection_string' .* and so does 'host'; keep one"):
        PostgresDatabase({"connection_string": "postgresql://h/d", "host": "h"})


@pytest.mark.parametrize("text", ["host=x hunter2", "postgresql://u:hunter2@h/d?nonsense=1", "hunter2"])
def test_a_connection_string_that_is_none_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError, match="neither postgresql://") as caught:
        PostgresDatabase({"connection_string": text})
    error: BaseException | None = caught.value
    assert "hunter2" not in str(error)
    assert error.__cause__ is None
    assert error.__suppress_context__


@pytest.mark.parametrize(
    ("config", "key"),
    [
        ({"table": ""}, "table"),
        ({"table": "x" * 64}, "table"),
        ({"schema": "nul\0"}, "schema"),
        ({"pool_size": 0}, "pool_size"),
        ({"port": "five"}, "port"),
    ],
)
def test_settings_that_cannot_be(config: Config, key: str) -> None:
    with pytest.raises(ConfigurationError, match=f"postgres backend: setting '{key}'"):
        PostgresDatabase(config)


# ---------------------------------------------------------------------------------------------- no connection
def refused(config: Config) -> str:
    """The message of the error, which holds no password anywhere."""
    with pytest.raises(DatabaseConnectionError) as caught:
        PostgresDatabase(config).connect()
    error: BaseException | None = caught.value
    while error:
        assert config["password"] not in f"{error}{error!r}{vars(error)}"
        error = error.__context__
    return str(caught.value)


@pytest.fixture
def address(postgres: PostgresServer) -> Config:
    """Where the server is, and who may come in."""
    return {"host": postgres.host, "port": postgres.port, "user": postgres.user, "password": postgres.password}


def test_nobody_listens(address: Config) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        message = refused({**address, "port": port, "database": "production"})
    assert message.startswith(f"PostgreSQL at 127.0.0.1:{port}, database 'production': connection failed")
    assert message.endswith("is the server running there? Check 'host' and 'port' (or PGHOST and PGPORT)")


def test_a_host_that_does_not_exist(address: Config) -> None:
    assert "check 'host' (or PGHOST)" in refused({**address, "host": "no-such-host.invalid"})


def test_a_wrong_password(address: Config) -> None:
    message = refused({**address, "password": secrets.token_hex()})
    assert "password authentication failed" in message
    assert message.endswith("check 'user' and 'password' (or PGUSER and PGPASSWORD)")


def test_a_database_that_does_not_exist(address: Config) -> None:
    message = refused({**address, "database": "nowhere"})
    assert "database 'nowhere'" in message
    assert message.endswith("create the database, or check 'database' (or PGDATABASE)")


def test_an_error_comes_again_and_leaves_the_database_usable(address: Config, postgres: PostgresServer) -> None:
    name = f"later_{uuid.uuid4().hex}"
    db = PostgresDatabase({**address, "database": name})
    for _ in range(2):
        with pytest.raises(DatabaseConnectionError, match="does not exist"):
            db.count()
    postgres.create_database(name)
    assert db.count() == 0
    db.close()


def test_connections_that_died_are_replaced(config: Config, admin: psycopg.Connection) -> None:
    with PostgresDatabase(
        {**config, "connection_string": config["connection_string"] + "?application_name=dying"}
    ) as db:
        db.create(Record({"n": 1}, id="a"))
        killed = admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'dying'"
        )
        assert killed.fetchall() == [(True,)]
        assert db.read("a") is not None
        assert db.update("a", Record({"n": 2}))


def test_more_readers_than_connections(config: Config) -> None:
    with PostgresDatabase({**config, "pool_size": 1, "connect_timeout": 1}) as db:
        db.batch_create([Record({"n": n}) for n in range(10)])
        streams = [iter(db._engine.scan(Query())) for _ in range(2)]
        for stream in streams:
            next(stream)
        with pytest.raises(DatabaseOperationError, match=r"all 2 connections were busy .* 'pool_size'"):
            db.count()
        for stream in streams:
            stream.close()  # type: ignore[attr-defined]
        assert db.count() == 10


def test_close_lets_go_of_every_connection(config: Config, admin: psycopg.Connection) -> None:
    db = PostgresDatabase({**config, "connection_string": config["connection_string"] + "?application_name=closing"})
    with ThreadPoolExecutor(5) as threads:
        assert list(threads.map(lambda _: db.count(), range(20))) == [0] * 20
    open_connections = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'closing'"
    assert admin.execute(open_connections).fetchone() != (0,)
    db.close()
    for _ in range(100):
        if admin.execute(open_connections).fetchone() == (0,):
            break
    else:
        pytest.fail("connections are still open")
    assert db.count() == 0
    db.close()


# ---------------------------------------------------------------------------------------------- names
NAMES = ["select", 'we"ird; DROP TABLE x', "with space", "%s %(id)s", ":id", "Ümläut", "a.b", "x" * 63]


@pytest.mark.parametrize("name", NAMES)
def test_schemas_and_tables_may_have_any_name_and_are_made(
    config: Config, admin: psycopg.Connection, name: str
) -> None:
    schema = f"{name[:20]} {uuid.uuid4().hex[:8]}"
    with PostgresDatabase({**config, "schema": schema, "table": name}) as db:
        db.create(Record({"n": 1}, id="a"))
        assert db.search(Query().filter("n", "=", 1))[0].id == "a"
        assert db.count(Query().filter("n", "=", 1)) == 1
    found = admin.execute("SELECT 1 FROM pg_tables WHERE schemaname = %s AND tablename = %s", [schema, name])
    assert found.fetchone()


def test_a_table_of_something_else_is_refused_and_left_alone(config: Config, admin: psycopg.Connection) -> None:
    execute(admin, "CREATE TABLE {table} (id int, name text)", config)
    with pytest.raises(ConfigurationError, match=r"exists and is no record table: it has no data.*it has id, name"):
        PostgresDatabase(config).count()
    assert execute(admin, "SELECT count(*) FROM {table}", config) == [(0,)]


def test_a_table_that_others_create_at_the_same_moment(config: Config) -> None:
    start = threading.Barrier(8)

    def first_use(_: int) -> None:
        start.wait()
        with PostgresDatabase({**config, "schema": f"schema_{config['table'][-8:]}"}) as db:
            db.create(Record({}))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(first_use, range(8)))
    with PostgresDatabase({**config, "schema": f"schema_{config['table'][-8:]}"}) as db:
        assert db.count() == 8


def test_who_may_only_read_can_read(config: Config, admin: psycopg.Connection, db: PostgresDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    reader, password = f"reader_{uuid.uuid4().hex}", secrets.token_hex()
    role, secret = psycopg.sql.Identifier(reader), psycopg.sql.Literal(password)
    admin.execute(psycopg.sql.SQL("CREATE ROLE {} LOGIN PASSWORD {}").format(role, secret))
    admin.execute(psycopg.sql.SQL("GRANT SELECT ON {} TO {}").format(psycopg.sql.Identifier(config["table"]), role))
    url = psycopg.conninfo.make_conninfo(config["connection_string"], user=reader, password=password)
    with PostgresDatabase({**config, "connection_string": url}) as reading:
        assert reading.read("a") is not None
        assert reading.count(Query().filter("n", "=", 1)) == 1
        with pytest.raises(DatabaseOperationError, match="permission denied"):
            reading.create(Record({}))


# ---------------------------------------------------------------------------------------------- texts, ids, order
def test_values_with_u0000_come_back_and_disturb_no_search(db: PostgresDatabase) -> None:
    odd = Record({"text": "a\0b", "n\0": 1, "n": 5}, metadata={"m": {"\0": "\\u0000"}}, id="odd")
    db.batch_create([odd, Record({"text": "a", "n": 5}, id="plain"), Record({"text": "\\u0000"}, id="quoted")])
    assert db.read("odd").data == odd.data
    assert db.read("odd").metadata["m"] == {"\0": "\\u0000"}
    assert [record.id for record in db.search(Query().filter("n", "=", 5))] == ["odd", "plain"]
    assert [record.id for record in db.search(Query().filter("text", "=", "a\0b"))] == ["odd"]
    assert [record.id for record in db.search(Query().filter("text", "=", "\\u0000"))] == ["quoted"]
    assert [record.id for record in db.search(Query().filter("n\0", "exists"))] == ["odd"]
    assert [record.id for record in db.search(Query().sort("text", "DESC"))] == ["odd", "plain", "quoted"]
    assert db.count(Query().filter("text", ">", "a")) == 1


def test_an_id_with_u0000_is_nobody_s(db: PostgresDatabase) -> None:
    for write in (db.create, db.upsert):
        with pytest.raises(RecordValidationError, match=r"'a\\x00' cannot be stored: it holds U\+0000"):
            write(Record({}, id="a\0"))
    assert db.read("a\0") is None
    assert db.exists("a\0") is False
    assert db.delete("a\0") is False
    assert db.update("a\0", Record({})) is False
    assert db.list_ids("a\0") == []
    assert db.batch_read(["a\0", "b"]) == [None, None]


def test_ids_as_long_as_an_index_can_hold(db: PostgresDatabase) -> None:
    longest = secrets.token_hex(1_300)  # random: PostgreSQL would compress a plainer one
    assert db.create(Record({"n": 1}, id=longest)) == longest
    assert db.read(longest)["n"] == 1
    with pytest.raises(BatchError, match="it has 2601 bytes, PostgreSQL can index 2600") as caught:
        db.batch_create([Record({}, id=longest + "x"), Record({}, id="fine")])
    assert caught.value.succeeded == {1: "fine"}
    assert db.read(longest + "x") is None


def test_ids_sort_by_code_point_whatever_the_database_s_language(
    db: PostgresDatabase, config: Config, admin: psycopg.Connection
) -> None:
    ids = ["B", "a", "b", "ä", "Z", "_", "-1", "a b", "aa"]
    db.batch_create([Record({"text": id}, id=id) for id in ids])
    assert db.list_ids() == [record.id for record in db.all()] == sorted(ids)
    assert [record.id for record in db.search(Query().filter("text", ">", "a"))] == ["a b", "aa", "b", "ä"]
    collation = "SELECT collation_name FROM information_schema.columns WHERE table_name = %s AND column_name = 'id'"
    assert admin.execute(collation, [config["table"]]).fetchall() == [("C",)]
    with statements_of(db) as statements:
        db.count(Query().filter("text", ">", "a"))
    assert 'COLLATE "C") > ' in statements[0]


def test_json_is_kept_to_the_letter(db: PostgresDatabase, config: Config, admin: psycopg.Connection) -> None:
    values = {"z": 1e16, "a": -0.0, "list": [1.0, 1], "text": '"\\ \n é \u2028 \x01'}
    written = [Record({**values, "price": Decimal("1.50")}, id=id) for id in "abc"]
    db.create(written[0])
    db.batch_create(written[1:])
    rows = execute(admin, "SELECT data::text, types::text, fields, replaces FROM {table}", config)
    assert rows == [(orjson.dumps({**values, "price": "1.50"}).decode(), '{"/data/price":"Decimal"}', None, None)] * 3


def test_batches_of_large_records_and_of_u0000_go_in_as_others_do(db: PostgresDatabase) -> None:
    large = [Record({"text": "x" * 12_000_000, "n": n}, id=f"large {n}") for n in range(3)]
    odd = [Record({"text": f"\0{n}"}, id=f"odd {n}") for n in range(3)]
    for written in (large, odd):
        db.create(written[1])
        with pytest.raises(BatchError) as caught:
            db.batch_create(written)
        assert caught.value.succeeded == {0: written[0].id, 2: written[2].id}
        assert [record and record.data for record in db.batch_read(one.id or "" for one in written)] == [
            one.data for one in written
        ]


def test_damage_is_an_error_that_names_the_record(
    db: PostgresDatabase, config: Config, admin: psycopg.Connection
) -> None:
    db.batch_create([Record({"n": n}, id=id) for n, id in enumerate("abc")])
    execute(admin, "UPDATE {table} SET data = '[1]' WHERE id = 'b'", config)
    for query in (Query(), Query().filter("n", "=", 7), Query().sort("n")):
        with pytest.raises(DataFormatError, match="'b'"):
            db.search(query)
        assert [error.context["id"] for error in db.search(query, on_error="collect").errors] == ["b"]
    with pytest.raises(DataFormatError, match="'b'"):
        db.count(Query().filter("n", "=", 7))
    assert db.delete("b")
    assert [record.id for record in db.all()] == ["a", "c"]


# ---------------------------------------------------------------------------------------------- concurrency
def test_fifty_threads_lose_nothing(db: PostgresDatabase) -> None:
    def work(number: int) -> int:
        db.batch_create([Record({"thread": number, "n": n}, id=f"{number}/{n}") for n in range(10)])
        db.upsert(f"{number}/0", Record({"thread": number}))
        db.delete(f"{number}/9")
        return len(db.search(Query().filter("thread", "=", number).sort("n", "DESC")))

    with ThreadPoolExecutor(50) as threads:
        assert list(threads.map(work, range(50))) == [9] * 50
    assert db.count() == 450


def test_of_racing_creators_one_wins(db: PostgresDatabase) -> None:
    def create(number: int) -> int:
        result = db.stream_write([Record({"by": number}, id=f"{n:02}") for n in range(20)])
        assert all(isinstance(error, DuplicateRecordError) for _, _, error in result.errors)
        return result.successful

    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(create, range(8))) == 20
    assert db.count() == 20


def test_upserts_in_opposite_orders_do_not_lock_each_other_out(db: PostgresDatabase) -> None:
    ids = [f"{n:02}" for n in range(30)]

    def upsert(number: int) -> None:
        order = ids if number % 2 else ids[::-1]
        for turn in range(5):
            db.batch_upsert([(id, Record({"by": number, "turn": turn})) for id in order])

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(upsert, range(8)))
    assert db.count() == 30
    assert db.count(Query().filter("turn", "=", 4)) == 30


COUNTER = """
import sys
from dataknobs_data.backends.postgres import PostgresDatabase
from tests.integration.test_sqlite import count_up

with PostgresDatabase({"table": sys.argv[1]}) as db:
    count_up(db, 25)
"""


def test_processes_count_together(db: PostgresDatabase, config: Config, postgres: PostgresServer) -> None:
    db.create(Record({"n": 0}, id="counter"))
    command = [sys.executable, "-c", COUNTER, config["table"]]
    environment = {**postgres.environment(), "PATH": ""}
    running = [subprocess.Popen(command, env=environment) for _ in range(3)]
    count_up(db, 25)
    assert [process.wait(60) for process in running] == [0] * 3
    assert db.read("counter")["n"] == 100


def wait_for_a_lock(admin: psycopg.Connection) -> None:
    """Until somebody waits for a lock."""
    while admin.execute("SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'").fetchone() == (0,):
        pass


def test_a_deadlock_with_others_is_waited_out(
    db: PostgresDatabase, config: Config, admin: psycopg.Connection, postgres: PostgresServer
) -> None:
    db.batch_create([Record({"n": 0}, id=id) for id in "ab"])
    other = psycopg.connect(postgres.url)
    other.execute("SET deadlock_timeout = '60s'")  # so that it is the database's transaction that gives way
    execute(other, "UPDATE {table} SET revision = 'other' WHERE id = 'b'", config)
    with ThreadPoolExecutor(1) as thread:
        updating = thread.submit(db.batch_update, [(id, Record({"n": 1})) for id in "ab"])
        wait_for_a_lock(admin)
        execute(other, "UPDATE {table} SET revision = 'other' WHERE id = 'a'", config)
        other.commit()
        assert updating.result(30) == [True, True]
    other.close()
    assert [record["n"] for record in db.all()] == [1, 1]


FAILING = """
CREATE SEQUENCE {sequence};
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval({text}) <= {times} THEN
        RAISE EXCEPTION 'could not serialize access' USING ERRCODE = '40001';
    END IF;
    RETURN NEW;
END $$;
CREATE TRIGGER failing BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}();
"""


def fail_inserts(admin: psycopg.Connection, config: Config, times: int) -> None:
    """The next so many inserts lose against an invisible other transaction; sequences survive rollbacks."""
    sequence, function = f"s_{uuid.uuid4().hex}", f"f_{uuid.uuid4().hex}"
    statement = psycopg.sql.SQL(FAILING).format(
        sequence=psycopg.sql.Identifier(sequence),
        function=psycopg.sql.Identifier(function),
        text=psycopg.sql.Literal(sequence),
        times=psycopg.sql.Literal(times),
        table=psycopg.sql.Identifier(config["table"]),
    )
    admin.execute(statement)


def test_a_conflict_is_tried_again(config: Config, admin: psycopg.Connection) -> None:
    pauses: list[float] = []
    with PostgresDatabase(config, runtime=Runtime(sleep=pauses.append, random=lambda: 1.0)) as db:
        db.connect()
        fail_inserts(admin, config, times=4)
        assert db.create(Record({"n": 1}, id="a")) == "a"
        assert pauses == [0.02, 0.04, 0.08, 0.16]
        assert db.count() == 1


def test_a_conflict_that_does_not_end_is_said(config: Config, admin: psycopg.Connection) -> None:
    with PostgresDatabase(config, runtime=Runtime(sleep=lambda seconds: None)) as db:
        db.connect()
        fail_inserts(admin, config, times=5)
        with pytest.raises(TransactionError, match=r"could not serialize access; .* try again"):
            db.create(Record({"n": 1}, id="a"))
        assert db.count() == 0
        assert db.create(Record({"n": 1}, id="a")) == "a"


DYING = """
CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_terminate_backend(pg_backend_pid());
    RETURN NEW;
END $$;
CREATE CONSTRAINT TRIGGER dying AFTER INSERT ON {table} DEFERRABLE INITIALLY DEFERRED
    FOR EACH ROW EXECUTE FUNCTION {function}();
"""


def test_a_connection_that_breaks_in_the_commit_is_not_taken_for_an_answer(
    db: PostgresDatabase, config: Config, admin: psycopg.Connection
) -> None:
    db.connect()
    function = psycopg.sql.Identifier(f"f_{uuid.uuid4().hex}")
    table = psycopg.sql.Identifier(config["table"])
    admin.execute(psycopg.sql.SQL(DYING).format(function=function, table=table))
    with pytest.raises(OutcomeUnknownError, match=r"broke while changes were committed .* read the records"):
        db.create(Record({"n": 1}, id="a"))
    assert db.read("a") is None


def test_a_version_is_compared_and_set_under_a_lock(
    db: PostgresDatabase, config: Config, admin: psycopg.Connection, postgres: PostgresServer
) -> None:
    db.create(Record({"n": 0}, id="a"))
    version = db.get_version("a")
    other = psycopg.connect(postgres.url)
    execute(other, "UPDATE {table} SET revision = 'other' WHERE id = 'a'", config)
    with ThreadPoolExecutor(1) as thread:
        updating = thread.submit(db.update, "a", Record({"n": 1}), expected_version=version)
        wait_for_a_lock(admin)
        other.commit()
        with pytest.raises(ConcurrencyError, match="it is at other"):
            updating.result(30)
    other.close()


# ---------------------------------------------------------------------------------------------- what SQL does
def test_a_batch_is_one_insert_and_says_who_came_first(db: PostgresDatabase) -> None:
    db.create(Record({"n": 0}, id="5"))
    with statements_of(db) as statements, pytest.raises(BatchError) as caught:
        db.batch_create([Record({"n": n}, id=str(n)) for n in range(10)])
    assert caught.value.failed_indices == [5]
    insert, look = statements
    assert insert.startswith("INSERT INTO")
    assert "ON CONFLICT (id) DO NOTHING" in insert
    assert look.startswith("SELECT")


def test_a_search_by_id_uses_the_primary_key(db: PostgresDatabase, config: Config, admin: psycopg.Connection) -> None:
    db.batch_create([Record({"n": n}, id=f"user/{n:05}") for n in range(5_000)])
    execute(admin, "ANALYZE {table}", config)
    with statements_of(db) as statements:
        assert len(db.search(Query().filter("id", "starts_with", "user/0012").filter("n", ">", 3))) == 10
    where = statements[0].partition(" WHERE ")[2].partition(" AND CASE ")[0]
    assert where.count(".id ") == 2
    plan = execute(admin, "EXPLAIN SELECT * FROM {table} WHERE id >= 'user/0012' AND id < 'user/0013'", config)
    assert "Index" in str(plan)
