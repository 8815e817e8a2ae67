"""SQL over a million packed records beside DuckDB on the same packs as local files, in one run on a real S3 server.

    python benchmarks/sql.py [--records 1000000] [--rounds 8]

Ratios are taken within a round, and the median over the rounds is shown. `select_query` is shown three times: by a process that
has read the columns before (they lie in its `cache_bytes`), by one whose cache has its usual size, too small for some, and by
one that has only just opened the database. All that belongs to a statement is in its time: a DuckDB of its own, a listing of
the objects, a look at the log.
"""

from __future__ import annotations

import argparse
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

import duckdb
from tiered import Race, Setup, people  # type: ignore[import-not-found]  # beside this file

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.embedded.seaweedfs import SeaweedServer
from dataknobs_data.records import Record

PREFIX = "sql"
STATEMENTS = {
    "aggregate, one group": "SELECT count(*), sum(visits), avg(score), max(age) FROM {}",
    "aggregate by city": "SELECT city, count(*), avg(score), max(age) FROM {} GROUP BY city ORDER BY city",
    "filter + aggregate": "SELECT count(*), avg(score) FROM {} WHERE age BETWEEN 30 AND 40 AND active GROUP BY ALL",
    "top 10": "SELECT name, email, score FROM {} WHERE age > 60 ORDER BY score DESC LIMIT 10",
}
LOCAL = "DuckDB, local files"
CACHE_BYTES = 256 << 20
BOUND = 1.5


def local_packs(setup: Setup) -> list[str]:
    """The packs of the table, as files."""
    files = []
    for page in setup.store.list(f"{PREFIX}/_table/packs/"):
        for line in page:
            file = setup.folder / Path(line["path"]).name
            file.write_bytes(bytes(setup.store.get(line["path"]).bytes()))
            files.append(str(file))
    return files


def asked(database: S3Database, sql: str) -> Any:
    """What our statement finds, as an Arrow table."""
    return database.select_query(sql.format("S3Object")).to_arrow()


def just_opened(setup: Setup, sql: str) -> Any:
    """The same of a process that knows nothing of the table yet."""
    with setup.database(PREFIX, cache_bytes=CACHE_BYTES) as database:
        return asked(database, sql)


def races(setup: Setup, rounds: int) -> list[Race]:
    """Each statement in every round."""
    source = f"read_parquet({local_packs(setup)})"
    found = []
    with (
        setup.database(PREFIX, cache_bytes=CACHE_BYTES) as database,
        setup.database(PREFIX) as usual,
        duckdb.connect() as connection,
    ):

        def local(sql: str) -> Any:
            return connection.sql(sql.format(source)).to_arrow_table()

        for title, sql in STATEMENTS.items():
            race = Race(title, LOCAL, f"bound: {BOUND} x the time")
            found.append(race)
            contenders = {
                LOCAL: partial(local, sql),
                "select_query": partial(asked, database, sql),
                "select_query, cache_bytes as they are": partial(asked, usual, sql),
                "select_query, just opened": partial(just_opened, setup, sql),
            }
            for number in range(rounds + 1):
                rows = {race.time(name, contenders[name]).num_rows for name in turned(list(contenders), number)}
                assert len(rows) == 1
    return found


def turned(names: list[str], number: int) -> list[str]:
    """Another one begins each round: who comes after DuckDB on local files takes 15 ms longer, whoever it is."""
    first = number % len(names)
    return names[first:] + names[:first]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--records", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=8)
    options = parser.parse_args()
    with SeaweedServer() as server, tempfile.TemporaryDirectory() as folder:
        setup = Setup(server, Path(folder))
        with setup.database(PREFIX) as database:
            database.stream_write(map(Record, people(options.records)))
        for race in races(setup, options.rounds):
            race.show()


if __name__ == "__main__":
    main()
