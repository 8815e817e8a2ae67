"""What the log says of each pack, read once."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property

from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.s3.table.actions import Add
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.companions import Companion
from dataknobs_data.s3.table.packs import Pack
from dataknobs_data.s3.table.prune import PackFacts
from dataknobs_data.s3.table.shape import ID, Shape
from dataknobs_data.s3.table.snapshot import Snapshot

TAIL, TAIL_CRC, REST, NULLS, LOAD = "tail", "tail_crc", "rest", "nulls", "load"
"""Tags of an add-action: bytes of the pack's tail, and their CRC-32; names of fields with values other than null in `_rest`, as
a JSON list (without it: not known); names of other fields without a column, which are only ever null (without it: none); the birth of the load that is not known to be finished (without it: all births in the pack are of
finished creations)."""

IDS, IDS_TAIL, IDS_TAIL_CRC = "ids", "ids_tail", "ids_tail_crc"
"""Of the pack's companion: its bytes (without it: there is none), those of its tail, and their CRC-32."""

WANTED = "dataknobs.companions"
"""In the table's configuration: "true" where packs are to have companions, whatever their storage class."""


@dataclass(frozen=True)
class Packed:
    """A pack of the table, by what its add-action says."""

    add: Add
    shape: Shape
    """The table's, which has all columns of the pack."""

    @property
    def path(self) -> str:
        """Below the table's folder."""
        return self.add.path

    @property
    def size(self) -> int:
        """Bytes."""
        return self.add.size

    @cached_property
    def stats(self) -> Stats | None:
        """None where a writer of another kind has left none. They need not tell of all columns."""
        return Stats.from_json(self.add.stats) if self.add.stats else None

    @property
    def tail(self) -> int | None:
        """Bytes at its end that hold no rows."""
        return _number(self._tags.get(TAIL))

    @property
    def tail_crc(self) -> int | None:
        """Of those bytes."""
        return _number(self._tags.get(TAIL_CRC))

    @property
    def companion_size(self) -> int | None:
        """Bytes of the id companion; None where there is none."""
        return _number(self._tags.get(IDS))

    @property
    def companion_tail(self) -> int | None:
        """As `tail`, of the companion."""
        return _number(self._tags.get(IDS_TAIL))

    @property
    def companion_tail_crc(self) -> int | None:
        """Of those bytes."""
        return _number(self._tags.get(IDS_TAIL_CRC))

    @property
    def load(self) -> str | None:
        """The birth of its load, which may not be finished; None where that does not matter any more."""
        return self._tags.get(LOAD)

    @cached_property
    def rest_names(self) -> frozenset[str] | None:
        """Names of fields of which values that are not null lie in `_rest`; None: it is not known which."""
        text = self._tags.get(REST)
        return None if text is None else frozenset(json.loads(text))

    @cached_property
    def null_names(self) -> frozenset[str]:
        """Names of other fields without a column: all their values are null. None are told where `rest_names` is None."""
        return frozenset(json.loads(self._tags.get(NULLS, "[]")))

    @cached_property
    def facts(self) -> PackFacts | None:
        """For pruning; None where nothing is known."""
        return PackFacts(self.shape.kinds, self.stats, self.rest_names) if self.stats else None

    def may_hold(self, id: str) -> bool:
        """Whether its bounds leave room for the id."""
        low, high = self.bounds
        return (low is None or low <= id) and (high is None or id <= high)

    @cached_property
    def bounds(self) -> tuple[str | None, str | None]:
        """Least and greatest id; None: not known."""
        return (self.stats.least.get(ID), self.stats.most.get(ID)) if self.stats else (None, None)

    @property
    def records(self) -> int:
        """How many rows it has. Raises DataFormatError where the log does not say."""
        if self.stats is None:
            raise DataFormatError(
                f"{self.path}: another program has added this file to the table without numRecords; run compact(full=True)",
                path=self.path,
            )
        return self.stats.records

    @property
    def _tags(self) -> Mapping[str, str]:
        return self.add.tags or {}


def _number(text: str | None) -> int | None:
    return None if text is None else int(text)


def _list(names: Iterable[str]) -> str:
    return json.dumps(sorted(names), ensure_ascii=False, separators=(",", ":"))


def tags_of(pack: Pack, load: str | None = None) -> dict[str, str]:
    """The tags of a new pack's add-action. `load`: the birth of its load where that has to be marked as finished."""
    tags = {TAIL: str(pack.tail), TAIL_CRC: str(pack.tail_crc)}
    if pack.rest_names is not None:
        tags[REST] = _list(pack.rest_names)
    if pack.null_names:
        tags[NULLS] = _list(pack.null_names)
    if pack.companion is not None:
        tags |= companion_tags(pack.companion)
    if load is not None:
        tags[LOAD] = load
    return tags


def are_wanted(snapshot: Snapshot | None) -> bool:
    """Whether the table asks for companions."""
    return snapshot is not None and snapshot.metadata.configuration.get(WANTED) == "true"


def companion_tags(companion: Companion) -> dict[str, str]:
    """What tags say of a companion."""
    return {IDS: str(companion.size), IDS_TAIL: str(companion.tail), IDS_TAIL_CRC: str(companion.tail_crc)}


class Catalog:
    """The packs of snapshots. What was read of an add-action is kept as long as it stands."""

    def __init__(self) -> None:
        self._known: dict[str, Packed] = {}
        self._of: tuple[Snapshot, list[Packed]] | None = None

    def packs(self, snapshot: Snapshot) -> list[Packed]:
        """In the order of the log."""
        of = self._of
        if of is None or of[0] is not snapshot:
            shape = Shape.from_schema_string(snapshot.schema)
            of = self._of = (snapshot, list(self._read(snapshot.packs.values(), shape)))
            self._known = {pack.path: pack for pack in of[1]}
        return of[1]

    def _read(self, adds: Iterable[Add], shape: Shape) -> Iterable[Packed]:
        known = self._known
        for add in adds:
            pack = known.get(add.path)
            yield pack if pack and pack.add is add and pack.shape == shape else Packed(add, shape)
