"""Addresses for people without credentials: fetched by plain urllib, on real servers; those for AWS read."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.error import HTTPError
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit
from urllib.request import urlopen

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import ConfigurationError, RecordValidationError
from dataknobs_data.records import Record
from dataknobs_data.s3.settings import s3_settings
from dataknobs_data.s3.stores.connection import open_store
from tests.s3_bench import S3Bench

ODD_IDS = [
    "plain",
    "2024/05/01/17",
    "with space",
    "a+b;c?d=e&f#g",
    "100%",
    "%41",
    "ü/日本/😀",
    "a//b",
    "../up",
    "~'\"()*!",
    "tab\tline\n",
]


def fetched(url: str) -> Any:
    """What somebody without credentials gets there."""
    with urlopen(url) as answer:
        assert answer.headers["Content-Type"] == "application/json"
        return json.load(answer)


def refused(url: str) -> int | None:
    """With which status it is refused, if it is."""
    try:
        urlopen(url).close()
    except HTTPError as error:
        with error:
            return error.code
    return None


@pytest.mark.parametrize("id", ODD_IDS)
def test_anybody_may_read_at_the_address(bench: S3Bench, db: S3Database, id: str) -> None:
    db.create(Record({"n": 1}, id=id))
    document = fetched(db.presign(id))
    assert (document["id"], document["data"]) == (id, {"n": 1})


def test_signing_sends_nothing_not_even_for_ids_that_are_not_there(bench: S3Bench, db: S3Database) -> None:
    before = db.usage
    url = db.presign("nobody")
    assert db.usage == before
    assert refused(url) == 404


@pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)  # moto checks no signatures
def test_it_is_for_one_record_one_method_and_a_while(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"n": 1}, id="a"))
    db.create(Record({"n": 2}, id="b"))
    url = db.presign("a", 1)
    assert refused(url.replace("/a.json", "/b.json")) == 403
    assert refused(url.partition("?")[0]) == 403
    patience = iter(range(200))
    while refused(url) is None:
        assert next(patience, None) is not None, "it never expires"
        time.sleep(0.05)
    assert refused(url) == 403


@pytest.mark.parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)
def test_a_version_stays_readable_when_the_record_changes(s3_config: dict[str, Any]) -> None:
    with S3Database(s3_config) as db:
        db.enable_versioning()
        db.create(Record({"n": 1}, id="a"))
        first = next(one for one in db.history("a") if one.is_latest).version_id
        db.update("a", Record({"n": 2}))
        assert fetched(db.presign("a", version_id=first))["data"] == {"n": 1}
        assert fetched(db.presign("a"))["data"] == {"n": 2}


@pytest.mark.parametrize("seconds", [0, -1, 604_801, 1.5, True, "60", None])
def test_a_time_that_cannot_be(bench: S3Bench, db: S3Database, seconds: Any) -> None:
    with pytest.raises(ConfigurationError, match="1 to 604800 seconds"):
        db.presign("a", seconds)


def test_the_longest_time_is_taken(bench: S3Bench, db: S3Database) -> None:
    db.create(Record({"n": 1}, id="a"))
    assert fetched(db.presign("a", 604_800))["data"] == {"n": 1}


def test_what_can_be_no_id_or_version(bench: S3Bench, db: S3Database) -> None:
    with pytest.raises(RecordValidationError):
        db.presign("")
    with pytest.raises(RecordValidationError, match="too long"):
        db.presign("x" * 2000)
    with pytest.raises(ConfigurationError, match="version_id is empty"):
        db.presign("a", version_id="")


# ---------------------------------------------------------------------------------------------- AWS, from afar
def aws_url(**over: Any) -> SplitResult:
    """The parts of an address on AWS; nothing is sent for it."""
    settings = s3_settings({"bucket": "my-bucket", "access_key_id": "AKID", "secret_access_key": "secret", **over})
    store, _ = open_store(settings)
    return urlsplit(store.presign("records/ü %.json", 60))


@pytest.mark.parametrize(
    ("over", "host", "path"),
    [
        ({"region": "us-east-1"}, "my-bucket.s3.amazonaws.com", "/records/ü %.json"),
        ({"region": "eu-west-1"}, "my-bucket.s3.eu-west-1.amazonaws.com", "/records/ü %.json"),
        ({"region": "cn-north-1"}, "my-bucket.s3.cn-north-1.amazonaws.com.cn", "/records/ü %.json"),
        (
            {"region": "eu-west-1", "bucket": "my.bucket"},
            "s3.eu-west-1.amazonaws.com",
            "/my.bucket/records/ü %.json",
        ),
        (
            {"region": "eu-west-1", "bucket": "arn:aws:s3:us-west-2:123456789012:accesspoint/ap"},
            "ap-123456789012.s3-accesspoint.us-west-2.amazonaws.com",
            "/records/ü %.json",
        ),
    ],
)
def test_signature_version_4_at_the_address_of_the_region(over: dict[str, Any], host: str, path: str) -> None:
    """Version 2 (what botocore would do in old regions) cannot read what KMS encrypts; a redirect would break version 4."""
    url = aws_url(**over)
    query = parse_qs(url.query)
    assert (url.scheme, url.netloc, unquote(url.path)) == ("https", host, path)
    assert query["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    region = "us-west-2" if "arn" in over.get("bucket", "") else over["region"]
    assert f"/{region}/s3/aws4_request" in query["X-Amz-Credential"][0]
    assert query["X-Amz-SignedHeaders"] == ["host"], "whoever has it need send nothing else"


def test_a_session_token_is_part_of_the_address_and_the_secret_is_not() -> None:
    url = aws_url(region="eu-west-1", session_token="token", expected_bucket_owner="123456789012")
    assert parse_qs(url.query)["X-Amz-Security-Token"] == ["token"]
    assert "secret" not in url.geturl()
    assert "owner" not in url.geturl().lower()
