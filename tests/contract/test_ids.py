"""Any text may be an id, and comes back as the very same text from every way of asking."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import RecordValidationError
from dataknobs_data.query import Query
from dataknobs_data.records import Record

ODD_IDS = (
    *("a", "A", "b", "1", "user-1", "user.1", "user_1", "user@example.com", "2024/01/02/x", "a/b", "a/c", "a-b"),
    *(" ", " leading", "trailing ", "two  spaces", "tab\there", "line\nbreak", "return\rhere", "\x01", "\x1f", "\x7f"),
    *("x.json", "x.json.json", ".json", "json", ".", "..", "...", "a/..", "../a", "a/./b", "a/../b", ".hidden"),
    *("/", "//", "/a", "a/", "a//b", "//a", "a//", "/a/", "\\", "a\\b", "a\\..\\b", "C:\\x"),
    *("%", "%%", "%2F", "%2f", "a%2Fb", "100%", "%25", "%zz", "+", "a+b", "a b", "a%20b", "&", "?", "#", "a?b=c#d"),
    *("_table", "_table/x", "a/_table/b", "_jobs", "_jobs/x", "_jobs/format.json", "_tables", "__", "_id"),
    *("'", '"', "`", "a'b", 'a"b', "'; DROP TABLE records; --", "$1", ":name", "?", "%s", "{}", "<x>&amp;", "*", "|"),
    *(
        "ä",
        "a\u0308",
        "Å",
        "A\u030a",
        "\u212b",
        "ß",
        "SS",
        "日本語",
        "\U0001f600",
        "\u200b",
        "\ufeff",
        "\u2028",
        "\uffff",
    ),
    *(
        "null",
        "None",
        "true",
        "NaN",
        "0",
        "00",
        "1e3",
        "-1",
        "CON",
        "nul.json",
        "~",
        "~1",
        "~0",
        "=1+1",
        "@x",
        ",",
        ";",
    ),
    *("x" * 180, "é" * 90, "long/" * 30 + "x"),
)


def record(id: str) -> Record:
    """A record that knows which one it is."""
    return Record({"is": id}, id=id)


def test_the_list_has_what_is_easily_confused() -> None:
    unique = sorted(set(ODD_IDS))
    assert any(
        a != b and unicodedata.normalize("NFC", a) == unicodedata.normalize("NFC", b) for a in unique for b in unique
    )
    assert any(a != b and a.casefold() == b.casefold() for a in unique for b in unique)


def test_odd_ids_are_stored_listed_searched_and_read_under_the_same_id(db: SyncDatabase) -> None:
    ids = sorted(set(ODD_IDS))
    assert [db.create(record(id)) for id in ids[::2]] == ids[::2]
    assert db.batch_create(map(record, ids[1::2])) == ids[1::2]

    assert db.list_ids() == ids
    assert db.count() == len(ids)
    assert [(found.id, found["is"], found.metadata["id"]) for found in db.search()] == [(id, id, id) for id in ids]
    assert [found and found["is"] for found in db.batch_read(ids)] == ids
    for id in ids:
        found = db.read(id)
        assert found is not None, id
        assert (found.id, found["is"]) == (id, id)
        assert db.exists(id), id


def test_odd_ids_are_updated_and_deleted_one_by_one(db: SyncDatabase) -> None:
    ids = sorted(set(ODD_IDS))
    db.batch_create(map(record, ids))
    gone = ids[::3]
    for id in gone[::2]:
        assert db.delete(id) is True, id
    assert db.batch_delete(gone[1::2]) == [True] * len(gone[1::2])
    left = [id for id in ids if id not in gone]
    for id in left[::2]:
        assert db.update(id, Record({"is": "new"})) is True, id
    assert db.list_ids() == left
    assert {found.id: found["is"] for found in db.search()} == {id: "new" if id in left[::2] else id for id in left}
    assert db.clear() == len(left)
    assert db.list_ids() == []


def test_ids_are_listed_by_prefix_to_the_letter(filled: Callable[[Sequence[Record]], SyncDatabase]) -> None:
    ids = sorted(set(ODD_IDS))
    db = filled([record(id) for id in ids])
    for prefix in ("a", "a/", "_", "%", "x.json", "/", " ", "ä", "a\u0308", "long/long/", "nothing"):
        assert db.list_ids(prefix) == [id for id in ids if id.startswith(prefix)]


def test_a_query_by_id_means_the_very_same_text(db: SyncDatabase) -> None:
    db.batch_create(map(record, ["ä", "a\u0308", "A", "a", "2024-05-01", "2024-05-01T00:00:00Z"]))
    for id in ("ä", "a\u0308", "A", "a", "2024-05-01"):
        assert [found.id for found in db.search(Query().filter("id", "=", id))] == [id]


@pytest.mark.parametrize("id", ["", "lone \ud800 surrogate", None, 5, b"bytes", ("a",)])
def test_what_cannot_be_an_id_is_refused_everywhere(db: SyncDatabase, id: Any) -> None:
    calls: list[Callable[[], object]] = [
        lambda: db.read(id),
        lambda: db.exists(id),
        lambda: db.delete(id),
        lambda: db.get_version(id),
        lambda: db.update(id, Record({"x": 1})),
        lambda: db.batch_read(["fine", id]),
    ]
    if isinstance(id, str):
        calls += [lambda: db.create(Record({"x": 1}, id=id)), lambda: db.upsert(id, Record({"x": 1}))]
    for call in calls:
        with pytest.raises(RecordValidationError, match="id"):
            call()
    assert db.count() == 0


def test_an_id_with_a_nul_is_stored_or_refused_never_changed(db: SyncDatabase) -> None:
    try:
        db.create(record("nul\0here"))
    except RecordValidationError as error:
        assert "nul" in str(error)  # noqa: PT017  either answer is right
        assert db.list_ids() == []
    else:
        assert db.list_ids() == ["nul\0here"]
        assert db.read("nul\0here") is not None
