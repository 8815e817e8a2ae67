"""Which records somebody means, decided without reading any: by ids, or by a query that ids and memory can decide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from dataknobs_data.documents import Document, check_id
from dataknobs_data.exceptions import DataFormatError, DataknobsDataError, QueryError, RecordArchivedError
from dataknobs_data.expressions import Expression, Filter, LogicOperator, fold
from dataknobs_data.matching import StoredRow, compile_expression, id_bounds
from dataknobs_data.query import Query
from dataknobs_data.s3.admin.control import PERMISSIONS, Control
from dataknobs_data.s3.archive.states import Restoration, Target, WholePack
from dataknobs_data.s3.costs.estimate import counted
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.listing import PAGE_KEYS
from dataknobs_data.s3.objects import Objects
from dataknobs_data.s3.packed import PackFile
from dataknobs_data.s3.store import Listed
from dataknobs_data.s3.tombstones import KILLS

Decision = Callable[[str, Document | None], bool | None]
"""Whether a record (its id, its content where that is known) satisfies a query; None: only its content tells."""


Which = str | Iterable[str] | Query | DataknobsDataError | Restoration
"""How somebody says what to restore: ids; a query; the RecordArchivedError of a read; the plan that a dry run made."""


@dataclass(frozen=True)
class Chosen:
    """Distinct records and packs in order, whether a query found them, and the LIST and HEAD requests that took."""

    targets: Sequence[Target]
    by_query: bool = False
    listed: int = 0
    looked: int = 0


class Chooser:
    """Finds the records that are meant."""

    def __init__(self, control: Control, objects: Objects) -> None:
        self._control = control
        self._objects = objects
        self.listed = self.looked = 0
        """LIST and HEAD requests sent so far."""

    def choose(self, which: Which, wanted: Callable[[Listed], bool]) -> Chosen:
        """What `which` names; of a query the records with objects that are `wanted`, and the packs that are so and may hold
        some that it finds.

        Raises QueryError, RecordValidationError before anything is sent where `which` makes no sense.
        """
        if isinstance(which, RecordArchivedError):
            return Chosen(self._met(which))
        if isinstance(which, Restoration):
            planned = (*which.requested, *which.in_progress, *which.restored, *which.not_archived, *which.missing)
            return Chosen([*planned, *map(WholePack, which.packs)])
        if isinstance(which, Query):
            found = sorted(id for id, _ in self.lines(which, wanted))
            packs = [WholePack(file.line.key) for file in self.packs(which) if wanted(file.line)]
            return Chosen([*found, *packs], True, self.listed, self.looked)
        return Chosen(self._named(which))

    def _met(self, error: RecordArchivedError) -> list[Target]:
        """What a read could not read."""
        context = error.context
        packs = context.get("packs") or [key for key in (context.get("pack"), context.get("key")) if key][:1]
        ids = context.get("ids") or ([context["id"]] if "id" in context and not packs else [])
        if not packs and not ids:
            raise QueryError(
                "what to restore: this RecordArchivedError names no records and no packs; name ids, or give a query"
            )
        return [*self._named(ids), *map(WholePack, packs)]

    def _named(self, which: str | Iterable[str] | DataknobsDataError) -> list[str]:
        if isinstance(which, (bytes, bytearray, Mapping)) or not isinstance(which, Iterable):
            raise QueryError(f"which records: give an id, ids or a Query, not {type(which).__name__}")
        ids = [check_id(id) for id in ([which] if isinstance(which, str) else which)]
        for id in ids:
            self._control.keys.record(id)  # refuses what is too long
        return list(dict.fromkeys(ids))

    def packs(self, query: Query | None) -> list[PackFile]:
        """The packs that may hold records which a query finds (None: all)."""
        with translated("listing packs", self._control.place, needs=PERMISSIONS["ListObjectsV2"]):
            found = self._control.packed.files(query.expression if query else None)
        if self._control.packed.exists:  # the log is listed, too
            self.listed += 1 + -(-len(found) // PAGE_KEYS)
        return found

    def lines(self, query: Query | None, wanted: Callable[[Listed], bool]) -> Iterator[tuple[str, Listed]]:
        """The records that a query finds (None: all) and whose objects are `wanted`, as the listing has them.

        Raises QueryError when all are listed, where only the content of some would tell.
        """
        query = query or Query()
        if query.limit_value is not None or query.offset_value:
            raise QueryError(
                "which records: a query's limit and offset cannot be used here; name ids, or a prefix of ids"
            )
        decide, undecided, example = decision(query.expression), 0, ""
        for id, line in self._candidates(query.expression):
            if not wanted(line):
                continue
            answer = decide(id, None)
            if answer is None:
                answer = decide(id, self._held(id, line))
            if answer:
                yield id, line
            elif answer is None:
                undecided, example = undecided + 1, example or id
        if undecided:
            raise QueryError(
                f"which records: only the content of {counted(undecided, 'record')} (such as {example!r}) would tell whether "
                "the query finds them, and content is not read for this; name ids, ask for ids only, such as "
                "Query().filter('id', 'starts_with', '2023/'), or search(), and restore() the error that it raises",
                undecided=undecided,
                example=example,
            )

    def _candidates(self, expression: Expression | None) -> Iterator[tuple[str, Listed]]:
        """All records that the expression may find, and perhaps others."""
        bounds, keys = id_bounds(expression), self._control.keys
        if bounds.ids is not None:
            ids = sorted(filter(keys.can_hold, bounds.ids))
            self.looked += len(ids)
            yield from (line for line in self._control.many.map(self._named_line, ids) if line)
            return
        with translated(f"listing records {bounds.prefix!r}…", self._control.place, needs=PERMISSIONS["ListObjectsV2"]):
            for page in self._control.lister.pages(keys.listing_prefix(bounds.prefix)):
                self.listed += 1
                lines = {id: line for line in page.items if (id := keys.id(line.key)) is not None}
                yield from self._control.packed.documents(lines).items()

    def _named_line(self, id: str) -> tuple[str, Listed] | None:
        with translated(f"looking for record {id!r}", self._control.place, needs=PERMISSIONS["HeadObject"], id=id):
            head = self._objects.head(id)
        if head is None or KILLS in head.metadata:
            return None
        return id, Listed(self._control.keys.record(id), head.etag, head.size, head.storage_class)

    def _held(self, id: str, line: Listed) -> Document | None:
        """The document, if it is in memory as the listing has it."""
        try:
            held = self._objects.held_copy(id)
        except DataFormatError:
            return None
        return held.document if held and held.etag == line.etag else None


def decision(expression: Expression | None) -> Decision:
    """`expression` as a function that knows what it does not know: of content that is not there only `id` can be asked."""
    if expression is None:
        return lambda id, document: True
    return fold(expression, _leaf, _join)


def _leaf(condition: Filter) -> Decision:
    test = compile_expression(condition)

    def decide(id: str, document: Document | None) -> bool | None:
        if document is not None:
            return test(document)
        return test(StoredRow(id, {}, {})) if condition.field == "id" else None

    return decide


def _join(logic: LogicOperator, parts: list[Decision]) -> Decision:
    """Kleene's logic: an unknown part matters unless another one decides."""

    def decide(id: str, document: Document | None) -> bool | None:
        answers = [part(id, document) for part in parts]
        if logic is LogicOperator.NOT:
            return None if answers[0] is None else not answers[0]
        decisive = logic is LogicOperator.OR
        if decisive in answers:
            return decisive
        return None if None in answers else not decisive

    return decide
