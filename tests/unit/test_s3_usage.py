"""Requests counted and priced."""

from __future__ import annotations

import threading
import tomllib
from importlib.resources import files

import pytest

from dataknobs_data.s3.usage import Meter, Usage, default_prices


def test_prices_are_the_published_ones_with_date_and_source() -> None:
    """us-east-1, S3 Standard: PUT, COPY, POST, LIST $0.005 and GET, all others $0.0004 per 1,000; deletes are free."""
    prices = default_prices()
    assert prices.region == "us-east-1"
    assert prices.dated.startswith("20")
    assert prices.source.startswith("https://aws.amazon.com/s3/pricing/")
    assert prices.dollars({"PutObject": 1000}) == pytest.approx(0.005)
    assert prices.dollars({"ListObjectsV2": 1000}) == pytest.approx(0.005)
    assert prices.dollars({"GetObject": 1000}) == pytest.approx(0.0004)
    assert prices.dollars({"HeadObject": 1000}) == pytest.approx(0.0004)
    assert prices.dollars({"DeleteObject": 10**6, "DeleteObjects": 10**6, "AbortMultipartUpload": 10**6}) == 0


def test_every_operation_that_is_sent_has_a_price_or_is_free() -> None:
    """A new request must be priced, or be added to the free ones here."""
    free = {"DeleteObject", "DeleteObjects", "AbortMultipartUpload"}
    texts = (path.read_text() for path in _modules("dataknobs_data.s3") if path.name.endswith(".py"))
    source = " ".join("".join(texts).split())
    named = {word for word in source.replace("'", '"').split('"') if word.endswith(_ENDINGS) and word.isidentifier()}
    sent = {word for word in named if f'"{word}", lambda' in source or f'"{word}", request' in source}
    assert {"PutObject", "GetObject", "HeadObject", "ListObjectsV2", "CompleteMultipartUpload"} <= sent
    assert sent - free <= set(default_prices().per_request)


_ENDINGS = ("Object", "Objects", "ObjectsV2", "Bucket", "Upload", "Part", "Tagging")


def _modules(package: str) -> list:  # type: ignore[type-arg]
    return [path for path in files(package).iterdir() if path.is_file()]


def test_usage_adds_up_and_can_be_compared() -> None:
    meter = Meter()
    meter.sent("PutObject")
    meter.moved(up=10)
    before = meter.usage()
    for _ in range(2000):
        meter.sent("GetObject")
    meter.moved(down=7)
    after = meter.usage()
    assert after == Usage({"PutObject": 1, "GetObject": 2000}, 10, 7)
    assert after.total == 2001
    assert after.dollars == pytest.approx(0.000005 + 0.0008)
    assert after.since(before) == Usage({"GetObject": 2000}, 0, 7)
    assert before.requests == {"PutObject": 1}, "an earlier usage does not change"


def test_counts_of_many_threads_are_exact() -> None:
    meter = Meter()

    def work() -> None:
        for _ in range(1000):
            meter.sent("PutObject")
            meter.moved(up=1)

    workers = [threading.Thread(target=work) for _ in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert meter.usage() == Usage({"PutObject": 8000}, 8000, 0)


def test_the_table_is_data_that_names_each_operation_once() -> None:
    table = tomllib.loads((files("dataknobs_data.s3") / "prices.toml").read_text())
    named = [operation for tier in table["requests"].values() for operation in tier["operations"]]
    assert len(named) == len(set(named))
