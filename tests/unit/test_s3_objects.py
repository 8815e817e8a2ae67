"""Reading documents: what is kept of them, and when it may be used again."""

from __future__ import annotations

import hashlib
import json

import pytest

from dataknobs_data.s3.cache import RecordCache
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.store import PutOptions
from tests.unit.s3_fakes import DictStore, FakeWorld, caller

BODIES = [json.dumps({"data": {"n": number}}).encode() for number in range(3)]


class DigestStore(DictStore):
    """Its ETags are MD5 digests, as those of most objects are."""

    def put(self, key: str, body: bytes, options: PutOptions, condition: object) -> str:
        self.objects[key] = (body, f'"{hashlib.md5(body).hexdigest()}"', options)
        return self.objects[key][1]


def reader(store: DictStore) -> tuple[Objects, RecordCache]:
    """Of a process that has not tried out what the store can do."""
    cache = RecordCache(10**6)
    return Objects(caller(store, FakeWorld()), Keys(""), cache), cache


def read(objects: Objects) -> object:
    found = objects.fetch("x")
    return found and found.document.data["n"]


def test_a_store_with_one_etag_for_all_contents_cannot_make_a_reader_see_old_ones() -> None:
    """A process that never writes never tries the store out."""
    store = DictStore("same_etags")
    objects, cache = reader(store)
    for number, body in enumerate(BODIES):
        store.put("x.json", body, PutOptions(), None)
        assert read(objects) == number
    assert cache.get("x.json") is None


def test_an_etag_that_is_the_digest_of_the_content_may_be_relied_on() -> None:
    store = DigestStore()
    objects, cache = reader(store)
    for number, body in enumerate(BODIES):
        store.put("x.json", body, PutOptions(), None)
        assert read(objects) == read(objects) == number
        held = cache.get("x.json")
        assert held is not None
        assert held.body == body


@pytest.mark.parametrize("tells", [False, True])
def test_what_else_an_etag_may_be_is_relied_on_when_the_store_was_tried_out(tells: bool) -> None:
    store = DictStore()
    objects, cache = reader(store)
    objects.etags_tell = tells
    store.put("x.json", BODIES[0], PutOptions(), None)
    read(objects)
    assert (cache.get("x.json") is not None) is tells


def test_what_was_kept_goes_when_its_successor_cannot_be() -> None:
    store = DigestStore()
    objects, cache = reader(store)
    store.put("x.json", BODIES[0], PutOptions(), None)
    read(objects)
    store.objects["x.json"] = (BODIES[1], '"odd"', PutOptions())
    assert read(objects) == 1
    assert cache.get("x.json") is None
