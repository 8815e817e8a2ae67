"""A statement whose packs are vacuumed while it is carried out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pytest

from dataknobs_data.exceptions import RecordArchivedError, SnapshotExpiredError
from dataknobs_data.runtime import Runtime
from dataknobs_data.s3.archive.skipping import Skipped
from dataknobs_data.select.relation import Binding
from dataknobs_data.select.running import Statement
from dataknobs_data.snapshots import LOOKS_MAX
from tests.unit.select_tables import LIMITS, Plain


class Vacuumed(Plain):
    """Its packs are gone, from the batch `after` on."""

    def __init__(self, after: int = 0, rows: int = 100_000) -> None:
        super().__init__(pa.table({"n": pa.array(range(rows))}))
        self._after = after

    def scan(self, binding: Binding, columns: Sequence[str], condition: Any) -> Iterator[Any]:
        for number, batch in enumerate(super().scan(binding, columns, condition)):
            if number >= self._after:
                raise SnapshotExpiredError("packs/1.parquet is gone")
            yield batch


def statement(sql: str, relations: list[Plain], skipped: Skipped | None = None) -> Statement:
    """`relations` in turn."""
    left = iter(relations)
    return Statement(sql, None, {"S3Object": lambda: next(left)}, LIMITS, Runtime(), skipped)


@pytest.mark.parametrize("after", [0, 50])
def test_it_begins_again_with_a_new_look(after: int) -> None:
    gone, there = Vacuumed(after), Plain(pa.table({"n": [1, 2]}))
    with statement("SELECT sum(n) AS s FROM S3Object", [gone, there]).run() as result:
        assert list(result) == [{"s": 3}]
    assert gone.closed == there.closed == 1


def test_not_for_ever() -> None:
    gone = [Vacuumed() for _ in range(LOOKS_MAX + 1)]
    with pytest.raises(SnapshotExpiredError, match="is gone"):
        statement("SELECT sum(n) FROM S3Object", list(gone)).run()
    assert [one.closed for one in gone] == [1] * LOOKS_MAX + [0]


def test_not_behind_rows_that_were_handed_out() -> None:
    ends = Vacuumed(1999, 2_000_000)
    with statement("SELECT n FROM S3Object", [ends, Plain(pa.table({"n": [1]}))]).run() as result:
        batches = result.batches()
        assert next(batches)["n"][0].as_py() == 0
        with pytest.raises(SnapshotExpiredError):
            list(batches)


def test_what_was_left_out_is_said_once() -> None:
    skipped = Skipped()

    class Cold(Vacuumed):
        def scan(self, binding: Binding, columns: Sequence[str], condition: Any) -> Iterator[Any]:
            skipped(RecordArchivedError("packs/0.parquet is archived"))
            return super().scan(binding, columns, condition)

    class Thawed(Plain):
        def scan(self, binding: Binding, columns: Sequence[str], condition: Any) -> Iterator[Any]:
            skipped(RecordArchivedError("packs/0.parquet is archived"))
            return super().scan(binding, columns, condition)

    with statement("SELECT sum(n) FROM S3Object", [Cold(), Thawed(pa.table({"n": [1]}))], skipped).run() as result:
        assert list(result) == [{"sum(n)": 1}]
        assert len(result.skipped) == 1


def test_what_threads_meet_while_they_are_ended_is_forgotten() -> None:
    skipped = Skipped()

    class Late(Vacuumed):
        def close(self) -> None:
            skipped(RecordArchivedError("packs/0.parquet is archived"))
            super().close()

    with statement("SELECT sum(n) FROM S3Object", [Late(), Plain(pa.table({"n": [1]}))], skipped).run() as result:
        assert list(result) == [{"sum(n)": 1}]
        assert not result.skipped
