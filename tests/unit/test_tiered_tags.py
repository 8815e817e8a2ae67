"""The tags of packs: what all of a pack's records share, however the pack came about."""

from __future__ import annotations

from dataknobs_data.records import Record
from tests.unit.tiered_world import KEYS, OPERATION_OVER, TieredWorld


def live_tags(world: TieredWorld) -> list[dict[str, str] | None]:
    with world.look() as view:
        keys = [KEYS.table_file(pack.path) for pack in view.packs]
    return [dict(tags) if (tags := world.store.objects[key][2].tags) else None for key in keys]


def record(id: str, **metadata: object) -> Record:
    return Record({"v": 1}, metadata, id=id)


def test_packs_keep_their_tags_when_they_are_made_anew() -> None:
    world = TieredWorld()
    db = world.open()
    db.batch_create(record(f"a{n}", team="blue", kind="x", n=n) for n in range(10))
    assert live_tags(world) == [{"team": "blue", "kind": "x"}]
    db.delete("a0")
    db.update("a1", record("a1", team="blue", kind="y"))
    world.passes(OPERATION_OVER)
    db.compact(full=True)
    assert live_tags(world) == [{"team": "blue"}], "what is left shares this"
    world.passes(OPERATION_OVER)
    db.compact()  # which takes the object away
    db.batch_update([(f"a{n}", record(f"a{n}", team="red")) for n in range(1, 6)])
    assert sorted(live_tags(world), key=repr) == [{"team": "blue", "kind": "x"}, {"team": "red"}]
    world.passes(OPERATION_OVER)
    db.compact(full=True)
    assert live_tags(world) == [None]


def test_a_setting_chooses_tags_of_packs_too() -> None:
    world = TieredWorld(tags=["team"])
    world.open().batch_create(record(f"a{n}", team="blue", kind="x") for n in range(3))
    assert live_tags(world) == [{"team": "blue"}]
    world = TieredWorld(tags=False)
    world.open().batch_create(record(f"a{n}", team="blue") for n in range(3))
    assert live_tags(world) == [None]
