"""Requests counted and priced, by a table that is data."""

from __future__ import annotations

import re
import threading
import tomllib
from contextlib import closing
from datetime import timedelta
from importlib.resources import files
from pathlib import Path

import pytest

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.records import Record
from dataknobs_data.s3.admin.control import PERMISSIONS
from dataknobs_data.s3.costs.prices import GB, PRICES_VARIABLE, Prices, default_prices
from dataknobs_data.s3.costs.usage import Meter, Usage
from dataknobs_data.s3.settings import STORAGE_CLASSES
from dataknobs_data.s3.store import Fault, Kind, ObjectStore, PutOptions
from tests.unit.log_fakes import LogStore
from tests.unit.s3_fakes import FakeWorld, caller
from tests.unit.tiered_fakes import Processes

TABLE = Path(str(files("dataknobs_data.s3.costs") / "prices.toml"))
KB = 1024


# ---------------------------------------------------------------------------------------------- the table
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
    """A new request must be priced, or stand among the free ones of the table."""
    texts = (path.read_text() for path in Path(str(files("dataknobs_data.s3"))).rglob("*.py"))
    source = " ".join("".join(texts).split())
    sent = set(re.findall(r'"([A-Z]\w+)", (?:lambda|request|_page_of)', source))
    sent |= set(re.findall(r'\.(?:send|look|attempt)\( ?"([A-Z]\w+)"', source))
    assert {"PutObject", "GetObject", "HeadObject", "ListObjectsV2", "CompleteMultipartUpload"} <= sent
    assert {"GetBucketVersioning", "PutBucketVersioning", "ListObjectVersions"} <= sent
    assert (sent | PERMISSIONS.keys()) - set(default_prices().per_request) == set()


def test_the_table_names_each_operation_once() -> None:
    table = tomllib.loads(TABLE.read_text())
    named = [operation for kind in table["requests"].values() for operation in kind["operations"]]
    assert len(named) == len(set(named))
    assert {kind: table["requests"][kind]["dollars_per_1000"] for kind in ("write", "read")} == {
        kind: table["classes"]["STANDARD"][kind] for kind in ("write", "read")
    }, "STANDARD stands there twice"


def test_what_changes_nothing_is_no_write_and_what_deletes_is_free() -> None:
    prices = default_prices().per_request
    for operation in prices:
        if operation.startswith(("Delete", "Abort")):
            assert prices[operation] == 0, operation
        elif operation.startswith(("Get", "Head")):
            assert prices[operation] == pytest.approx(0.0004 / 1000), operation
        elif operation.startswith(("Put", "List", "Create", "Copy", "Upload", "Complete")):
            assert prices[operation] == pytest.approx(0.005 / 1000), operation


def test_every_class_that_can_be_configured_has_prices_but_those_of_other_products() -> None:
    assert set(STORAGE_CLASSES) - set(default_prices().classes) == {"OUTPOSTS", "SNOW", "FSX_OPENZFS"}


@pytest.mark.parametrize(
    ("storage_class", "size", "dollars"),
    [
        ("STANDARD", GB, 0.023),
        ("STANDARD", 0, 0.0),
        ("STANDARD_IA", GB, 0.0125),
        ("STANDARD_IA", 1, 128 * KB * 0.0125 / GB),
        ("ONEZONE_IA", 128 * KB - 1, 128 * KB * 0.01 / GB),
        ("GLACIER_IR", 1, 128 * KB * 0.004 / GB),
        ("INTELLIGENT_TIERING", 128 * KB, 128 * KB * 0.023 / GB + 0.0025 / 1000),
        ("INTELLIGENT_TIERING", 128 * KB - 1, (128 * KB - 1) * 0.023 / GB),
        ("GLACIER", 1 * KB, (33 * KB * 0.0036 + 8 * KB * 0.023) / GB),
        ("DEEP_ARCHIVE", 1 * KB, (33 * KB * 0.00099 + 8 * KB * 0.023) / GB),
        ("EXPRESS_ONEZONE", GB, 0.11),
        ("SNOW", GB, 0.023),
    ],
)
def test_a_month_costs_the_bytes_that_are_billed(storage_class: str, size: int, dollars: float) -> None:
    assert default_prices().month(storage_class, size) == pytest.approx(dollars)


@pytest.mark.parametrize(
    ("storage_class", "operation", "per_1000"),
    [
        ("STANDARD", "PutObject", 0.005),
        ("GLACIER", "PutObject", 0.03),
        ("GLACIER", "CompleteMultipartUpload", 0.03),
        ("GLACIER", "UploadPart", 0.005),
        ("GLACIER", "CreateMultipartUpload", 0.005),
        ("DEEP_ARCHIVE", "PutObject", 0.05),
        ("STANDARD_IA", "UploadPart", 0.01),
        ("GLACIER_IR", "GetObject", 0.01),
        ("GLACIER", "GetObject", 0.0004),
        ("GLACIER_IR", "ListObjectsV2", 0.005),
        ("GLACIER_IR", "GetBucketPolicy", 0.0004),
        ("OUTPOSTS", "PutObject", 0.005),
        ("GLACIER", "SomethingNew", 0.0),
    ],
)
def test_requests_on_objects_cost_what_their_class_does(storage_class: str, operation: str, per_1000: float) -> None:
    assert default_prices().dollars({operation: 1000}, storage_class) == pytest.approx(per_1000)


def test_restoring_is_described_for_every_archive() -> None:
    """https://docs.aws.amazon.com/AmazonS3/latest/userguide/restoring-objects-retrieval-options.html"""
    hours = {
        where: {
            tier: (one.shortest / timedelta(hours=1), one.longest / timedelta(hours=1)) for tier, one in tiers.items()
        }
        for where, tiers in default_prices().archives.items()
    }
    quick = pytest.approx((1 / 60, 5 / 60))
    assert hours["GLACIER"] == {"Expedited": quick, "Standard": (3, 5), "Bulk": (5, 12)} == hours["ARCHIVE_ACCESS"]
    assert hours["DEEP_ARCHIVE"] == {"Standard": (0, 12), "Bulk": (0, 48)} == hours["DEEP_ARCHIVE_ACCESS"]


# ---------------------------------------------------------------------------------------------- another table
def test_the_table_can_be_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "eu.toml"
    path.write_text(TABLE.read_text().replace("us-east-1", "eu-central-1").replace("= 0.023", "= 0.0245"))
    assert Prices.load(path).month("STANDARD", GB) == pytest.approx(0.0245)
    monkeypatch.setenv(PRICES_VARIABLE, str(path))
    assert str(default_prices()).startswith("prices of eu-central-1, ")
    monkeypatch.delenv(PRICES_VARIABLE)
    assert default_prices().region == "us-east-1"


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("region = ", "reigon = ", "'region'"),
        ("storage = 0.11", "storrage = 0.11", "EXPRESS_ONEZONE has no storrage"),
        ("[classes.STANDARD]", "[classes.NORMAL]", "classes.STANDARD"),
        ("minutes = [1, 5]", "minutes = [1]", "not enough values"),
        ("[archives.GLACIER]", "[archives.GLACIER", "cannot be read"),
        ("[archives.ARCHIVE_ACCESS]", "[archives.MY_ACCESS]", "archives.ARCHIVE_ACCESS"),
    ],
)
def test_a_wrong_table_is_refused(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = tmp_path / "mine.toml"
    text = TABLE.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(ConfigurationError, match=re.escape(said)) as caught:
        Prices.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_table_is_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"no\.toml' cannot be read"):
        Prices.load(tmp_path / "no.toml")


def test_an_unknown_class_names_the_nearest() -> None:
    assert default_prices().storage_class("glacier_ir").name == "GLACIER_IR"
    with pytest.raises(ConfigurationError, match="no storage class 'GLACER'; did you mean 'glacier'"):
        default_prices().storage_class("GLACER")


# ---------------------------------------------------------------------------------------------- counting
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


def test_writes_are_priced_by_the_class_of_the_database() -> None:
    meter = caller(None, FakeWorld(), storage_class="GLACIER").meter
    before = meter.usage()
    for _ in range(1000):
        meter.sent("PutObject")
    assert meter.usage().dollars == pytest.approx(0.03)
    assert meter.usage().since(before).dollars == pytest.approx(0.03)
    assert caller(None, FakeWorld()).meter.usage().storage_class == "STANDARD"


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


# ---------------------------------------------------------------------------------------------- bytes, and a piece of work
def test_bytes_of_all_requests_count_both_ways_in_every_attempt() -> None:
    """Also those of multipart uploads, ranges, older versions and control files, and of what is sent again."""
    with closing(Processes(pack_threshold=3, multipart_threshold=5 << 20)) as processes:
        database = processes.database()
        with database.measured() as spent:
            database.batch_create([Record({"n": n}, id=f"r-{n}") for n in range(5)])
        files = sum(len(body) for body, *_ in processes.store.objects.values())
        assert spent.usage.bytes_sent == files, "a pack, its log, the mark of the load, and the format file"
        with database.measured() as spent:
            assert database.read("r-3")
        assert 0 < spent.usage.bytes_received < files
        after = spent.usage
        database.count()
        assert spent.usage == after, "it is over"
        assert (database.usage - database.usage).total == 0


def test_what_is_sent_again_counts_again() -> None:
    world = FakeWorld()
    store = LogStore(world)
    sender, failed = caller(store, world), []

    def put(store: ObjectStore) -> str:
        etag = store.put("k", b"12345", PutOptions(), None)
        if not failed:
            failed.append(1)
            raise Fault(Kind.SERVER, "", status=500)
        return etag

    sender.send("PutObject", put)
    assert (sender.meter.usage().requests, sender.meter.usage().bytes_sent) == ({"PutObject": 2}, 10)
    assert sender.send("GetObject", lambda store: store.get("k"))
    assert sender.send("GetObject", lambda store: store.get("k", unless_etag=store.head("k").etag)) is None
    assert sender.meter.usage().bytes_received == 5


def test_usage_is_shown() -> None:
    assert str(Usage({"PutObject": 1000, "GetObject": 2}, 2048, 5)) == (
        f"2 GetObject, 1,000 PutObject; 2 KB sent, 5 bytes received; $0.005 ({default_prices()})"
    )
    assert str(Usage({}, 0, 0)).startswith("no requests; 0 bytes sent")
