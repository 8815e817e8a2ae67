"""One process of a race: `python -m tests.races.actor CONFIG SEED SECONDS ROLE FILE`. It writes what it asks and is told."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import BatchError, DataknobsDataError, DuplicateRecordError
from dataknobs_data.records import Record

IDS = [f"r/{number}" for number in range(6)]


class Actor:
    """Random operations on the same few ids."""

    def __init__(self, config: dict[str, Any], seed: int, out: TextIO) -> None:
        self._db = S3Database.from_config(config)
        self._db.batch_delete([])  # what is done once a process takes seconds where all cores are busy
        self._random = random.Random(seed)
        self._out = out
        self._seed = seed
        self._count = 0

    def value(self) -> str:
        """One that nobody else writes."""
        self._count += 1
        return f"{self._seed}-{self._count}"

    def tell(self, **line: Any) -> None:
        """Writes it down before anything else happens."""
        self._out.write(json.dumps(line) + "\n")
        self._out.flush()

    def run(self, kinds: Sequence[tuple[str, dict[str, Any]]], call: Callable[[], list[Any]]) -> None:
        """One call that is an operation on each of several ids."""
        number, begin = self._count, time.monotonic()
        lines = [{"id": id, **op} for id, op in kinds]
        self.tell(call=number, begin=begin, ops=lines)
        try:
            results = call()
        except DuplicateRecordError:
            results = ["duplicate"] * len(lines)
        except DataknobsDataError as error:
            results = ["unknown"] * len(lines)
            self.tell(error=f"{type(error).__name__}: {error}")
        self.tell(call=number, end=time.monotonic(), results=results)

    def single(self) -> None:
        """One of the usual operations."""
        db, id, value = self._db, self._random.choice(IDS), self.value()
        record = Record({"v": value})
        kind = self._random.choices(["create", "update", "put", "delete", "read", "all"], [3, 3, 1, 2, 5, 1])[0]
        if kind == "all":
            self.run([(id, {"kind": "read", "arg": None}) for id in IDS], self._all)
            return
        calls: dict[str, Callable[[], Any]] = {
            "create": lambda: "ok" if db.create(Record({"v": value}, id=id)) else None,
            "update": lambda: db.update(id, record),
            "put": lambda: "ok" if db.upsert(id, record) else None,
            "delete": lambda: db.delete(id),
            "read": lambda: _value(db.read(id)),
        }
        self.run(
            [(id, {"kind": kind, "arg": value if kind in ("create", "update", "put") else None})],
            lambda: [calls[kind]()],
        )

    def _all(self) -> list[Any]:
        found = {record.id: record["v"] for record in self._db.all()}
        return [found.get(id) for id in IDS]

    def bulk(self) -> None:
        """A load, or many updates at once, or a read of all."""
        ids = self._random.sample(IDS, self._random.randint(3, len(IDS)))
        values = {id: self.value() for id in ids}
        kind = self._random.choice(["create", "create", "update", "put", "read", "delete"])
        ops = [(id, {"kind": kind, "arg": values[id] if kind in ("create", "update", "put") else None}) for id in ids]
        db = self._db
        calls: dict[str, Callable[[], list[Any]]] = {
            "create": lambda: ["ok"] * len(db.batch_create([Record({"v": values[id]}, id=id) for id in ids])),
            "update": lambda: list(db.batch_update([(id, Record({"v": values[id]})) for id in ids])),
            "put": lambda: ["ok"] * len(db.batch_upsert([(id, Record({"v": values[id]})) for id in ids])),
            "read": lambda: [_value(record) for record in db.batch_read(ids)],
            "delete": lambda: list(db.batch_delete(ids)),
        }

        def call() -> list[Any]:
            try:
                return calls[kind]()
            except BatchError as error:
                return [_outcome(error, index, kind) for index in range(len(ids))]

        self.run(ops, call)

    def compact(self) -> None:
        """As often as it can be done."""
        try:
            self._db.compact(full=self._random.random() < 0.5)
        except DataknobsDataError as error:
            self.tell(error=f"compact: {type(error).__name__}: {error}")
        time.sleep(self._random.random())


def _outcome(error: BatchError, index: int, kind: str) -> Any:
    if index not in error.failed:
        return {"create": "ok", "put": "ok"}.get(kind, "unknown")
    return "duplicate" if isinstance(error.failed[index][1], DuplicateRecordError) else "unknown"


def _value(record: Record | None) -> Any:
    return record["v"] if record else None


def main() -> None:
    """See the top of this module."""
    config, seed, seconds, role, path = sys.argv[1:]
    with Path(path).open("a") as out:
        actor = Actor(json.loads(config), int(seed), out)
        end = time.monotonic() + float(seconds)
        while time.monotonic() < end:
            getattr(actor, role)()


if __name__ == "__main__":
    main()
