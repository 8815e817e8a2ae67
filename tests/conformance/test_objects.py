"""One record is one object: what lies there, what of it others may rely on, and what others may have put."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import ConfigurationError, DataFormatError, DuplicateRecordError, RecordArchivedError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.s3_bench import S3Bench, records

MIB = 1024 * 1024


def raw(bench: S3Bench, id: str) -> Any:
    """The object as boto3 hands it out."""
    return bench.client.get_object(Bucket=bench.bucket, Key=bench.key(id))


def console_tags(bench: S3Bench, id: str) -> dict[str, str]:
    """The tags as the console shows them."""
    tags = bench.client.get_object_tagging(Bucket=bench.bucket, Key=bench.key(id))["TagSet"]
    return {tag["Key"]: tag["Value"] for tag in tags}


def test_a_document_is_plain_json_for_any_tool(bench: S3Bench, db: S3Database) -> None:
    values = {
        "text": "Grüße",
        "n": 1,
        "none": None,
        "list": [1, {"a": 2}],
        "due": date(2026, 1, 2),
        "price": Decimal("1.50"),
    }
    db.create(Record(values, {"source": "test"}, id="x"))
    answer = raw(bench, "x")
    document = json.loads(answer["Body"].read())
    assert answer["ContentType"] == "application/json"
    assert document["id"] == "x"
    assert document["data"] == {**values, "due": "2026-01-02", "price": "1.50"}
    assert document["metadata"] == {"source": "test"}
    assert document["types"] == {"/data/due": "date", "/data/price": "Decimal"}
    assert document.keys() >= {"format", "created_at", "updated_at", "born", "replaces", "revision"}
    found = bench.connect().read("x")
    assert found is not None
    assert found.data == values


@pytest.mark.parametrize("size", [0, 6 * MIB])
def test_birth_revision_and_creation_stand_in_the_headers_too(bench: S3Bench, db: S3Database, size: int) -> None:
    db.create(Record({"data": "x" * size}, id="x"))
    first = raw(bench, "x")["Metadata"]
    document = bench.stored("x")
    assert first == {"born": document["born"], "revision": document["revision"], "created-at": first["created-at"]}
    assert first["created-at"] == document["created_at"]
    db.update("x", Record({"data": "y" * size}))
    second = raw(bench, "x")["Metadata"]
    assert (second["born"], second["created-at"]) == (first["born"], first["created-at"])
    assert second["revision"] == db.get_version("x") != first["revision"]


@pytest.mark.parametrize("size", [0, 6 * MIB])
def test_tags_are_written_with_the_object_and_follow_its_metadata(bench: S3Bench, db: S3Database, size: int) -> None:
    db.create(Record({"data": "x" * size}, {"team": "Blau 1", "n": 7, "list": [1]}, id="x"))
    stamp = bench.stored("x")["created_at"]
    assert console_tags(bench, "x") == {"id": "x", "created_at": stamp, "team": "Blau 1", "n": "7"}
    report = db.tags("x")
    assert report == console_tags(bench, "x")
    assert report is not None
    assert report.skipped == {"list": "a list is no single value"}
    db.update("x", Record({"data": "x" * size}, {"team": "Rot"}))
    assert console_tags(bench, "x") == {"id": "x", "created_at": stamp, "team": "Rot"}
    assert db.tags("nothing") is None


def test_ten_tags_of_letters_digits_and_what_else_tags_may_hold(bench: S3Bench, db: S3Database) -> None:
    metadata = {f"k{n}": f"Straße {n} + - = . _ : / @" for n in range(12)}
    db.create(Record({}, metadata, id="x"))
    tags = console_tags(bench, "x")
    assert len(tags) == 10
    assert {name: metadata[name] for name in list(metadata)[:8]}.items() <= tags.items()
    assert bench.stored("x")["metadata"] == metadata


@pytest.mark.parametrize(("chosen", "names"), [(False, set()), (["team"], {"team"}), (["id", "none"], {"id"})])
def test_tags_can_be_chosen(bench: S3Bench, chosen: Any, names: set[str]) -> None:
    bench.open(tags=chosen).create(Record({}, {"team": "a", "other": "b"}, id="x"))
    assert console_tags(bench, "x").keys() == names


def test_an_id_that_cannot_be_a_tag_is_left_out_of_them(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({}, {"ok": "1"}, id="a&b"))
    key = f"{bench.prefix}a&b.json"
    tags = bench.client.get_object_tagging(Bucket=bench.bucket, Key=key)["TagSet"]
    assert {tag["Key"] for tag in tags} == {"created_at", "ok"}
    report = db.tags("a&b")
    assert report is not None
    assert "id" in report.skipped


def test_large_records_are_conditional_too(bench: S3Bench, db: S3Database) -> None:
    large = Record({"data": "x" * 6 * MIB}, id="x")
    db.create(large)
    with pytest.raises(DuplicateRecordError):
        bench.connect().create(large)
    version = db.get_version("x")
    bench.connect().update("x", Record({"data": "small"}))
    assert db.update("x", Record({"data": "z" * 6 * MIB}))
    assert version != db.get_version("x")
    assert bench.stored("x")["data"]["data"][:1] == "z"
    uploads = bench.client.list_multipart_uploads(Bucket=bench.bucket, Prefix=bench.prefix).get("Uploads", [])
    assert uploads == [], "what failed its condition is aborted"


# ---------------------------------------------------------------------------------------------- archive classes
@pytest.mark.parametrize("storage_class", ["STANDARD_IA", "INTELLIGENT_TIERING", "GLACIER_IR"])
def test_a_warm_class_is_stored_and_can_be_read(bench: S3Bench, storage_class: str) -> None:
    db = bench.open(storage_class=storage_class)
    db.create(Record({"a": 1}, id="x"))
    db.create(Record({"data": "x" * 6 * MIB}, id="large"))
    for id in ("x", "large"):
        head = bench.client.head_object(Bucket=bench.bucket, Key=bench.key(id))
        assert head["StorageClass"] == storage_class
    assert bench.connect().read("x") is not None


def test_control_files_do_not_go_to_the_class(bench: S3Bench) -> None:
    bench.open(storage_class="GLACIER")
    head = bench.client.head_object(Bucket=bench.bucket, Key=f"{bench.prefix}_jobs/format.json")
    assert head.get("StorageClass", "STANDARD") == "STANDARD"


@pytest.mark.parametrize(
    "s3_server", ["moto_server"], indirect=True
)  # SeaweedFS stores the class and reads it all the same
@pytest.mark.parametrize("storage_class", ["GLACIER", "DEEP_ARCHIVE"])
def test_an_archived_record_says_what_to_do_and_can_be_replaced_unread(bench: S3Bench, storage_class: str) -> None:
    db = bench.open(storage_class=storage_class)
    db.batch_create(records(4))
    assert len(db.search()) == 4, "who has them in memory needs no restoring"
    fresh = bench.connect()
    for call in (
        lambda: db.read("r-000001"),
        lambda: fresh.read("r-000001"),
        lambda: fresh.batch_read(["r-000001"]),
        fresh.search,
        lambda: fresh.count(Query().filter("n", "=", 1)),
        lambda: list(fresh.stream_read()),
    ):
        with pytest.raises(RecordArchivedError) as caught:
            call()
        assert "restore it first (db.restore(" in str(caught.value)
        assert "GLACIER takes minutes (expedited), 3 to 5 hours (standard)" in str(caught.value)
        assert caught.value.context["id"].startswith("r-00000")
        assert caught.value.context["id"] in str(caught.value)
    found = fresh.search(on_error="collect")
    assert found == []
    assert [error.context["id"] for error in found.errors] == [f"r-{n:06}" for n in range(4)]
    assert fresh.count() == 4
    assert fresh.list_ids("r-") == [f"r-{n:06}" for n in range(4)]
    assert fresh.exists("r-000002")
    born = raw_head(bench, "r-000000")["born"]
    version = fresh.get_version("r-000000")
    assert version == raw_head(bench, "r-000000")["revision"]
    assert fresh.update("r-000000", Record({"n": 10}), expected_version=version)
    assert fresh.read("r-000000") is not None, "written without the class"
    assert raw_head(bench, "r-000000")["born"] == born
    assert fresh.upsert("r-000001", Record({"n": 11})) == "r-000001"
    assert fresh.delete("r-000002")
    assert fresh.delete("r-000003", expected_version=fresh.get_version("r-000003"))
    assert [record["n"] for record in fresh.search()] == [10, 11]


def raw_head(bench: S3Bench, id: str) -> dict[str, str]:
    """The user metadata of an object that cannot be read."""
    return bench.client.head_object(Bucket=bench.bucket, Key=bench.key(id))["Metadata"]


@pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
def test_a_restored_record_can_be_read(bench: S3Bench) -> None:
    db = bench.open(storage_class="GLACIER")
    db.create(Record({"a": 1}, id="x"))
    bench.client.restore_object(Bucket=bench.bucket, Key=bench.key("x"), RestoreRequest={"Days": 1})
    found = db.read("x")
    assert found is not None
    assert found["a"] == 1


# ---------------------------------------------------------------------------------------------- versioned buckets
@pytest.fixture
def versioned(bench: S3Bench, bucket_name: str) -> str:
    bench.server.create_bucket(bucket_name)
    bench.client.put_bucket_versioning(Bucket=bucket_name, VersioningConfiguration={"Status": "Enabled"})
    return bucket_name


def test_older_versions_can_be_read_after_change_and_deletion(bench: S3Bench, versioned: str) -> None:
    db = bench.connect(bucket=versioned)
    db.create(Record({"n": 1}, id="x"))
    db.update("x", Record({"n": 2}))
    key = bench.key("x")

    def versions() -> list[str]:
        found = bench.client.list_object_versions(Bucket=versioned, Prefix=key)["Versions"]
        return [version["VersionId"] for version in found]

    newest, oldest = versions()
    for reader in (db, bench.connect(bucket=versioned)):
        assert [reader.read("x", version_id=one)["n"] for one in (newest, oldest)] == [2, 1]  # type: ignore[index]
    assert db.delete("x") is True
    assert db.delete("x") is False
    assert db.read("x") is None
    assert not db.exists("x")
    assert db.count() == 0
    assert db.read("x", version_id=oldest)["n"] == 1  # type: ignore[index]
    marker = bench.client.list_object_versions(Bucket=versioned, Prefix=key)["DeleteMarkers"][0]["VersionId"]
    assert db.read("x", version_id=marker) is None
    assert db.read("x", version_id="never-was") is None
    assert db.read("other", version_id=oldest) is None
    assert db.create(Record({"n": 3}, id="x")) == "x", "what was deleted can be created again"
    assert len(versions()) == 3
    assert db.batch_delete(["x", "y"]) == [True, False]
    assert db.clear() == 0


# ---------------------------------------------------------------------------------------------- the format file
def test_the_format_file_says_layout_and_version(bench: S3Bench) -> None:
    db = bench.connect()
    db.count()
    assert bench.paths() == [], "reading leaves no trace"
    db.create(Record({}, id="x"))
    assert json.loads(_format(bench)) == {"format": 1, "layout": "objects"}
    assert bench.paths() == ["_jobs/format.json", "x.json"], "nor does the probe"


def _format(bench: S3Bench) -> bytes:
    body: bytes = bench.client.get_object(Bucket=bench.bucket, Key=f"{bench.prefix}_jobs/format.json")["Body"].read()
    return body


@pytest.mark.parametrize(
    ("content", "error", "says"),
    [
        (
            b'{"format": 1, "layout": "tiered"}',
            ConfigurationError,
            "have layout 'tiered', but this database was opened for 'objects'",
        ),
        (b'{"format": 7, "layout": "objects"}', DataFormatError, "format 7 is not known to this version"),
        (b"{", DataFormatError, "damaged format file"),
    ],
)
def test_a_place_that_is_not_for_these_settings_is_refused(
    bench: S3Bench, content: bytes, error: type[Exception], says: str
) -> None:
    bench.open().create(Record({}, id="x"))
    bench.put_key(f"{bench.prefix}_jobs/format.json", content)
    for call in (lambda d: d.read("x"), lambda d: d.create(Record({})), lambda d: d.count(), lambda d: d.clear()):
        with pytest.raises(error) as caught:
            call(S3Database(bench.config()))
        assert says in str(caught.value)
        assert f"{bench.prefix}_jobs/format.json" in str(caught.value)
    assert bench.paths() == ["_jobs/format.json", "x.json"]


# ---------------------------------------------------------------------------------------------- other writers
FOREIGN: dict[str, Any] = {
    "data": {"data": {"a": 1, "b": "x"}},
    "fields": {"id": "fields", "fields": {"a": {"name": "a", "value": 1, "type": "integer"}, "b": "x"}},
    "stamped": {"data": {"a": 1, "b": "x"}, "metadata": {"created_at": "2020-01-01T00:00:00Z", "by": "me"}},
    "odd": {"data": {"a": 1, "b": "x"}, "created_at": "gestern\r\nx-evil: é", "born": "ü " * 50, "revision": "r"},
    "spaced": {"data": {"a": 1, "b": "x"}, "more": "unknown"},
}


@pytest.mark.parametrize("form", FOREIGN)
def test_documents_of_another_writer_can_be_read_changed_and_deleted(bench: S3Bench, db: S3Database, form: str) -> None:
    bench.put(form, FOREIGN[form])
    found = db.read(form)
    assert found is not None
    assert found.id == form
    assert found.data == {"a": 1, "b": "x"}
    assert found.metadata["created_at"]
    assert found.metadata["updated_at"]
    assert [record.id for record in db.search(Query().filter("a", "=", 1))] == [form]
    version = db.get_version(form)
    assert version
    with pytest.raises(DuplicateRecordError):
        db.create(Record({}, id=form))
    assert db.update(form, Record({"a": 2}), expected_version=version)
    changed = bench.connect().read(form)
    assert changed is not None
    assert changed["a"] == 2
    assert changed.metadata["created_at"] == found.metadata["created_at"]
    assert db.get_version(form) != version
    assert db.delete(form)


def test_a_document_that_another_writer_replaced_has_another_version(bench: S3Bench, db: S3Database) -> None:
    bench.put("x", {"data": {"a": 1}})
    first = db.get_version("x")
    bench.put("x", {"data": {"a": 2}})
    assert db.get_version("x") != first
    assert (db.read("x") or Record())["a"] == 2


def test_what_another_package_left_without_stamps_is_as_old_as_its_object(bench: S3Bench, db: S3Database) -> None:
    bench.put("x", {"data": {}})
    written = bench.client.head_object(Bucket=bench.bucket, Key=bench.key("x"))["LastModified"]
    found = db.read("x")
    assert found is not None
    assert datetime.fromisoformat(found.metadata["created_at"]) == written.astimezone(UTC)


# ---------------------------------------------------------------------------------------------- buckets
def test_a_missing_bucket_is_created_where_that_is_wanted(bench: S3Bench, bucket_name: str) -> None:
    """By default on custom endpoints; two at the same moment are no trouble."""
    one, other = bench.connect(bucket=bucket_name), bench.connect(bucket=bucket_name, create_bucket=True)
    one.create(Record({}, id="a"))
    other.create(Record({}, id="b"))
    assert one.count() == 2


def test_a_bucket_of_another_region_can_be_created(bench: S3Bench, bucket_name: str) -> None:
    db = bench.connect(bucket=bucket_name, region="eu-west-1")
    assert db.create(Record({}, id="a")) == "a"


def test_encryption_and_owner_do_not_hinder(bench: S3Bench) -> None:
    """That they are sent stands in test_headers; moto keeps what it was told."""
    db = bench.open(encryption="SSE-S3")
    db.create(Record({"a": 1}, id="x"))
    db.create(Record({"data": "x" * 6 * MIB}, id="large"))
    for id in ("x", "large"):
        assert db.exists(id)
        if bench.is_moto:
            head = bench.client.head_object(Bucket=bench.bucket, Key=bench.key(id))
            assert head["ServerSideEncryption"] == "AES256"
