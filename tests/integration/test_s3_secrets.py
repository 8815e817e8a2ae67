"""Secrets are in no repr, no error (with all of its causes and context) and no log line, whatever goes wrong."""

from __future__ import annotations

import asyncio
import logging
import pickle
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.records import Record
from tests.s3_bench import Places, S3Bench, records, s3_places
from tests.servers import S3Server
from tests.wire.proxy import Answer, Lose, Refuse, Truncate, WireProxy

__all__ = ["s3_places"]

SECRET, TOKEN = "sEcReT-kEy-0123456789", "sEcReT-tOkEn-9876543210"
SHORT = {"timeout": 0.3, "deadline": 0.7, "max_retries": 1}


@pytest.fixture
def bench(s3_server: S3Server, proxy: WireProxy, s3_places: Places) -> Iterator[S3Bench]:
    with ExitStack() as ends:
        yield S3Bench(s3_server, *s3_places[s3_server], ends, proxy)
        proxy.reset()


def told(call: Callable[[], object]) -> str:
    """Everything that a user, a log or an error tracker could see of a failure; nothing where it succeeded."""
    try:
        call()
    except DataknobsDataError as failure:
        error = failure
    else:
        return ""
    again = pickle.loads(pickle.dumps(error))
    chain = "".join(traceback.format_exception(error))
    return "\n".join([str(error), repr(error), repr(error.context), chain, str(again), repr(again.context)])


OPERATIONS: list[Callable[[S3Database], object]] = [
    lambda db: db.create(Record({"a": 1}, id="x")),
    lambda db: db.create(Record({"data": "x" * 6_000_000}, id="large")),
    lambda db: db.read("x"),
    lambda db: db.exists("x"),
    lambda db: db.count(),
    lambda db: db.search(),
    lambda db: db.delete("x"),
    lambda db: db.batch_create(records(3)),
    lambda db: db.clear(),
]


@pytest.mark.parametrize(
    "wrong",
    [
        {"secret_access_key": SECRET},
        {"secret_access_key": SECRET, "session_token": TOKEN},
        {"access_key_id": "nobody", "secret_access_key": SECRET, "session_token": TOKEN},
        {"secret_access_key": SECRET, "endpoint_url": "http://127.0.0.1:9"},
        {"secret_access_key": SECRET, "endpoint_url": "https://127.0.0.1:9"},
        {"secret_access_key": SECRET, "bucket": "no-such-bucket", "create_bucket": False},
    ],
    ids="-".join,
)
def test_failures_with_these_credentials_do_not_show_them(
    bench: S3Bench, wrong: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "dataknobs_data"):
        seen = [told(lambda op=op: op(S3Database(bench.config(**wrong, **SHORT)))) for op in OPERATIONS[:3]]  # type: ignore[misc]
    assert all(seen)
    _assert_clean([*seen, caplog.text])


@pytest.mark.parametrize(
    "fault",
    [
        Refuse(),
        Lose(),
        Truncate(3),
        Answer(403, "AccessDenied"),
        Answer(400, "ExpiredToken"),
        Answer(403, "SignatureDoesNotMatch"),
        Answer(500, "InternalError"),
        Answer(503, "SlowDown"),
        Answer(301, "PermanentRedirect"),
    ],
    ids=repr,
)
def test_whatever_the_store_does_no_secret_is_told(
    s3_server: S3Server, bench: S3Bench, fault: Any, caplog: pytest.LogCaptureFixture
) -> None:
    """The real secret of a server that checks signatures."""
    db = bench.open(**SHORT)
    bench.proxy.fault(fault, times=None)
    with caplog.at_level(logging.DEBUG, "dataknobs_data"):
        seen = [told(lambda op=op: op(db)) for op in OPERATIONS]  # type: ignore[misc]
    assert sum(map(bool, seen)) >= 4
    _assert_clean([*seen, caplog.text], s3_server.secret_key)


def test_no_repr_shows_one(bench: S3Bench, caplog: pytest.LogCaptureFixture) -> None:
    config = bench.config(secret_access_key=SECRET, session_token=TOKEN)
    db = S3Database(config)
    asynchronous = AsyncS3Database(config)
    shown = [repr(db), str(db), repr(asynchronous), repr(db._engine), repr(vars(db)), f"{db.__dict__}"]
    with caplog.at_level(logging.DEBUG, "dataknobs_data"), pytest.raises(DataknobsDataError):
        asyncio.run(asynchronous.create(Record({})))
    with pytest.raises(DataknobsDataError):
        db.count()
    shown += [repr(db), repr(vars(db._engine)), caplog.text]
    _assert_clean(shown)


def test_secrets_from_the_environment_are_not_shown_either(
    bench: S3Bench, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", bench.server.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_SESSION_TOKEN", TOKEN)
    config = {key: value for key, value in bench.config(**SHORT).items() if "key" not in key}
    with caplog.at_level(logging.DEBUG, "dataknobs_data"):
        seen = told(S3Database(config).count)
    _assert_clean([seen, caplog.text])


def test_an_address_with_a_password_is_refused_unshown(bench: S3Bench) -> None:
    url = bench.server.endpoint.replace("http://", f"http://user:{SECRET}@")
    seen = told(lambda: S3Database(bench.config(endpoint_url=url)))
    assert "endpoint_url holds a user name or password" in seen
    _assert_clean([seen])


def _assert_clean(seen: list[str], *more: str) -> None:
    for secret in (SECRET, TOKEN, *more):
        for text in seen:
            assert secret not in text
