"""The settings: their defaults, their other spellings, and what is said about wrong ones."""

from __future__ import annotations

from typing import Any

import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database, SyncS3Database
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.settings import MIB, S3Settings, s3_settings


@pytest.mark.parametrize("bucket", ["my-bucket", "my.bucket", "arn:aws:s3:us-west-2:123456789012:accesspoint/mine"])
def test_what_may_be_a_bucket(bucket: str) -> None:
    assert s3_settings({"bucket": bucket}).bucket == bucket


def test_only_the_bucket_is_required() -> None:
    settings = s3_settings({"bucket": "b"})
    assert settings.prefix == "records/"
    assert settings.max_workers == 10
    assert settings.cache_ttl == 60
    assert settings.multipart_threshold == settings.multipart_chunksize == 5 * MIB
    assert (settings.timeout, settings.deadline) == (20, 60)
    assert settings.layout is None


@pytest.mark.parametrize("config", [{}, {"bucket": ""}, {"bucket": None}, {"prefix": "x"}])
def test_without_a_bucket_the_message_is_the_familiar_one(config: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as caught:
        S3Database.from_config(config)
    assert str(caught.value) == "S3 backend requires 'bucket': bucket name is required"


@pytest.mark.parametrize(
    ("spelling", "name"),
    [
        ("region_name", "region"), ("aws_access_key_id", "access_key_id"), ("profile_name", "profile"),
        ("aws_secret_access_key", "secret_access_key"), ("aws_session_token", "session_token"),
    ],
)  # fmt: skip
def test_other_spellings_of_a_setting(spelling: str, name: str) -> None:
    pair = {"access_key_id": "k", "secret_access_key": "s"} if "key" in name or "token" in name else {}
    pair.pop(name, None)
    assert getattr(s3_settings({"bucket": "b", spelling: "value", **pair}), name) == "value"
    with pytest.raises(ConfigurationError, match=f"sets '{name}' a second time; keep one spelling"):
        s3_settings({"bucket": "b", name: "x", spelling: "y"})


@pytest.mark.parametrize(
    ("wrong", "nearest"),
    [
        ("bukcet", "bucket"),
        ("max_worker", "max_workers"),
        ("storageclass", "storage_class"),
        ("cache_tll", "cache_ttl"),
    ],
)
def test_an_unknown_setting_is_refused_with_the_nearest_spelling(wrong: str, nearest: str) -> None:
    with pytest.raises(ConfigurationError, match=f"unknown setting '{wrong}'; did you mean '{nearest}'"):
        s3_settings({"bucket": "b", wrong: "x"})


def test_numbers_and_truths_may_come_as_text() -> None:
    settings = s3_settings({
        "bucket": "b", "max_workers": "4", "cache_ttl": "2.5", "create_bucket": "yes", "tags": "false",
        "deadline": "30",
    })  # fmt: skip
    assert (settings.max_workers, settings.cache_ttl, settings.create_bucket) == (4, 2.5, True)
    assert settings.tags is False
    assert settings.deadline == 30.0


def test_none_means_the_default() -> None:
    assert s3_settings({"bucket": "b", "region": None, "max_workers": None, "prefix": None}) == S3Settings("b")


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("max_workers", 0, "max_workers is 0, but must be 1 or more"),
        ("max_workers", "many", "setting 'max_workers': 'many' is no int"),
        ("max_workers", 2.5, "setting 'max_workers': 2.5 is no int"),
        ("max_workers", True, "setting 'max_workers': True is no int"),
        ("max_retries", -1, "max_retries is -1, but must be 0 or more"),
        ("cache_ttl", -1, "cache_ttl is -1.0, but must be 0 or more"),
        ("cache_ttl", float("nan"), "cache_ttl is nan, but must be 0 or more"),
        ("cache_bytes", -1, "cache_bytes is -1, but must be 0 or more"),
        ("multipart_threshold", 0, "multipart_threshold is 0, but must be 1 or more"),
        ("multipart_chunksize", 1, "multipart_chunksize is 1, but must be 5242880 or more"),
        ("timeout", 0, "timeout is 0.0, but must be 0.01 or more"),
        ("deadline", 20, "deadline (20.0 s, a whole operation) must be longer than timeout (20.0 s, one request)"),
        ("memory_limit", 1024, "memory_limit is 1024, but must be 67108864 or more"),
        ("memory_limit", "1 MB", "memory_limit is 1000000, but must be 67108864 or more"),
        (
            "memory_limit",
            "much",
            "memory_limit 'much' is no number of bytes: write 1073741824, or a unit with it, as 512MB or 1GiB",
        ),
        ("query_timeout", 0, "query_timeout is 0.0, but must be 0.01 or more"),
        ("storage_class", "GLACIAL", "storage_class 'GLACIAL' is none of STANDARD, "),
        ("layout", "tables", "layout 'tables' is none of objects, tiered"),
        ("access_key_id", "only-one", "access_key_id and secret_access_key go together"),
        ("endpoint_url", "localhost:4566", "endpoint_url 'localhost:4566' must start with http:// or https://"),
        ("bucket", "a/b", "bucket 'a/b' is no bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens"),
        ("bucket", "ümlaut", "bucket 'ümlaut' is no bucket's name"),
        ("prefix", "a//b", "prefix 'a//b' cannot be used"),
        ("prefix", ["a"], "setting 'prefix': ['a'] is no str"),
        ("tags", 3, "setting 'tags': 3 is no bool or list"),
    ],
)
def test_an_impossible_value_is_refused_saying_what_is_wrong(name: str, value: Any, says: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        S3Database.from_config({"bucket": "b", name: value})
    assert says in str(caught.value)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("100000000", 100_000_000), (" 512MB ", 512_000_000), ("1 GB", 10**9), ("1GiB", 2**30), ("1.5g", 1_500_000_000),
        ("65536kib", 2**26), ("1ti", 2**40), ("70000000b", 70_000_000), (2**27, 2**27), ("", 2**30),
    ],
)  # fmt: skip
def test_bytes_may_have_a_unit(text: Any, number: int) -> None:
    assert s3_settings({"bucket": "b", "memory_limit": text}).memory_limit == number


def test_secrets_are_in_no_repr_and_no_error() -> None:
    config = {"bucket": "b", "access_key_id": "AKIA", "secret_access_key": "sEcReT-1", "session_token": "sEcReT-2"}
    shown = [
        repr(s3_settings(config)),
        repr(S3Database(config)),
        repr(AsyncS3Database(config)),
        repr(vars(S3Database(config))),
    ]
    for wrong in (["sEcReT-1"], {"sEcReT-1": 1}):
        with pytest.raises(ConfigurationError) as caught:
            S3Database({**config, "secret_access_key": wrong})
        shown += [str(caught.value), repr(caught.value.context)]
    assert "sEcReT" not in "".join(shown)
    assert "its value is no str" in shown[-2]


def test_the_database_says_where_it_is() -> None:
    shown = repr(S3Database({"bucket": "b", "prefix": "p", "endpoint_url": "http://127.0.0.1:9"}))
    assert "s3://b/p/" in shown
    assert "http://127.0.0.1:9" in shown


def test_the_synchronous_class_has_two_names() -> None:
    assert SyncS3Database is S3Database
