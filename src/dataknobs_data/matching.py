"""What a query means: the reference that every backend's own way of searching has to agree with.

**Absent.** A missing value and None satisfy `not_exists` and no other operator. `not` turns any answer around.

**Comparing.** Two values are compared as the first kind that both can be read as (`kinds`): booleans, numbers (int,
float and Decimal, exactly), instants (`instants`), texts by code point, times of day, time spans, bytes, UUIDs; lists,
dicts and sets only for equality. Values without a common kind, and NaN, compare as False; nothing ever raises.

    =  >  <  >=  <=     compare
    between             low <= value <= high
    in                  = for any of the list
    like                the whole text: `%` any characters, `_` one, all else itself; case does not matter
    starts_with         the text begins with exactly this
    regex               `re.search` finds something in the text
    !=  not_in  not_like  not_between
                        there is a value, and the operator without the not is False
    exists, not_exists  there is a value, or there is none

**Names.** `id` is the storage key, whatever the data has under that name; it is only ever text, also where it looks
like a date. `metadata.x` is the metadata, `a.b` a path into a dict (`paths`).

**Sorting.** By kind first, in the order above, then by value; then values without an order (NaN, containers). `DESC`
turns all of that around. Missing and None come last in either direction, and what is still equal stands in the order
of its id.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from dataknobs_data.instants import instant
from dataknobs_data.kinds import KINDS, ORDERED, Reader, canonical, ranked, text
from dataknobs_data.paths import MISSING, find
from dataknobs_data.query import Expression, Filter, LogicOperator, Operator, SortSpec, conjuncts, fold
from dataknobs_data.records import Record

__all__ = [
    "MISSING",
    "IdBounds",
    "Row",
    "StoredRow",
    "compile_expression",
    "id_bounds",
    "instant",
    "matches",
    "order",
    "project",
    "row_of",
]


class Row(Protocol):
    """Anything that knows its values by name."""

    def value(self, name: str) -> Any:
        """The value that `name` means in a query, MISSING (or None) where there is none."""


RowT = TypeVar("RowT", bound=Row)
RowTest = Callable[[Row], bool]
ValueTest = Callable[[Any], bool]


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row of plain parts."""

    id: str
    data: Mapping[str, Any]
    metadata: Mapping[str, Any]

    def value(self, name: str) -> Any:
        """See Row."""
        return self.id if name == "id" else find(name, self.data, self.metadata)


def row_of(record: Record) -> StoredRow:
    """A record as a row; without an id it has the empty one."""
    return StoredRow(record.id or "", record.data, record.metadata)


# ---------------------------------------------------------------------------------------------- filtering
def matches(expression: Expression | None, row: Row) -> bool:
    """Whether `row` satisfies `expression`; None is satisfied by every row. For many rows, compile once."""
    return compile_expression(expression)(row)


def compile_expression(expression: Expression | None) -> RowTest:
    """`expression` as a function of a row, with patterns compiled and operands read beforehand."""
    if expression is None:
        return lambda row: True
    return fold(expression, _compile_filter, _compile_combination)


def _compile_combination(logic: LogicOperator, parts: list[RowTest]) -> RowTest:
    if logic is LogicOperator.NOT:
        (inner,) = parts
        return lambda row: not inner(row)
    decisive = logic is LogicOperator.OR

    def holds(row: Row) -> bool:
        for part in parts:
            if part(row) is decisive:
                return decisive
        return not decisive

    return holds


def _compile_filter(leaf: Filter) -> RowTest:
    name = leaf.field
    if leaf.operator is Operator.NOT_EXISTS:
        return lambda row: _is_absent(row.value(name))
    positive = _POSITIVE.get(leaf.operator, leaf.operator)
    wanted = positive is leaf.operator
    holds = _TESTS[positive](leaf.value, _kinds_of(name))

    def test(row: Row) -> bool:
        value = row.value(name)
        return not _is_absent(value) and holds(value) is wanted

    return test


def _is_absent(value: Any) -> bool:
    return value is None or value is MISSING


def _kinds_of(name: str) -> Sequence[Reader]:
    return (text,) if name == "id" else KINDS


# ---------------------------------------------------------------------------------------------- operators
_POSITIVE = {
    Operator.NEQ: Operator.EQ,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
}


def _comparison(compare: Callable[[Any, Any], bool], operand: Any, kinds: Iterable[Reader]) -> ValueTest:
    views = [(read, key) for read in kinds if (key := read(operand)) is not None]

    def holds(value: Any) -> bool:
        for read, key in views:
            mine = read(value)
            if mine is not None:
                return compare(mine, key)
        return False

    return holds


def _equality(operand: Any, kinds: Sequence[Reader]) -> ValueTest:
    return _comparison(operator.eq, operand, kinds)


def _ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Sequence[Reader]], ValueTest]:
    return lambda operand, kinds: _comparison(compare, operand, [read for read in kinds if read in ORDERED])


def _range(bounds: tuple[Any, Any], kinds: Sequence[Reader]) -> ValueTest:
    low, high = bounds
    reaches, keeps_to = _TESTS[Operator.GTE](low, kinds), _TESTS[Operator.LTE](high, kinds)
    return lambda value: reaches(value) and keeps_to(value)


def _membership(operands: tuple[Any, ...], kinds: Sequence[Reader]) -> ValueTest:
    members = frozenset(canonical(operand, kinds) for operand in operands)
    return lambda value: canonical(value, kinds) in members


def _prefix(prefix: str, kinds: Sequence[Reader]) -> ValueTest:
    return lambda value: isinstance(value, str) and value.startswith(prefix)


def _regex(pattern: str, kinds: Sequence[Reader]) -> ValueTest:
    search = re.compile(pattern).search
    return lambda value: isinstance(value, str) and search(value) is not None


def _like(pattern: str, kinds: Sequence[Reader]) -> ValueTest:
    fullmatch = re.compile(like_to_regex(pattern), re.IGNORECASE | re.DOTALL).fullmatch
    return lambda value: isinstance(value, str) and fullmatch(value) is not None


def like_to_regex(pattern: str) -> str:
    """A LIKE pattern as a regular expression for `fullmatch` (DOTALL).

    Each piece between two `%` is taken where it first occurs and never tried again further on (an atomic group), which
    changes no answer and keeps patterns with many `%` from taking time that grows with their power.
    """
    first, *pieces = (re.escape(piece).replace("_", ".") for piece in pattern.split("%"))
    if not pieces:
        return first
    *middle, last = pieces
    return first + "".join(f"(?>.*?{piece})" for piece in middle if piece) + ".*" + last


_TESTS: dict[Operator, Callable[[Any, Sequence[Reader]], ValueTest]] = {
    Operator.EQ: _equality,
    Operator.GT: _ordering(operator.gt),
    Operator.LT: _ordering(operator.lt),
    Operator.GTE: _ordering(operator.ge),
    Operator.LTE: _ordering(operator.le),
    Operator.BETWEEN: _range,
    Operator.IN: _membership,
    Operator.LIKE: _like,
    Operator.STARTS_WITH: _prefix,
    Operator.REGEX: _regex,
    Operator.EXISTS: lambda operand, kinds: lambda value: True,
}


# ---------------------------------------------------------------------------------------------- sorting, projecting
def order(rows: Iterable[RowT], specs: Sequence[SortSpec]) -> list[RowT]:
    """`rows` sorted by `specs`, most significant first; by id where they are equal or there are no specs."""
    ordered = sorted(rows, key=lambda row: row.value("id"))
    for spec in reversed(specs):  # sorts are stable, reversed ones too
        ordered.sort(key=_place(spec), reverse=spec.descending)
    return ordered


def _place(spec: SortSpec) -> Callable[[Row], tuple[bool, int, Any]]:
    kinds = (text,) if spec.field == "id" else ORDERED

    def place(row: Row) -> tuple[bool, int, Any]:
        value = row.value(spec.field)
        absent = _is_absent(value)
        rank, key = (not absent and ranked(value, kinds)) or (len(kinds), None)
        return absent is not spec.descending, rank, key

    return place


def project(record: Record, names: Sequence[str] | None) -> Record:
    """The record with only these fields; the record itself when `names` is None."""
    return record if names is None else record.project(names)


# ---------------------------------------------------------------------------------------------- ids
@dataclass(frozen=True, slots=True)
class IdBounds:
    """Where the ids of matching records lie: they all start with `prefix`, and are among `ids` unless that is None."""

    prefix: str = ""
    ids: frozenset[str] | None = None

    def __contains__(self, id: str) -> bool:
        return id.startswith(self.prefix) and (self.ids is None or id in self.ids)


def id_bounds(expression: Expression | None) -> IdBounds:
    """The bounds that the conditions on `id` set which must all hold; a superset of the ids that match."""
    prefix, ids = "", None
    for leaf in conjuncts(expression):
        if not isinstance(leaf, Filter) or leaf.field != "id":
            continue
        if leaf.operator in (Operator.EQ, Operator.IN):
            operands = leaf.value if leaf.operator is Operator.IN else (leaf.value,)
            named = frozenset(operand for operand in operands if isinstance(operand, str))
            ids = named if ids is None else ids & named
        elif leaf.operator is Operator.STARTS_WITH:
            longer, shorter = sorted((prefix, leaf.value), key=len, reverse=True)
            if not longer.startswith(shorter):
                return IdBounds(longer, frozenset())
            prefix = longer
    return IdBounds(prefix, ids and frozenset(id for id in ids if id.startswith(prefix)))
