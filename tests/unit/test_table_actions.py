"""The lines of the log: what is written, what is read, and what is refused because it would be read wrongly."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.table.actions import Add, MetaData, Protocol, Remove, Txn, decode, encode, encoded
from dataknobs_data.s3.table.features import check_commit, check_readable, check_writable
from tests.unit.log_fakes import SCHEMA, pack

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
PATHS = st.one_of(TEXTS.map("packs/".__add__), TEXTS).filter(lambda path: ".." not in path and path[:1] != "/")
MAPS = st.dictionaries(TEXTS, TEXTS, max_size=3)
WHOLE = st.integers(0, 2**62)
ACTIONS = st.one_of(
    st.builds(Add, PATHS, WHOLE, WHOLE, st.none() | TEXTS, st.none() | MAPS, st.booleans()),
    st.builds(Remove, PATHS, st.none() | WHOLE, data_change=st.booleans()),
    st.builds(Remove, PATHS, st.none() | WHOLE, WHOLE, MAPS, st.booleans()),
    st.builds(Txn, TEXTS, WHOLE, st.none() | WHOLE),
    st.builds(Protocol, st.integers(1, 2), st.integers(1, 6)),
    st.builds(Protocol, st.just(3), st.just(7), st.just(("a",)), st.lists(TEXTS, max_size=2).map(tuple)),
    st.builds(MetaData, TEXTS, TEXTS, MAPS, st.none() | WHOLE, st.none() | TEXTS, st.none() | TEXTS),
)


@given(st.dictionaries(TEXTS, TEXTS, max_size=3), st.lists(ACTIONS, max_size=5))
def test_what_is_written_is_read(info: dict[str, str], actions: list[Any]) -> None:
    body = encode(info, actions)
    assert body.count(b"\n") == len(actions) + 1
    assert body.startswith(b'{"commitInfo":')
    assert decode(body, "key") == (info, actions)
    assert decode(memoryview(body.removesuffix(b"\n")), "key") == (info, actions)


def test_the_lines_are_those_of_the_protocol() -> None:
    add = pack("packs/ü b%.parquet", stats="{}", tags={"a": "b"})
    lines = encode({"operation": "WRITE"}, [Protocol(), add, add.removed(5, data_change=False)]).splitlines()
    assert [json.loads(line) for line in lines] == [
        {"commitInfo": {"operation": "WRITE"}},
        {"protocol": {"minReaderVersion": 1, "minWriterVersion": 2}},
        {
            "add": {
                "path": "packs/%C3%BC%20b%25.parquet",
                "partitionValues": {},
                "size": 100,
                "modificationTime": 1_767_225_600_000,
                "dataChange": True,
                "stats": "{}",
                "tags": {"a": "b"},
            }
        },
        {
            "remove": {
                "path": "packs/%C3%BC%20b%25.parquet",
                "deletionTimestamp": 5,
                "dataChange": False,
                "extendedFileMetadata": True,
                "partitionValues": {},
                "size": 100,
                "tags": {"a": "b"},
            }
        },
    ]


def test_what_is_not_known_is_ignored_as_the_protocol_demands() -> None:
    body = (
        b'{"commitInfo":{"operation":"WRITE"},"new":{"x":1}}\n\n{"cdc":{"path":"x"}}\r\n'
        b'{"add":{"path":"a","size":1,"modificationTime":2,"dataChange":false,"partitionValues":{},"baseRowId":null,'
        b'"deletionVector":null,"tags":null,"newField":7},"remove":null}'
    )
    assert decode(body, "key") == ({"operation": "WRITE"}, [Add("a", 1, 2, data_change=False)])


ADD = {"path": "a", "size": 1, "modificationTime": 2, "dataChange": True}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "the commit is empty"),
        (b" \n\n", "the commit is empty"),
        (b'{"commitInfo":{}}\n{"add":{"pa', "line 2: a damaged commit: unexpected end"),
        (b"[1]\n", "line 1: a damaged commit"),
        (b'{"add":{"path":"a"}}', "line 1: a damaged commit: 'size'"),
        (json.dumps({"add": {**ADD, "size": "1"}}).encode(), "a whole number was to come, not '1'"),
        (json.dumps({"add": {**ADD, "path": 1}}).encode(), "text was to come, not 1"),
        (json.dumps({"add": {**ADD, "path": "s3://b/a"}}).encode(), "'s3://b/a' lies outside of the table"),
        (json.dumps({"add": {**ADD, "path": "/a"}}).encode(), "'/a' lies outside"),
        (json.dumps({"add": {**ADD, "path": "a/../../b"}}).encode(), "lies outside"),
        (json.dumps({"add": {**ADD, "path": "a%2F..%2F..%2Fb"}}).encode(), "lies outside"),
        (json.dumps({"add": {**ADD, "path": "a%FF"}}).encode(), "damaged commit: 'utf-8'"),
        (json.dumps({"add": {**ADD, "deletionVector": {"storageType": "u"}}}).encode(), "'a' has a deletion vector"),
        (json.dumps({"protocol": {"minReaderVersion": 1}}).encode(), "'minWriterVersion'"),
    ],
)
def test_damage_is_said_with_key_and_line(body: bytes, said: str) -> None:
    with pytest.raises(DataFormatError) as caught:
        decode(body, "log/5.json")
    assert str(caught.value).startswith("log/5.json")
    assert said in str(caught.value)
    assert caught.value.context["key"] == "log/5.json"


def test_a_path_of_ours_needs_no_escape() -> None:
    assert encoded("packs/01KCD5E6F7G8H9JKMNPQRSTVWX.parquet") == "packs/01KCD5E6F7G8H9JKMNPQRSTVWX.parquet"


META = MetaData("id", SCHEMA)


@pytest.mark.parametrize(
    ("protocol", "metadata", "said"),
    [
        (
            Protocol(3, 7, ("deletionVectors", "columnMapping"), ()),
            META,
            "has columnMapping, deletionVectors, with which",
        ),
        (Protocol(2, 5), MetaData("id", SCHEMA, {"delta.columnMapping.mode": "name"}), "has columnMapping, with"),
        (Protocol(4, 7), META, "has reader version 4, with"),
        (Protocol(), MetaData("id", SCHEMA, partition_columns=("day",)), "has partitioning by day, with"),
        (Protocol(), MetaData("id", SCHEMA, provider="orc"), "has files of format orc, with"),
    ],
)
def test_tables_that_would_be_read_wrongly_are_refused(protocol: Protocol, metadata: MetaData, said: str) -> None:
    with pytest.raises(DataFormatError, match="with which this package cannot read it") as caught:
        check_readable(protocol, metadata, "log/")
    assert said in str(caught.value)
    assert str(caught.value).startswith("log/: this table ")


@pytest.mark.parametrize(
    ("protocol", "metadata", "said"),
    [
        (Protocol(1, 3), META, "writer version 3 (checkConstraints)"),
        (Protocol(2, 5), META, "writer version 5 (checkConstraints, changeDataFeed, generatedColumns, columnMapping)"),
        (Protocol(1, 7, (), ("appendOnly", "rowTracking")), META, "has rowTracking, with"),
        (Protocol(1, 8), META, "writer version 8"),
        (Protocol(), MetaData("id", SCHEMA.replace("{}", '{"delta.invariants":"x"}')), "column invariants"),
    ],
)
def test_tables_that_would_be_written_wrongly_are_refused(protocol: Protocol, metadata: MetaData, said: str) -> None:
    check_readable(protocol, metadata, "log/")
    with pytest.raises(DataFormatError, match="cannot write it") as caught:
        check_writable(protocol, metadata, "log/")
    assert said in str(caught.value)


@pytest.mark.parametrize("protocol", [Protocol(), Protocol(1, 1), Protocol(1, 7, (), ("appendOnly", "invariants"))])
def test_other_tables_are_ours_too(protocol: Protocol) -> None:
    metadata = MetaData("id", SCHEMA, {"delta.columnMapping.mode": "none"})
    check_readable(protocol, metadata, "log/")
    check_writable(protocol, metadata, "log/")


def test_commits_that_no_table_may_have() -> None:
    check_commit(META, [pack("a"), Remove("b", 1)], "log/")
    for twice in ([pack("a"), pack("a")], [pack("a"), Remove("a", 1)]):
        with pytest.raises(ValueError, match="names a file twice"):
            check_commit(META, twice, "log/")


def test_an_append_only_table_stays_one() -> None:
    appended = MetaData("id", SCHEMA, {"delta.appendOnly": "true"})
    check_commit(appended, [pack("a"), Remove("b", 1, data_change=False)], "log/")
    with pytest.raises(DataFormatError, match=r"append-only \(delta.appendOnly\)"):
        check_commit(appended, [Remove("b", 1)], "log/")
