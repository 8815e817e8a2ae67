"""Changes by `expected_version` when the copy in memory is older than what others have written since: the store decides."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import ConcurrencyError
from dataknobs_data.records import Record
from dataknobs_data.s3.format import FORMAT
from dataknobs_data.s3.store import PutOptions
from tests.unit.tiered_world import KEYS, TieredWorld

Change = Callable[[S3Database, str], object]

CHANGES: dict[str, Change] = {
    "update": lambda db, version: db.update("x", Record({"v": "mine"}), expected_version=version),
    "upsert": lambda db, version: db.upsert("x", Record({"v": "mine"}), expected_version=version),
    "delete": lambda db, version: db.delete("x", expected_version=version),
}


@pytest.fixture(params=["objects", "tiered"])
def world(request: pytest.FixtureRequest) -> TieredWorld:
    found = TieredWorld(layout=request.param)
    found.store.put(
        KEYS.format, b'{"format": %d, "layout": "%s"}' % (FORMAT, request.param.encode()), PutOptions(), None
    )
    return found


def outdated(world: TieredWorld) -> tuple[S3Database, S3Database, str]:
    """Who holds an old copy, somebody else, and the version that this one has written."""
    mine, theirs = world.open(), world.open()
    mine.create(Record({"v": "old"}, id="x"))
    assert mine.read("x") is not None
    assert theirs.update("x", Record({"v": "theirs"}))
    version = theirs.get_version("x")
    assert version is not None
    world.sent()
    return mine, theirs, version


def value(db: S3Database) -> object:
    found = db.read("x")
    return found and found["v"]


@pytest.mark.parametrize("name", CHANGES)
def test_the_version_that_somebody_else_has_written_is_not_stale(world: TieredWorld, name: str) -> None:
    mine, theirs, version = outdated(world)
    assert CHANGES[name](mine, version)
    assert value(mine) == value(theirs) == (None if name == "delete" else "mine")


@pytest.mark.parametrize("name", CHANGES)
def test_the_version_of_the_copy_is_stale(world: TieredWorld, name: str) -> None:
    mine, theirs, version = outdated(world)
    held = mine._engine.parts.objects.held_copy("x")  # type: ignore[attr-defined]
    assert held is not None
    assert held.document.revision != version
    with pytest.raises(ConcurrencyError) as caught:
        CHANGES[name](mine, held.document.revision)
    assert caught.value.context["actual_version"] == version
    assert value(mine) == value(theirs) == "theirs"
