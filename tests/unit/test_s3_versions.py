"""Listings of versions: newest first as the store sends them, one record's only, page by page."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.loaders import create_loader
from botocore.model import ServiceModel
from botocore.parsers import ResponseParserError

from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.admin.versions import History, Past
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Fault, Head, Kind, ListedVersion, VersionPage
from dataknobs_data.s3.stores.boto import BotoStore
from dataknobs_data.s3.stores.parsing import ListingParser
from tests.unit.s3_fakes import START, FakeWorld, caller, settings

XML = """<?xml version="1.0" encoding="UTF-8"?>
<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">
  <Name>b</Name><Prefix>x</Prefix><MaxKeys>1000</MaxKeys><IsTruncated>{more}</IsTruncated>{next}
  <Version><Key>x</Key><VersionId>4</VersionId><IsLatest>true</IsLatest><LastModified>2026-01-01T00:00:00.000Z</LastModified>
    <ETag>"e4"</ETag><Size>4</Size><StorageClass>GLACIER</StorageClass><Owner><ID>i</ID></Owner></Version>
  <DeleteMarker><Key>x</Key><VersionId>3</VersionId><IsLatest>false</IsLatest>
    <LastModified>2026-01-01T00:00:00.000Z</LastModified><Owner><ID>i</ID><DisplayName>d</DisplayName></Owner></DeleteMarker>
  <Version><Key>x</Key><VersionId>2</VersionId><IsLatest>false</IsLatest><LastModified>2026-01-01T00:00:00.000Z</LastModified>
    <ETag>"e2"</ETag><Size>2</Size><StorageClass>STANDARD</StorageClass></Version>
  <DeleteMarker><Key>x</Key><VersionId>1</VersionId><IsLatest>false</IsLatest>
    <LastModified>2026-01-01T00:00:00.000Z</LastModified></DeleteMarker>
</ListVersionsResult>"""


class Client:
    """Answers ListObjectVersions with a text, through the parser that this package gives botocore."""

    def __init__(self, body: str) -> None:
        self._body = body

    def list_object_versions(self, **parameters: Any) -> Any:
        model = create_loader().load_service_model("s3", "service-2")
        shape = ServiceModel(model, "s3").operation_model("ListObjectVersions").output_shape
        answer = {"status_code": 200, "headers": {}, "body": self._body.encode()}
        return ListingParser(timestamp_parser=str).parse(answer, shape)


def page_of(body: str) -> VersionPage:
    client: Any = Client(body)
    return BotoStore(client, "b", "us-east-1", None, None).list_versions("x")


def test_versions_and_deletions_stay_in_the_order_in_which_the_store_sent_them() -> None:
    page = page_of(XML.format(more="false", next=""))
    assert [line.version_id for line in page.items] == ["4", "3", "2", "1"]
    assert [line.is_delete_marker for line in page.items] == [False, True, False, True]
    assert [line.owner for line in page.items] == ["i", "d", None, None]
    assert [line.storage_class for line in page.items][::2] == ["GLACIER", "STANDARD"]
    assert [line.size for line in page.items] == [4, 0, 2, 0]
    assert page.items[0].modified == datetime(2026, 1, 1, tzinfo=UTC)
    assert page.after is None


def test_the_next_page_begins_after_a_key_and_a_version() -> None:
    marks = "<NextKeyMarker>x</NextKeyMarker><NextVersionIdMarker>1</NextVersionIdMarker>"
    assert page_of(XML.format(more="true", next=marks)).after == ("x", "1")


@pytest.mark.parametrize("body", ["<html>Log in</html>", "no XML", "<ListBucketResult/>"])
def test_what_is_no_listing_of_versions_is_no_empty_history(body: str) -> None:
    with pytest.raises((ResponseParserError, Fault)):
        page_of(body)


# ---------------------------------------------------------------------------------------------- one record's history
LINE = ListedVersion("p/x.json", "v", START, False, False, None, '"e"', 7)


class VersionStore:
    """Pages of listed versions; `gone` are versions that HEAD no longer finds."""

    def __init__(self, *pages: VersionPage, gone: str = "") -> None:
        self.pages = list(pages)
        self.gone = gone
        self.asked: list[Any] = []

    def list_versions(self, prefix: str, *, after: Any = None) -> VersionPage:
        self.asked.append((prefix, after))
        return self.pages.pop(0)

    def head(self, key: str, *, version_id: str | None = None) -> Head:
        self.asked.append(version_id)
        if version_id is not None and version_id in self.gone:
            raise Fault(Kind.MISSING, "HTTP 404", status=404)
        return Head('"e"', 7, {"revision": f"r{version_id}", "author": "A%20%26"}, START, "STANDARD", None)


def history_in(store: VersionStore) -> History:
    world = FakeWorld()
    sender = caller(store, world)
    place, many = Place("b", "http://localhost"), FanOut(2, "t")
    return History(Control(sender, place, Keys("p/"), settings(prefix="p/"), world.runtime, many))


def test_other_records_with_the_same_beginning_are_left_out_and_pages_followed() -> None:
    other = replace(LINE, key="p/x.json.json")
    first = VersionPage([replace(LINE, version_id="2", is_latest=True), other], ("p/x.json", "2"))
    store = VersionStore(first, VersionPage([replace(LINE, version_id="1"), other], ("p/x.json.json", "9")))
    history = history_in(store).of("x")
    assert [one.version_id for one in history] == ["2", "1"]
    assert [one.revision for one in history] == ["r2", "r1"]
    assert history[0].author == "A &"
    assert [asked for asked in store.asked if isinstance(asked, tuple)] == [
        ("p/x.json", None),
        ("p/x.json", ("p/x.json", "2")),
    ], "nothing of the record comes after a later key"


def test_the_clock_decides_where_the_store_lists_deletions_apart() -> None:
    """moto does."""
    versions = [
        replace(LINE, version_id="4", modified=START + timedelta(4)),
        replace(LINE, version_id="2", modified=START + timedelta(2)),
    ]
    markers = [
        replace(LINE, version_id=id, modified=START + timedelta(int(id)), is_delete_marker=True, is_latest=id == "5")
        for id in "531"
    ]
    history = history_in(VersionStore(VersionPage([*versions, *markers], None))).of("x")
    assert [one.version_id for one in history] == ["5", "4", "3", "2", "1"]


def test_in_one_second_the_store_knows_the_order() -> None:
    lines = [replace(LINE, version_id=id, is_delete_marker=id in "24", is_latest=id == "4") for id in "4321"]
    history = history_in(VersionStore(VersionPage(lines, None))).of("x")
    assert [one.version_id for one in history] == ["4", "3", "2", "1"]


def test_a_version_that_went_since_it_was_listed_is_left_out() -> None:
    lines = [replace(LINE, version_id=id) for id in "321"]
    history = history_in(VersionStore(VersionPage(lines, None), gone="2")).of("x")
    assert [one.version_id for one in history] == ["3", "1"]


def test_the_null_version_that_changed_since_it_was_listed_is_left_out() -> None:
    line = replace(LINE, version_id="null", is_latest=True, etag='"older"')
    assert history_in(VersionStore(VersionPage([line], None))).of("x") == []


def test_newest_stops_where_it_knows() -> None:
    marker = replace(LINE, version_id="3", is_delete_marker=True, is_latest=True)
    store = VersionStore(VersionPage([marker, replace(LINE, version_id="2")], ("p/x.json", "2")))
    past = history_in(store).newest("x")
    assert past.document is not None
    assert (past.document.version_id, past.document.is_latest) == ("2", False)
    assert past.since == [marker]
    assert len(store.asked) == 1
    assert history_in(VersionStore(VersionPage([marker], None))).newest("x") == Past(None, [marker], [])


def test_the_latest_is_the_newest_wherever_it_is_listed() -> None:
    """SeaweedFS 4.48 lists the version "null" last."""
    marker = replace(LINE, version_id="null", is_delete_marker=True, is_latest=True)
    past = history_in(VersionStore(VersionPage([LINE, marker], None))).newest("x")
    assert past == Past(LINE, [marker], [])


def test_a_listing_that_fails_is_no_empty_history() -> None:
    broken: Any = SimpleNamespace(
        list_versions=lambda prefix, after=None: (_ for _ in ()).throw(Fault(Kind.DENIED, ""))
    )
    with pytest.raises(Exception, match="s3:ListBucketVersions"):
        history_in(broken).of("x")
