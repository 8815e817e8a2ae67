"""Packs that cannot be read: who reads over all records is told which, or goes on without them if he asks for that."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import DatabaseConnectionError, DataFormatError, DataknobsDataError, RecordArchivedError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.store import Fault, Kind
from tests.unit.tiered_world import KEYS, TieredWorld

ALL = Query()
SOME = Query().filter("n", ">=", 0)
SORTED = Query().sort("n", "DESC")
LAST = Query().sort("n", "DESC").limit(3)


class Packs:
    """Two packs, of `a…` and `b…`, and an object between them. What reads the second fails."""

    def __init__(self) -> None:
        self.world = TieredWorld()
        writer = self.world.open()
        for first, letter in enumerate("ab"):
            writer.batch_create([Record({"n": 10 * first + n}, id=f"{letter}{n}") for n in range(4)])
        writer.create(Record({"n": 5}, id="b"))
        self.bad = max(key for key in self.world.store.objects if key.startswith(KEYS.packs))

    def damage(self) -> S3Database:
        body, etag, options = self.world.store.objects[self.bad]
        place = len(body) // 3
        self.world.store.objects[self.bad] = body[:place] + b"damage" + body[place + 6 :], etag, options
        return self.world.open()

    def refuse(self, kind: Kind, monkeypatch: pytest.MonkeyPatch, times: int = 1000) -> S3Database:
        ranges: Callable[..., bytes] = self.world.store.get_range
        left = [times]

        def get_range(key: str, *span: Any) -> bytes:
            if key != self.bad or not left[0]:
                return ranges(key, *span)
            left[0] -= 1
            raise Fault(kind, "so it is", status=403, code=None)

        monkeypatch.setattr(self.world.store, "get_range", get_range)
        return self.world.open(max_retries=0)


@pytest.fixture
def packs() -> Packs:
    return Packs()


def _ids(database: S3Database, query: Query) -> list[str | None]:
    return [record.id for record in database.search(query, on_error="collect")]


def _is_told(packs: Packs, database: S3Database, error: type[DataknobsDataError]) -> None:
    reads: list[Callable[[], object]] = [
        *(lambda query=query: database.search(query) for query in (ALL, SOME, SORTED, LAST)),
        database.all,
        lambda: list(database.stream_read(SOME)),
        lambda: database.count(SOME),
    ]
    for read in reads:
        with pytest.raises(error) as caught:
            read()
        assert packs.bad in str(caught.value)


@pytest.mark.parametrize("archived", [False, True])
def test_others_are_collected(packs: Packs, archived: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    database = packs.refuse(Kind.ARCHIVED, monkeypatch) if archived else packs.damage()
    error = RecordArchivedError if archived else DataFormatError
    _is_told(packs, database, error)
    for query in (ALL, SOME, SORTED, LAST):
        found = database.search(query, on_error="collect")
        assert [type(one) for one in found.errors] == [error]
        assert packs.bad in str(found.errors[0])
    assert _ids(database, ALL) == _ids(database, SOME) == ["a0", "a1", "a2", "a3", "b"]
    assert _ids(database, SORTED) == ["b", "a3", "a2", "a1", "a0"]
    assert _ids(database, LAST) == ["b", "a3", "a2"]
    assert _ids(database, Query().limit(2).offset(4)) == ["b"]
    assert len(database.search(Query().filter("id", "starts_with", "a"))) == 4


def test_a_damaged_column_costs_the_records_that_have_it(packs: Packs) -> None:
    """And with sort and limit others take their places."""
    body, etag, options = packs.world.store.objects[packs.bad]
    view = packs.world.open()._engine._layout.table.look(None, "test")  # type: ignore[attr-defined]
    (bad,) = (pack for pack in view.packs if KEYS.table_file(pack.path) == packs.bad)
    group = view.reader(bad).metadata.row_group(0)
    (born,) = (group.column(n) for n in range(group.num_columns) if group.column(n).path_in_schema == "_born")
    place = born.data_page_offset + born.total_compressed_size // 2
    packs.world.store.objects[packs.bad] = body[:place] + b"\0\0\0" + body[place + 3 :], etag, options
    database = packs.world.open()
    found = database.search(LAST, on_error="collect")
    assert [record.id for record in found] == ["b", "a3", "a2"]
    assert len(found.errors) == 1
    assert database.count() == 9
    assert database.list_ids() == ["a0", "a1", "a2", "a3", "b", "b0", "b1", "b2", "b3"]


def test_a_refusal_is_never_collected(packs: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    database = packs.refuse(Kind.DENIED, monkeypatch)
    _is_told(packs, database, DatabaseConnectionError)
    for query in (ALL, SOME, LAST):
        with pytest.raises(DatabaseConnectionError, match=packs.bad):
            database.search(query, on_error="collect")
    with pytest.raises(DatabaseConnectionError, match=packs.bad):
        database.list_ids()


@pytest.mark.parametrize(
    "read",
    [
        lambda database: len(database.list_ids()),
        lambda database: database.count(),
        lambda database: len(database.search(SOME, on_error="collect")),
        lambda database: len(database.batch_read([*database.list_ids()])),
    ],
)
def test_vacuumed_packs_are_looked_for_again(
    packs: Packs, read: Callable[[S3Database], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert read(packs.refuse(Kind.MISSING, monkeypatch, times=2)) == 9


def test_errors_are_collected_once_when_a_scan_begins_again(packs: Packs, monkeypatch: pytest.MonkeyPatch) -> None:
    packs.world.store.put(KEYS.record("0"), b"{", packs.world.store.objects[KEYS.record("b")][2], None)
    found = packs.refuse(Kind.MISSING, monkeypatch, times=2).search(SORTED, on_error="collect")
    assert (len(found), len(found.errors)) == (9, 1)


def test_no_id_begins_with_half_a_character(packs: Packs) -> None:
    database = packs.world.open()
    assert database.list_ids("a\ud800") == []
    assert database.search(Query().filter("id", "starts_with", "\ud800")) == []
