"""What the probe finds out about stores that do as they should, and about those that lie."""

from __future__ import annotations

import uuid

import pytest

from dataknobs_data.exceptions import IncompatibleStoreError
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.probe import (
    Capabilities,
    ConditionalDelete,
    capabilities,
    holds_long_segments,
    require_conditions,
)
from dataknobs_data.s3.store import Fault, Kind
from tests.unit.s3_fakes import DictStore, FakeWorld, caller


def probed(store: DictStore) -> Capabilities:
    return capabilities(caller(store, FakeWorld()), Keys("records/"), place(), "X")


def place(endpoint: str = "http://store") -> Place:
    return Place(f"bucket-{uuid.uuid4()}", endpoint)


def test_a_store_that_does_everything() -> None:
    store = DictStore()
    assert probed(store) == Capabilities(True, ConditionalDelete.ANY, tags=True, distinct_etags=True)
    assert store.objects == {}, "the probe leaves nothing behind"


@pytest.mark.parametrize("lie", ["put_absent", "put_match"])
def test_a_store_that_ignores_a_condition_on_put_is_caught(lie: str) -> None:
    store = DictStore(lie)
    found = probed(store)
    assert not found.conditional_put
    assert store.objects == {}
    with pytest.raises(IncompatibleStoreError) as caught:
        require_conditions(found, place())
    assert "ignores the conditions If-None-Match and If-Match on PUT" in str(caught.value)
    assert "require_conditions: false" in str(caught.value)
    assert caught.value.context["condition"] == "conditional PUT"


@pytest.mark.parametrize(
    ("broken", "found"),
    [
        ("delete_match", ConditionalDelete.NONE),
        ("delete_conditions", ConditionalDelete.NONE),
        ("delete_any", ConditionalDelete.ETAG),
    ],
)
def test_how_far_conditions_on_delete_are_honored(broken: str, found: ConditionalDelete) -> None:
    store = DictStore(broken)
    assert probed(store) == Capabilities(conditional_delete=found)
    assert store.objects == {}
    require_conditions(Capabilities(conditional_delete=found), place())


def test_a_store_without_tags_can_still_be_written_to() -> None:
    assert probed(DictStore("tags")) == Capabilities(tags=False)


def test_etags_that_do_not_tell_contents_apart_are_noticed() -> None:
    assert not probed(DictStore("same_etags", "put_match")).distinct_etags


def test_it_asks_once_for_a_bucket_and_eight_small_requests_at_most() -> None:
    store, where = DictStore(), place()
    sender = caller(store, FakeWorld())
    first = capabilities(sender, Keys("a/"), where, "X")
    asked = len(store.log)
    assert asked <= 10
    assert capabilities(sender, Keys("b/"), where, "Y") is first
    assert len(store.log) == asked


def test_aws_is_known_and_not_asked() -> None:
    store = DictStore()
    aws = place("https://s3.eu-west-1.amazonaws.com")
    assert capabilities(caller(store, FakeWorld()), Keys("a/"), aws, "X") == Capabilities()
    assert store.log == []


def test_a_store_that_fails_is_not_a_store_that_lacks_something() -> None:
    class Failing(DictStore):
        def head(self, key: str) -> None:  # type: ignore[override]
            raise Fault(Kind.DENIED, "HTTP 403", status=403)

    store, where = Failing(), place()
    for _ in range(2):  # and nothing is remembered of it
        with pytest.raises(Fault) as caught:
            capabilities(caller(store, FakeWorld()), Keys("a/"), where, "X")
        assert caught.value.kind is Kind.DENIED
    assert store.objects == {}


def test_long_segments_are_tried_out_and_tidied_away() -> None:
    store = DictStore()
    assert holds_long_segments(caller(store, FakeWorld()), Keys("records/"), "X")
    assert store.log == ["PutObject", "DeleteObject"]
    assert store.objects == {}


@pytest.mark.parametrize("kind", [Kind.REFUSED, Kind.SERVER])
def test_a_store_that_refuses_long_segments(kind: Kind) -> None:
    class Short(DictStore):
        def put(self, key: str, *rest: object) -> str:  # type: ignore[override]
            raise Fault(kind, "name too long")

    assert not holds_long_segments(caller(Short(), FakeWorld()), Keys("records/"), "X")
