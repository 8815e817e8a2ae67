"""Inside `moto.mock_aws()`: no network, no setting, and through boto3, which is all that the mock stands in for."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import boto3
import moto
import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import ConcurrencyError, DatabaseConnectionError, DuplicateRecordError
from dataknobs_data.query import Query
from dataknobs_data.records import Record


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "test")
    with moto.mock_aws():
        boto3.client("s3", region_name="us-east-1").create_bucket(Bucket="mocked")
        yield "mocked"


def test_everything_works(bucket: str) -> None:
    with S3Database({"bucket": bucket}) as db:
        assert db.create(Record({"n": 1}, {"team": "blue"}, id="x")) == "x"
        with pytest.raises(DuplicateRecordError):
            db.create(Record({}, id="x"))
        version = db.get_version("x")
        assert db.update("x", Record({"n": 2}), expected_version=version)
        with pytest.raises(ConcurrencyError):
            db.update("x", Record({"n": 3}), expected_version=version)
        assert (db.read("x") or Record())["n"] == 2
        assert db.upsert(Record({"n": 4}, id="y")) == "y"
        ids = db.batch_create(Record({"n": n}) for n in range(20))
        assert db.count() == 22
        assert [record.id for record in db.search(Query().filter("n", "=", 2).sort("id").limit(1))]
        assert db.batch_delete([*ids, "nothing"]) == [True] * 20 + [False]
        assert db.delete("x") is True
        assert db.delete("x") is False
        assert db.create(Record({"data": "x" * 6 * 1024 * 1024}, {"team": "blue"}, id="large")) == "large"
        assert len((db.read("large") or Record())["data"]) == 6 * 1024 * 1024
        tags = db.tags("large")
        assert tags is not None
        assert tags["team"] == "blue"
        assert db.clear() == 2


def test_a_missing_bucket_is_said_as_on_aws(bucket: str) -> None:
    with pytest.raises(DatabaseConnectionError, match="no such bucket"):
        S3Database({"bucket": "not-made"}).count()
    with S3Database({"bucket": "made-now", "create_bucket": True}) as db:
        assert db.count() == 0


def test_threads_may_share_it(bucket: str) -> None:
    with S3Database({"bucket": bucket}) as db:
        threads = [threading.Thread(target=db.create, args=(Record({}, id=str(n)),)) for n in range(10)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert db.count() == 10


def test_the_mock_is_not_believed_to_be_aws(bucket: str) -> None:
    """It has AWS's address and refuses `DELETE If-Match: *`."""
    with S3Database({"bucket": bucket, "layout": "objects"}) as db:
        db.create(Record({}, id="x"))
        place = db._engine._place  # type: ignore[attr-defined]
        assert place.is_aws
        assert not place.behaves_like_aws
        assert db.delete("x") is True
        assert db.usage.requests["HeadObject"] >= 1, "it looks, and deletes by ETag"
