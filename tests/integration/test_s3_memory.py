"""How much memory large records and long batches take."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.records import Record
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Blob, Condition, Fault, Kind, Page, PutOptions
from dataknobs_data.s3.stores import connection
from tests.s3_bench import Places, S3Bench, s3_places
from tests.servers import S3Server

__all__ = ["s3_places"]

CLIENT = """
import json, re, resource, sys
from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.records import Record

config, what, kind = json.loads(sys.argv[1]), sys.argv[2], sys.argv[3]

def resident():
    with open("/proc/self/statm") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()

def peak():  # not ru_maxrss, which begins with the parent's
    with open("/proc/self/status") as status:
        return int(re.search(r"VmHWM:\\s+(\\d+) kB", status.read())[1]) * 1024

make = {"text": lambda: "x" * 100_000_000, "accents": lambda: "é" * 50_000_000, "bytes": lambda: b"x" * 75_000_000}
with S3Database(config) as db:
    warm = Record({"data": "x" * 6_000_000}, id="warm")
    db.upsert(warm), db.read("warm"), db.delete("warm")
    if what == "create":
        record = Record({"data": make[kind]()}, id=kind)
        before = resident()
        db.create(record)
        own = 0  # it was there before
    else:
        before = resident()
        record = db.read(kind)
        assert record["data"] == make[kind]() if kind == "bytes" else len(record["data"]) in (100_000_000, 50_000_000)
        own = sys.getsizeof(record["data"])
    print(peak() - before - own)
"""

ENCODED_BYTES = 100_000_000
MOST = {"text": 2.2, "accents": 2.4, "bytes": 2.4}
"""Times the encoded document. Text that is not ASCII costs one copy more while it is written (orjson keeps the UTF-8 in the
str), and so do bytes while they are read (base64 in between)."""


@pytest.fixture
def bench(s3_server: S3Server, s3_places: Places) -> Iterator[S3Bench]:
    with ExitStack() as ends:
        yield S3Bench(s3_server, *s3_places[s3_server], ends)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("kind", MOST)
def test_a_record_of_100_mb_takes_little_more_than_twice_its_size(bench: S3Bench, kind: str) -> None:
    """Peak resident memory of a process of its own, above what it had before, without the caller's record."""
    for what in ("create", "read"):
        arguments = [json.dumps(bench.config()), what, kind]
        out = subprocess.run([sys.executable, "-c", CLIENT, *arguments], capture_output=True, text=True, check=False)
        assert out.returncode == 0, out.stderr
        assert int(out.stdout) / ENCODED_BYTES <= MOST[kind], what
    bench.open().clear()


class NowhereStore:
    """Takes everything at once, and forgets it."""

    def put(self, key: str, body: bytes, options: PutOptions, condition: Condition) -> str:
        return f'"{len(body)}"'

    def get(self, key: str, **_: Any) -> Blob:
        raise Fault(Kind.MISSING, "", status=404)

    def head_bucket(self) -> None: ...

    def list_page(self, prefix: str, **_: Any) -> Page:
        return Page([], None)

    def close(self) -> None: ...


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_batch_from_a_generator_takes_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """20,000 records of 4 KB are 80 MB; a window of them is 4 MB, and the ids of all of them some 3 MB."""
    place = Place("bucket", "https://s3.amazonaws.com")
    monkeypatch.setattr(connection, "open_store", lambda settings: (NowhereStore(), place))
    resident: list[int] = []

    def supply() -> Iterator[Record]:
        for number in range(20_000):
            if number % 500 == 0:
                resident.append(_resident_bytes())
            yield Record({"n": number, "text": f"{number:06}" + "x" * 4000})

    with S3Database({"bucket": "bucket", "layout": "objects", "cache_bytes": 1_000_000}) as db:
        db.create(Record({}))
        ids = db.batch_create(supply())
    assert len(set(ids)) == 20_000
    assert max(resident) - resident[0] < 40_000_000


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
