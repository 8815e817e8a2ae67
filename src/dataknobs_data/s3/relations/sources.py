"""What relations are made of: the documents of any engine, or both tiers."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dataknobs_data.engine import Engine, ErrorSink
from dataknobs_data.query import Query
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.relations.packs import PackPortion
from dataknobs_data.s3.relations.portions import Portion
from dataknobs_data.s3.relations.records import Source
from dataknobs_data.s3.relations.spool import Spool
from dataknobs_data.s3.relations.windows import windows_of
from dataknobs_data.s3.table.outside import KnownForms
from dataknobs_data.s3.table.shape import Shape
from dataknobs_data.s3.tiered.cold import Encounter
from dataknobs_data.s3.tiered.front import Front
from dataknobs_data.s3.tiered.scanning import Scanner
from dataknobs_data.s3.tiered.table import View


class Documents(Source):
    """All documents of an engine. `count`: how many there are, for certain; `sink`: see Engine.scan."""

    def __init__(
        self,
        engine: Engine,
        memory_bytes: int,
        count: Callable[[], int] | None = None,
        sink: ErrorSink | None = None,
    ) -> None:
        self._sink = sink
        self._engine = engine
        self._spool = Spool(memory_bytes)
        self._counted = count

    def load(self) -> tuple[Shape, Sequence[Portion]]:
        return windows_of(self._engine.scan(Query(), self._sink), Shape(), self._spool)

    def expect(self, portions: Sequence[Portion]) -> None:
        """All of them were read when they were loaded."""

    def count(self) -> int:
        return self._counted() if self._counted else self._engine.count(Query())

    def close(self) -> None:
        self._spool.close()


class Tiers(Source):
    """Both tiers, looked at once. `on_archived`: see Encounter."""

    def __init__(
        self,
        parts: Parts,
        scanner: Scanner,
        known: KnownForms,
        memory_bytes: int,
        on_archived: ErrorSink | None = None,
    ) -> None:
        self._on_archived = on_archived
        self._met: Encounter | None = None
        self._parts = parts
        self._scanner = scanner
        self._known = known
        self._spool = Spool(memory_bytes)
        self._looked: tuple[Front, View] | None = None

    def _tiers(self) -> tuple[Front, View]:
        if self._looked is None:
            with translated("looking at both tiers", self._parts.place):
                self._looked = self._scanner.look("")
            self.fan = self._looked[1].fan
        return self._looked

    def load(self) -> tuple[Shape, Sequence[Portion]]:
        front, view = self._tiers()
        met = self._met = Encounter(
            self._parts, view.packs, self._on_archived, doing="selecting", objects=front.documents
        )
        shape, windows = windows_of(self._scanner.objects(front, met), view.shape, self._spool)
        packs = [PackPortion(pack, view, front, met.guard(pack), self._known) for pack in view.packs]
        return shape, [*windows, *packs]

    def expect(self, portions: Sequence[Portion]) -> None:
        if self._met:
            self._met.narrow([portion.pack for portion in portions if isinstance(portion, PackPortion)])

    def count(self) -> int:
        return self._scanner.counted(*self._tiers())

    def close(self) -> None:
        self._spool.close()
