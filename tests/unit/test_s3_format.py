"""`_jobs/format.json`, and what stands in an object's headers."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import ConfigurationError, DataFormatError
from dataknobs_data.s3.format import FORMAT, FormatFile
from dataknobs_data.s3.headers import headers_of, outline
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.store import Blob, Fault, Head, Kind, PutOptions
from tests.unit.s3_fakes import START, DictStore, FakeWorld, caller

KEY = "records/_jobs/format.json"


def format_file(store: DictStore, layout: str = "objects") -> FormatFile:
    return FormatFile(caller(store, FakeWorld()), Keys("records/"), layout, "objects")


def test_reading_needs_no_file_and_makes_none() -> None:
    store = DictStore()
    format_file(store).check()
    assert store.objects == {}


def test_the_first_write_makes_it_under_a_condition_and_once() -> None:
    store = DictStore()
    file = format_file(store)
    file.ensure()
    file.ensure()
    assert json.loads(store.objects[KEY][0]) == {"format": FORMAT, "layout": "objects"}
    assert store.log == ["GetObject", "PutObject"]


def test_losing_the_race_for_it_means_reading_the_winners() -> None:
    class Raced(DictStore):
        def get(self, key: str, **options: Any) -> Blob | None:
            try:
                return super().get(key, **options)
            finally:
                self.objects.setdefault(key, (body, '"w"', PutOptions()))

    body = json.dumps({"format": FORMAT, "layout": "objects"}).encode()
    format_file(Raced()).ensure()
    body = json.dumps({"format": FORMAT, "layout": "tiered"}).encode()
    with pytest.raises(ConfigurationError, match="have layout 'tiered'"):
        format_file(Raced()).ensure()


@pytest.mark.parametrize(
    ("body", "error", "says"),
    [
        (b'{"format": 2, "layout": "objects"}', DataFormatError, "format 2 is not known to this version (it knows 1); upgrade"),
        (b'{"format": "x", "layout": "objects"}', DataFormatError, "format 'x' is not known"),
        (b'{"format": 1, "layout": "tiered"}', ConfigurationError, "have layout 'tiered', but this database was opened for 'objects'; set layout: tiered"),
        (b'{"format": 1}', DataFormatError, "damaged format file"),
        (b'{"format"', DataFormatError, "damaged format file"),
        (b"[]", DataFormatError, "damaged format file"),
        (b"\xff\xfe", DataFormatError, "damaged format file"),
        (b"", DataFormatError, "damaged format file"),
    ],
)  # fmt: skip
def test_what_is_not_for_us_is_refused_naming_the_key(body: bytes, error: type[Exception], says: str) -> None:
    store = DictStore()
    store.put(KEY, body, PutOptions(), None)
    with pytest.raises(error) as caught:
        format_file(store).check()
    assert KEY in str(caught.value)
    assert says in str(caught.value)
    assert store.objects[KEY][0] == body


def test_who_may_not_list_is_told_403_of_a_missing_file() -> None:
    class NoList(DictStore):
        def get(self, key: str, **options: Any) -> Blob | None:
            raise Fault(Kind.DENIED, "HTTP 403", status=403)

    assert format_file(NoList()).check() == "objects"


def test_a_store_that_fails_is_no_store_without_the_file() -> None:
    class Failing(DictStore):
        def get(self, key: str, **options: Any) -> Blob | None:
            raise Fault(Kind.CREDENTIALS, "HTTP 403", status=403)

    with pytest.raises(Fault):
        format_file(Failing()).check()


# ---------------------------------------------------------------------------------------------- headers
def document(**over: Any) -> Document:
    parts = {
        "id": "x", "data": {}, "metadata": {}, "created_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-02T00:00:00Z",
        "born": "B", "revision": "R", "replaces": frozenset(), **over,
    }  # fmt: skip
    return Document(**parts)


def head(metadata: dict[str, str]) -> Head:
    return Head('"e"', 9, metadata, START, "GLACIER", None)


@pytest.mark.parametrize(
    "over",
    [
        {},
        {"replaces": frozenset({"B1", "B2"})},
        {"born": "with space", "replaces": frozenset({"a b", "c%20d"})},
        {"created_at": "gestern, Grüße\r\nX-Evil: 1", "born": "ü\n", "revision": "100%"},
    ],
)
def test_headers_carry_enough_to_replace_a_document_unread(over: dict[str, Any]) -> None:
    stored = document(**over)
    headers = headers_of(stored)
    assert all(value.isascii() and value.isprintable() for value in headers.values())
    known = outline("x", head(headers))
    for name in ("id", "born", "revision", "created_at", "replaces"):
        assert getattr(known, name) == getattr(stored, name)


def test_objects_of_another_writer_are_known_by_etag_and_time() -> None:
    known = outline("x", head({}))
    assert (known.born, known.revision) == ("etag:e", "etag:e")
    assert datetime.fromisoformat(known.created_at) == datetime(2026, 1, 1, tzinfo=UTC)
    assert known.replaces == frozenset()
