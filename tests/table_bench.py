"""The log of a table on one S3 server: processes that share it, files that other engines can read, and those engines."""

from __future__ import annotations

import io
import json
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.store import Head
from dataknobs_data.s3.stores.connection import open_store
from dataknobs_data.s3.table.actions import Add
from dataknobs_data.s3.table.log import Job, Log
from dataknobs_data.s3.table.upkeep import Upkeep
from tests.s3_bench import S3Bench

SCHEMA = json.dumps(
    {
        "type": "struct",
        "fields": [
            {"name": name, "type": kind, "nullable": True, "metadata": {}}
            for name, kind in (("_id", "string"), ("n", "long"))
        ],
    }
)
WEEK = timedelta(days=7)
RUNTIME = Runtime()


class LogBench:
    """Each `log()` is another process: connections, memory and threads of its own."""

    def __init__(self, bench: S3Bench, ends: ExitStack, **over: Any) -> None:
        self.bench = bench
        self._ends = ends
        self._config = bench.config(**over)
        self.keys = Keys(s3_settings(self._config).prefix)

    def caller(self, **over: Any) -> Caller:
        settings = s3_settings({**self._config, **over})
        store, _ = open_store(settings)
        caller = Caller(store, settings, RUNTIME)
        self._ends.callback(caller.close)
        return caller

    def log(self, **over: Any) -> Log:
        log = Log(self.caller(**over), self.keys, RUNTIME, workers=10)
        self._ends.callback(log.close)
        return log

    def upkeep(self, log: Log, days_later: int = 0) -> Upkeep:
        """`days_later`: to which the store's clock is put forward."""
        caller = self.caller()
        head = caller.offline(lambda store: store.head)

        def later(key: str, *, version_id: str | None = None) -> Head:
            found = head(key, version_id=version_id)
            assert found.now
            return replace(found, now=found.now + timedelta(days=days_later))

        caller.offline(lambda store: setattr(store, "head", later))
        return Upkeep(caller, self.keys, log.reader)

    def pack(self, path: str, first: int = 0, rows: int = 3) -> Add:
        """A file of rows with ids and numbers, put where its path says."""
        numbers = range(first, first + rows)
        sink = io.BytesIO()
        pq.write_table(pa.table({"_id": [f"r-{n}" for n in numbers], "n": list(numbers)}), sink)
        self.bench.put_key(self.keys.table_file(path), sink.getvalue())
        low, high = {"_id": f"r-{first}", "n": first}, {"_id": f"r-{first + rows - 1}", "n": first + rows - 1}
        nulls = {"_id": 0, "n": 0}
        stats = json.dumps({"numRecords": rows, "minValues": low, "maxValues": high, "nullCount": nulls})
        return Add(path, len(sink.getvalue()), 1_767_225_600_000, stats, {"month": "jän ner"})

    @property
    def uri(self) -> str:
        """Of the table, for other engines."""
        return f"s3://{self.bench.bucket}/{self.keys.table}"

    @property
    def options(self) -> dict[str, str]:
        """What other engines have to know of the server."""
        server = self.bench.server
        return {
            "AWS_ENDPOINT_URL": server.endpoint,
            "AWS_ACCESS_KEY_ID": server.access_key,
            "AWS_SECRET_ACCESS_KEY": server.secret_key,
            "AWS_REGION": server.region,
            "AWS_ALLOW_HTTP": "true",
            "AWS_CONDITIONAL_PUT": "etag",
        }

    def copy_to(self, folder: Path) -> Path:
        """The table as local files."""
        for path in self.bench.paths():
            target = folder / path
            target.parent.mkdir(parents=True, exist_ok=True)
            answer = self.bench.client.get_object(Bucket=self.bench.bucket, Key=self.bench.prefix + path)
            target.write_bytes(answer["Body"].read())
        return folder / "_table"


def job(operation: str = "WRITE") -> Job:
    """A new one."""
    return Job(RUNTIME.new_id(), operation)
