"""Which packs a query need not look at: what the log says of a pack, held against the query's conditions.

Pure, and careful in one direction: a pack is left out only where no record in it can match as `matching` means it; whatever
is not known may match. A condition is judged twice, whether it can be true of some record and whether it can be false of
some, so that `not` only turns the two around. What the bounds of a column do not speak of (values in `_rest`) makes every
condition on that name open. So a statistic that is missing never hides a record.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from dataknobs_data.expressions import Expression, Filter, LogicOperator, Operator, fold
from dataknobs_data.instants import instant
from dataknobs_data.kinds import Reader, binary, boolean, number, text
from dataknobs_data.s3.table.bounds import Stats
from dataknobs_data.s3.table.kinds import BY_NAME, Kind
from dataknobs_data.s3.table.locations import may_lie_in_rest
from dataknobs_data.s3.table.shape import ID
from dataknobs_data.sql.bounds import instant_window, prefix_end


class Possible(NamedTuple):
    """Whether a condition can be true of some record of a pack, and whether it can be false of some."""

    true: bool
    false: bool


@dataclass(frozen=True)
class PackFacts:
    """What is known of a pack without reading it.

    kinds       its user columns
    stats       its statistics; bounds may be missing
    rest_names  names of fields of which values lie in `_rest`; None: it is not known which
    """

    kinds: Mapping[str, Kind]
    stats: Stats
    rest_names: frozenset[str] | None


OPEN = Possible(True, True)
NEVER, ALWAYS = Possible(False, True), Possible(True, False)

_NEGATED = {
    Operator.NEQ: Operator.EQ,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
}


def may_match(expression: Expression | None, pack: PackFacts) -> bool:
    """Whether some record of the pack can satisfy `expression`. False is certain."""
    if pack.stats.records == 0:
        return False
    return expression is None or fold(expression, lambda leaf: _leaf(leaf, pack), _joined).true


def must_match(expression: Expression | None, pack: PackFacts) -> bool:
    """Whether every record of the pack satisfies `expression`. True is certain."""
    return expression is None or not fold(expression, lambda leaf: _leaf(leaf, pack), _joined).false


def _joined(operator: LogicOperator, parts: list[Possible]) -> Possible:
    if operator is LogicOperator.NOT:
        (inner,) = parts
        return Possible(inner.false, inner.true)
    every, some = (all, any) if operator is LogicOperator.AND else (any, all)
    return Possible(every(part.true for part in parts), some(part.false for part in parts))


def _leaf(leaf: Filter, pack: PackFacts) -> Possible:
    name = leaf.field
    if name == "id":
        return _present(leaf, _Column.of(ID, BY_NAME["string"], pack.stats, (text,)))
    if _may_lie_elsewhere(name, pack.rest_names):
        return OPEN
    if name not in pack.kinds:
        return ALWAYS if leaf.operator is Operator.NOT_EXISTS else NEVER
    return _present(leaf, _Column.of(name, pack.kinds[name], pack.stats))


def _may_lie_elsewhere(name: str, rest_names: frozenset[str] | None) -> bool:
    """Whether values of that name may lie outside its column: in `_rest`, inside a value there, or in the metadata."""
    return name.startswith("metadata.") or may_lie_in_rest(name, rest_names)


def _present(leaf: Filter, column: _Column) -> Possible:
    """A condition on a name all of whose values lie in one column; absent values satisfy only `not_exists`."""
    if leaf.operator is Operator.EXISTS:
        return Possible(column.has_values, column.has_nulls)
    if leaf.operator is Operator.NOT_EXISTS:
        return Possible(column.has_nulls, column.has_values)
    positive = _NEGATED.get(leaf.operator, leaf.operator)
    found = _TESTS[positive](leaf.value, column)
    if positive is not leaf.operator:
        found = Possible(found.false, found.true)
    return Possible(column.has_values and found.true, column.has_nulls or found.false)


# ---------------------------------------------------------------------------------------------- one column
_READERS: Mapping[str, tuple[Reader, ...]] = {
    "string": (instant, text),
    "long": (number,),
    "double": (number,),
    "boolean": (boolean,),
    "timestamp": (instant,),
    "date": (instant,),
    "binary": (binary,),
}
"""As what values of a column can be read, in the order of `kinds.KINDS`."""

_TEXT_OF_INSTANTS = frozenset({"timestamp", "date"})


@dataclass(frozen=True)
class _Column:
    """What is known of a column's values: all lie from `least` to `most`; None: no such bound is known."""

    readers: tuple[Reader, ...]
    least: Any
    most: Any
    has_values: bool
    has_nulls: bool

    @classmethod
    def of(cls, name: str, kind: Kind, stats: Stats, readers: tuple[Reader, ...] | None = None) -> _Column:
        nulls = stats.nulls.get(name)
        least, most = (_bound(found.get(name), kind) for found in (stats.least, stats.most))
        return cls(
            readers or _READERS[kind.delta],
            least,
            most,
            nulls is None or nulls < stats.records,
            nulls is None or nulls > 0,
        )


def _bound(value: Any, kind: Kind) -> Any:
    return instant(value) if value is not None and kind.delta in _TEXT_OF_INSTANTS else value


class _Side(NamedTuple):
    """Where the values of a column can lie, seen from an operand: below it, just there, above it; or `apart`, where they
    cannot be compared with it and satisfy nothing.
    """

    below: bool
    there: bool
    above: bool
    apart: bool = False


_APART = _Side(False, False, False, apart=True)


def _side(operand: Any, column: _Column) -> _Side:
    views = [(read, key) for read in column.readers if (key := read(operand)) is not None]
    if not views:
        return _APART
    read, key = views[0]
    if read is instant and text in column.readers:
        return _texts_and_an_instant(key, column)
    least, most = column.least, column.most
    return _Side(
        below=least is None or least < key,
        there=(least is None or least <= key) and (most is None or key <= most),
        above=most is None or most > key,
    )


def _texts_and_an_instant(moment: Any, column: _Column) -> _Side:
    """Texts that are instants compare as such, in whatever zone they are written; the dates at their start nearly do."""
    window = instant_window(moment)
    if window.low is not None and column.most is not None and column.most < window.low:
        return _Side(True, False, False, apart=True)
    if window.high is not None and column.least is not None and column.least > window.high:
        return _Side(False, False, True, apart=True)
    return _Side(True, True, True, apart=True)


# ---------------------------------------------------------------------------------------------- operators
def _ordered(true: Callable[[_Side], bool], false: Callable[[_Side], bool]) -> Callable[[Any, _Column], Possible]:
    def test(operand: Any, column: _Column) -> Possible:
        side = _side(operand, column)
        return Possible(true(side), side.apart or false(side))

    return test


def _range(operands: tuple[Any, Any], column: _Column) -> Possible:
    low, high = _TESTS[Operator.GTE](operands[0], column), _TESTS[Operator.LTE](operands[1], column)
    return Possible(low.true and high.true, low.false or high.false)


def _membership(operands: Iterable[Any], column: _Column) -> Possible:
    found = [_TESTS[Operator.EQ](operand, column) for operand in operands]
    return Possible(any(one.true for one in found), all(one.false for one in found))


def _prefix(prefix: str, column: _Column) -> Possible:
    if text not in column.readers:
        return NEVER
    end = prefix_end(prefix)
    begins = column.most is None or column.most >= prefix
    return Possible(begins and (end is None or column.least is None or column.least < end), True)


def _pattern(pattern: str, column: _Column) -> Possible:
    return Possible(text in column.readers, True)


_TESTS: dict[Operator, Callable[[Any, _Column], Possible]] = {
    Operator.EQ: _ordered(lambda side: side.there, lambda side: side.below or side.above),
    Operator.GT: _ordered(lambda side: side.above, lambda side: side.below or side.there),
    Operator.LT: _ordered(lambda side: side.below, lambda side: side.above or side.there),
    Operator.GTE: _ordered(lambda side: side.there or side.above, lambda side: side.below),
    Operator.LTE: _ordered(lambda side: side.there or side.below, lambda side: side.above),
    Operator.BETWEEN: _range,
    Operator.IN: _membership,
    Operator.LIKE: _pattern,
    Operator.REGEX: _pattern,
    Operator.STARTS_WITH: _prefix,
}
