"""Every key is formed and parsed in one place: what it escapes, what it takes for a stranger's, what it refuses."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dataknobs_data.exceptions import ConfigurationError, RecordValidationError
from dataknobs_data.s3.keys import (
    KEY_BYTES_MAX,
    Keys,
    check_prefix,
    companion_of,
    longest_segment_bytes,
    pack_path,
)

KEYS = Keys("records/")

ODD = st.sampled_from(
    ["/", ".", "..", "%", "\\", "_table", "_jobs", "\x00", "\n", "\x7f", "\x85", "\uffff", "%2E", "%", ".json", ".js"]
)
IDS = st.lists(st.one_of(ODD, st.text(max_size=5)), min_size=1, max_size=6).map("".join).filter(bool)


@pytest.mark.parametrize(
    ("id", "path"),
    [
        ("user-123", "user-123"),
        ("2024/01/a", "2024/01/a"),
        ("a b+c&d=e?f#g:h*i|j~k'\"<>", "a b+c&d=e?f#g:h*i|j~k'\"<>"),
        ("日本語/ü 😀", "日本語/ü 😀"),
        ("100%", "100%25"),
        ("%41", "%2541"),
        ("a\\b", "a%5Cb"),
        ("a\tb", "a%09b"),
        ("\x00", "%00"),
        ("\x7f", "%7F"),
        ("\x85", "%C2%85"),
        ("\ufffe\uffff", "%EF%BF%BE%EF%BF%BF"),
        ("/a", "%/a"),
        ("a//b", "a/%/b"),
        ("a/", "a/%"),
        ("/", "%/%"),
        (".", "%2E"),
        ("../x", "%2E%2E/x"),
        ("...", "..."),
        (".hidden", ".hidden"),
        ("_table/x", "%5Ftable/x"),
        ("a/_jobs", "a/%5Fjobs"),
        ("_tables", "_tables"),
        ("a.json", "a.json"),
        ("a.json/b", "a%2Ejson/b"),
        (".json/..json/x.json", "%2Ejson/.%2Ejson/x.json"),
        ("a.JSON/b.jsonl/c", "a.JSON/b.jsonl/c"),
        ("\u00a0\u2028", "\u00a0\u2028"),
    ],
)
def test_an_id_stands_in_its_key_as_it_is_but_for_what_keys_cannot_carry(id: str, path: str) -> None:
    assert KEYS.record(id) == f"records/{path}.json"
    assert KEYS.id(f"records/{path}.json") == id


@given(IDS)
@example("%")
@example("%/%")
@example("%2E")
def test_every_id_comes_back_from_its_key(id: str) -> None:
    assert KEYS.id(KEYS.record(id)) == id


@given(st.text(max_size=20).map("records/{}.json".format))
def test_a_key_that_has_an_id_is_the_key_of_that_id(key: str) -> None:
    id = KEYS.id(key)
    assert id is None or KEYS.record(id) == key


@given(IDS, st.integers(0, 12))
def test_a_listing_by_id_prefix_covers_every_id_that_starts_with_it(id: str, length: int) -> None:
    assert KEYS.record(id).startswith(KEYS.listing_prefix(id[:length]))


@pytest.mark.parametrize(
    ("id_prefix", "listed"),
    [
        ("", "records/"),
        ("user-", "records/user-"),
        ("2024/01/", "records/2024/01/"),
        ("2024/0", "records/2024/0"),
        ("a%", "records/"),  # `a%` is written `a%25`
        ("x/_ta", "records/x/"),  # `_table` is written `%5Ftable`
        (".", "records/"),
        ("../y", "records/%2E%2E/y"),
        ("_users", "records/_users"),
        ("a.json/b", "records/a%2Ejson/b"),
        ("a.json", "records/a"),  # `a.json/b` is written `a%2Ejson/b`
        ("a.js", "records/a"),
        ("a.", "records/a"),
        ("a.jsonl", "records/a.jsonl"),
    ],
)
def test_a_listing_asks_for_as_much_of_the_prefix_as_is_sure(id_prefix: str, listed: str) -> None:
    assert KEYS.listing_prefix(id_prefix) == listed


@pytest.mark.parametrize(
    "key",
    [
        "records/x.txt",
        "records/x.json/",
        "records/x.json/y.json",
        "records/x",
        "records/.json",
        "records/",
        "other/x.json",
        "records/a//b.json",
        "records//a.json",
        "records/../x.json",
        "records/./x.json",
        "records/..json",
        "records/tab\tx.json",
        "records/back\\slash.json",
        "records/%41.json",
        "records/100%.json",
        "records/%zz.json",
        "records/%ff.json",
        "records/%2e.json",
        "records/_table/x.json",
        "records/_jobs/format.json",
        "records/a/_table/b/c.json",
        "records/nested/_jobs/format.json",
        "records/\uffff.json",
    ],
)
def test_what_is_nobodys_key_is_a_strangers(key: str) -> None:
    assert KEYS.id(key) is None


@given(IDS, IDS)
def test_no_record_has_the_name_of_anothers_folder(one: str, other: str) -> None:
    """On a file system the folder `x` and the record `x` would lose each other."""
    assert not KEYS.record(other).startswith(KEYS.record(one) + "/")


def test_nested_databases_are_visible_by_their_path_and_known_by_their_format_file() -> None:
    outer, inner = Keys("data/"), Keys("data/2024/01/")
    assert outer.id(inner.record("a")) == "2024/01/a"
    assert outer.is_nested_format(inner.format)
    assert not outer.is_nested_format(outer.format)
    assert not Keys("").is_nested_format("_jobs/format.json")


def test_the_empty_prefix_has_no_leading_slash() -> None:
    assert Keys("").record("a/b") == "a/b.json"
    assert Keys("").id("a/b.json") == "a/b"
    assert Keys("").format == "_jobs/format.json"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("records", "records/"), ("records/", "records/"), ("/a/b//", "a/b/"), ("", ""), ("/", ""), ("Ünï 1", "Ünï 1/")],
)
def test_a_prefix_ends_with_one_slash(given: str, kept: str) -> None:
    assert check_prefix(given) == kept


@pytest.mark.parametrize(
    ("prefix", "part"),
    [
        ("a//b", "''"), ("a/../b", "'..'"), ("./a", "'.'"), ("a/_table", "'_table'"), ("_jobs", "'_jobs'"),
        ("a\\b", "'a\\\\b'"), ("a\nb", "'a\\nb'"),
    ],
)  # fmt: skip
def test_an_impossible_prefix_is_refused_naming_its_part(prefix: str, part: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        check_prefix(prefix)
    assert f"prefix {prefix!r} cannot be used: its part {part}" in str(caught.value)
    assert caught.value.context["key"] == "prefix"


def test_the_longest_key_is_1024_bytes_with_prefix_and_suffix() -> None:
    room = KEY_BYTES_MAX - len("records/.json")
    assert len(KEYS.record("x" * room)) == 1024
    with pytest.raises(RecordValidationError, match="is too long: its key takes 1025 bytes, S3 allows 1024") as caught:
        KEYS.record("x" * (room + 1))
    assert caught.value.context["id"] == "x" * (room + 1)
    with pytest.raises(RecordValidationError, match="its key takes 1413 bytes"):
        KEYS.record("ü" * 700)


def test_ids_that_no_record_can_have_are_known_without_asking() -> None:
    assert KEYS.can_hold("a")
    assert not KEYS.can_hold("")
    assert not KEYS.can_hold("x" * 2000)
    assert not KEYS.can_hold("\ud800")


def test_the_longest_segment_counts_bytes() -> None:
    assert longest_segment_bytes("a/ücü/b.json") == 6


def test_the_files_of_a_table() -> None:
    assert KEYS.table_file("packs/a.parquet") == "records/_table/packs/a.parquet"
    assert KEYS.log_file(7, "json") == "records/_table/_delta_log/00000000000000000007.json"
    assert KEYS.last_checkpoint == "records/_table/_delta_log/_last_checkpoint"
    for kind in ("json", "checkpoint.parquet", "crc"):
        key = KEYS.log_file(7, kind)
        assert KEYS.log_name(key) == (7, kind)
        assert key.startswith(KEYS.log)
        assert KEYS.log_from(7) < key < KEYS.log_from(8)
        assert KEYS.id(key) is None


@pytest.mark.parametrize(
    "name", ["", "_last_checkpoint", "7.json", "x/00000000000000000007.json", "00000000000000000007"]
)
def test_other_files_beside_a_log(name: str) -> None:
    assert KEYS.log_name(KEYS.log + name) is None


def test_packs_and_their_companions() -> None:
    path = pack_path("01J")
    assert path == "packs/01J.parquet"
    assert companion_of(path) == "_ids/01J.parquet"
    assert KEYS.table_file(path) == KEYS.packs + "01J.parquet" == "records/_table/packs/01J.parquet"
    assert KEYS.table_file(companion_of(path)) == KEYS.ids + "01J.parquet" == "records/_table/_ids/01J.parquet"
    for one in (path, companion_of(path)):
        assert KEYS.table_path(KEYS.table_file(one)) == one
        assert KEYS.id(KEYS.table_file(one)) is None


@pytest.mark.parametrize(
    "key",
    [
        "packs/a.parquet",
        "records/packs/a.parquet",
        "records/_table/packs/",
        "records/_table/packs/.parquet",
        "records/_table/packs/a.parquet.tmp",
        "records/_table/packs/day=1/a.parquet",
        "records/_table/a.parquet",
        "records/_table/_delta_log/a.parquet",
        "others/_table/packs/a.parquet",
    ],
)
def test_other_files_of_a_table(key: str) -> None:
    assert KEYS.table_path(key) is None


def test_marks_and_journals_of_loads() -> None:
    mark, journal = KEYS.load("01J"), KEYS.load_journal("01J")
    assert mark == KEYS.loads + "01J.json" == "records/_jobs/loads/01J.json"
    assert (KEYS.load_id(mark), KEYS.load_journal_id(mark)) == ("01J", None)
    assert (KEYS.load_id(journal), KEYS.load_journal_id(journal)) == (None, "01J")
    assert KEYS.load("01I") < KEYS.loads + "01J" < mark < journal < KEYS.loads + "01K"
    assert KEYS.id(mark) is KEYS.id(journal) is None


@pytest.mark.parametrize(
    "key", ["01J.json", "records/_jobs/01J.json", "records/_jobs/loads/x/01J.json", "records/_jobs/loads/.json", ""]
)
def test_other_files_beside_marks(key: str) -> None:
    assert KEYS.load_id(key) is KEYS.load_journal_id(key) is None
