"""Packs with damaged bytes: whoever reads them is told, whatever is damaged, and by nothing but DataFormatError."""

from __future__ import annotations

import io
import random
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.query import Query
from dataknobs_data.s3.table.filtering import may_match_rows
from dataknobs_data.s3.table.groups import group_facts
from dataknobs_data.s3.table.joining import documents_of
from dataknobs_data.s3.table.packs import encode
from dataknobs_data.s3.table.prune import may_match
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import Shape, grow

WHEN = "2024-05-01T12:00:00.000000+00:00"
NAME = "records/_table/packs/P.parquet"
DOCUMENTS = [
    Document(f"r{n:04}", {"n": n, "name": f"é {n}", "x": n * 1.5, "list": [n]}, {"m": n}, WHEN, WHEN, "b", "r")
    for n in range(1000)
]
PACK = encode(DOCUMENTS, grow(Shape(), DOCUMENTS))
BODY = bytes(PACK.body)
QUERY = Query().filter("n", ">", 5).expression


def reader_of(body: bytes, tail: int | None = None, tail_crc: int | None = None, size: int | None = None) -> PackReader:
    return PackReader(
        lambda spans: [body[start : start + length] for start, length in spans],
        len(body) if size is None else size,
        tail,
        tail_crc=tail_crc,
        name=NAME,
    )


def _scan(reader: PackReader) -> object:
    groups = [group for group in reader.groups if may_match(QUERY, group_facts(reader, group, frozenset({"list"})))]
    table = reader.read(groups)
    may_match_rows(QUERY, table, reader.shape.kinds, frozenset({"list"}))
    return list(documents_of(table))


QUESTIONS: list[Callable[[PackReader], object]] = [
    lambda reader: list(reader.find(["r0007"])),
    lambda reader: [table.to_pylist() for table in reader.rows(["r0007", "r0900"], ["_born", "_revision"])],
    lambda reader: reader.id_bounds,
    _scan,
]


def damaged(dice: random.Random) -> bytes:
    """Some bytes changed, lost, or all of them others."""
    body = bytearray(BODY)
    kind = dice.random()
    if kind < 0.7:
        for _ in range(dice.randint(1, 3)):
            body[dice.randrange(len(body))] ^= dice.randint(1, 255)
    elif kind < 0.8:
        del body[dice.randrange(len(body)) :]
    elif kind < 0.9:
        start = dice.randrange(len(body))
        del body[start : start + dice.randint(1, 50)]
    else:
        body[:] = dice.randbytes(len(body))
    return bytes(body)


@pytest.mark.parametrize("seed", range(5))
def test_damage_is_told(seed: int) -> None:
    dice = random.Random(seed)
    for _ in range(40):
        body = damaged(dice)
        with pytest.raises(DataFormatError, match=NAME):
            _scan(reader_of(body, PACK.tail, PACK.tail_crc, PACK.size))
        for ask in QUESTIONS:  # of other columns than those that are damaged, perhaps: then the answer is right
            try:
                told = ask(reader_of(body, PACK.tail, PACK.tail_crc, PACK.size))
            except DataFormatError as error:
                assert NAME in str(error)  # noqa: PT017
            else:
                assert told == ask(reader_of(BODY, PACK.tail, PACK.tail_crc))


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"name", b"na\xffe"), (b"_id", b"_ix"), (b"r0000", b"\xff0000"), (b"PAR1", b"PAR0")],
)
def test_footers_without_a_checksum(old: bytes, new: bytes) -> None:
    """As other programs leave them: no harm is done by names that are no text, and bounds that are none."""
    place = len(BODY) - PACK.tail
    body = BODY[:place] + BODY[place:].replace(old, new)
    assert body != BODY
    for ask in QUESTIONS:
        try:
            ask(reader_of(body))
        except DataFormatError as error:
            assert NAME in str(error)  # noqa: PT017


def test_texts_that_are_none() -> None:
    """Whole in its bytes, and yet no text: what other programs may write."""
    table = reader_of(BODY).read()
    texts = pa.array([b"\xff"] * table.num_rows, pa.binary())
    wrong = pa.Array.from_buffers(pa.string(), len(texts), texts.buffers())
    table = table.set_column(table.column_names.index("name"), "name", wrong)
    sink = io.BytesIO()
    pq.write_table(table, sink, store_schema=False)
    with pytest.raises(DataFormatError, match=f"{NAME}: damaged pack: .*UTF8"):
        _scan(reader_of(sink.getvalue()))
    assert reader_of(sink.getvalue()).read(columns=["_id", "n"]).num_rows == 1000


def test_texts_of_another_type() -> None:
    table = reader_of(BODY).read()
    for name in ("_id", "name"):
        texts = pa.array(table[name].to_pylist(), pa.string_view())
        table = table.set_column(table.column_names.index(name), name, texts)
    sink = io.BytesIO()
    pq.write_table(table, sink)
    reader = reader_of(sink.getvalue())
    assert list(reader.find(["r0007", "r0900"])) == [DOCUMENTS[7], DOCUMENTS[900]]
    assert _scan(reader) == DOCUMENTS


def test_a_damaged_row_costs_no_other() -> None:
    table = reader_of(BODY).read()
    texts = ["{" if n == 3 else "[]" if n == 5 else None for n in range(table.num_rows)]
    table = table.set_column(table.column_names.index("_metadata"), "_metadata", pa.array(texts, pa.string()))
    with pytest.raises(DataFormatError, match="r0003"):
        list(documents_of(table))
    told: list[DataFormatError] = []
    found = [document.id for document in documents_of(table, told.append)]
    assert found == [document.id for n, document in enumerate(DOCUMENTS) if n not in (3, 5)]
    assert [error.context["id"] for error in told] == ["r0003", "r0005"]
