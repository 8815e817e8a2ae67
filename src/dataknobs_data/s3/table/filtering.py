"""Which rows of a pack can match a query, judged by whole columns.

Pure, and careful in one direction, as `prune` is for packs: a row is left out only where it cannot match as `matching`
means it, and called sure only where it must. So a condition has two masks, where it can be true and where it can be false,
and `not` turns the two around. They meet in rows whose value lies outside its column (`locations`), in the few texts of which Arrow cannot
tell whether they are instants, and in patterns that Arrow reads otherwise than Python.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from dataknobs_data.expressions import Expression, Filter, LogicOperator, Operator, fold
from dataknobs_data.instants import instant
from dataknobs_data.s3.table.cuts import Cut, cut_of
from dataknobs_data.s3.table.dated import dated_texts
from dataknobs_data.s3.table.kinds import BY_NAME, Kind
from dataknobs_data.s3.table.locations import Location, Rows
from dataknobs_data.s3.table.masks import Mask, array_of, both, either, inverted, mask_of
from dataknobs_data.s3.table.patterns import like_in_re2, regex_in_re2


@dataclass(frozen=True)
class Judged:
    """What is known of each row: whether it `may` match and whether it surely does. None: every row."""

    may: pa.BooleanArray | None
    sure: pa.BooleanArray | None


_INSTANTS = BY_NAME["timestamp"]


class _Possible(NamedTuple):
    """Where a condition can be true and where it can be false: one or both in every row."""

    true: Mask
    false: Mask


_OPEN, _NEVER, _ALWAYS = _Possible(True, True), _Possible(False, True), _Possible(True, False)


def judge_rows(
    expression: Expression | None, table: pa.Table, kinds: Mapping[str, Kind], rest_names: frozenset[str] | None
) -> Judged:
    """Judges the rows of a table that has some columns of a pack (see `locations.columns_for`); missing ones are unknown.

    kinds       the user columns of the pack
    rest_names  names of fields of which values lie in its `_rest`; None: it is not known which
    """
    if expression is None:
        return Judged(None, None)
    rows = Rows(table, kinds, rest_names)
    found = fold(expression, lambda leaf: _leaf(leaf, rows), _joined)
    return Judged(*(_unless_all(mask, table.num_rows) for mask in (found.true, inverted(found.false))))


def may_match_rows(
    expression: Expression | None, table: pa.Table, kinds: Mapping[str, Kind], rest_names: frozenset[str] | None
) -> pa.BooleanArray | None:
    """True for every row that can match; None where none can be left out. See `judge_rows`."""
    return judge_rows(expression, table, kinds, rest_names).may


def _unless_all(mask: Mask, rows: int) -> pa.BooleanArray | None:
    if mask is True:
        return None
    array = array_of(mask, rows)
    return None if array.true_count == rows else array


def _joined(operator: LogicOperator, parts: list[_Possible]) -> _Possible:
    if operator is LogicOperator.NOT:
        (inner,) = parts
        return _Possible(inner.false, inner.true)
    true, false = (both, either) if operator is LogicOperator.AND else (either, both)
    return _Possible(reduce(true, (part.true for part in parts)), reduce(false, (part.false for part in parts)))


# ---------------------------------------------------------------------------------------------- one condition
@dataclass(frozen=True)
class _Column:
    values: pa.ChunkedArray
    location: Location

    @property
    def is_text(self) -> bool:
        return self.location.kind.delta == "string"

    @property
    def stands_for_texts(self) -> bool:
        """Whether the query sees texts where the column has instants."""
        return self.location.stamp and not self.is_text


def _leaf(leaf: Filter, rows: Rows) -> _Possible:
    location = rows.location(leaf.field)
    unknown = rows.unknown(location)
    if unknown is True:
        return _OPEN
    known = _of_known(leaf, _Column(rows.values(location), location))
    return _Possible(either(known.true, unknown), either(known.false, unknown))


def _of_known(leaf: Filter, column: _Column) -> _Possible:
    """A condition on values that all lie in their column; absent ones satisfy only `not_exists`."""
    absent = mask_of(pc.is_null(column.values)) if column.values.null_count else False
    present = inverted(absent)
    if leaf.operator is Operator.EXISTS:
        return _Possible(present, absent)
    if leaf.operator is Operator.NOT_EXISTS:
        return _Possible(absent, present)
    positive = _POSITIVE.get(leaf.operator, leaf.operator)
    found = _TESTS[positive](leaf.value, column) if present is not False else _NEVER
    if positive is not leaf.operator:
        found = _Possible(found.false, found.true)
    return _Possible(both(present, found.true), either(absent, found.false))


_POSITIVE = {
    Operator.NEQ: Operator.EQ,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
}


# ---------------------------------------------------------------------------------------------- comparing
_Compare = Callable[[pa.ChunkedArray, pa.Scalar], pa.ChunkedArray]

_BY_SIDE: dict[Operator, tuple[_Compare | None, _Compare | None, _Compare | None]] = {
    Operator.EQ: (None, pc.equal, None),
    Operator.LT: (pc.less, pc.less, pc.less_equal),
    Operator.LTE: (pc.less, pc.less_equal, pc.less_equal),
    Operator.GT: (pc.greater_equal, pc.greater, pc.greater),
    Operator.GTE: (pc.greater_equal, pc.greater_equal, pc.greater),
}
"""How values are compared with a cut's point whose operand lies just below it, at it, just above it; None: never true."""


def _compared(operator: Operator) -> Callable[[Any, _Column], _Possible]:
    def test(operand: Any, column: _Column) -> _Possible:
        cut = cut_of(operand, column.location.kind)
        holds = _holds(operator, column.values, cut, column.location.kind)
        moment = _moment(operand, column)
        if moment is not None:
            at = cut_of(moment, _INSTANTS)
            return _of_texts_and_instants(column, holds, lambda instants: _holds(operator, instants, at, _INSTANTS))
        if cut is None and column.stands_for_texts and isinstance(operand, str):
            return _OPEN
        return _Possible(holds, inverted(holds))

    return test


def _holds(operator: Operator, values: pa.ChunkedArray, cut: Cut | None, kind: Kind) -> Mask:
    compare = _BY_SIDE[operator][cut.side + 1] if cut else None
    return compare(values, pa.scalar(cut.point, kind.arrow)) if cut and compare else False


def _moment(operand: Any, column: _Column) -> Any:
    """The operand as an instant, where texts of the column can be some too."""
    return instant(operand) if column.is_text and not column.location.only_text else None


def _of_texts_and_instants(column: _Column, holds: Mask, at: Callable[[pa.ChunkedArray], Mask]) -> _Possible:
    """Texts compare as `holds` says, but for those that are instants: they do as `at` says, in whatever zone."""
    found = dated_texts(column.values)
    if found is None:
        return _Possible(holds, inverted(holds))
    dated = both(inverted(mask_of(pc.is_null(found.instants))), at(found.instants))
    answer = either(both(found.plain, holds), dated)
    return _Possible(either(answer, found.unread), either(inverted(answer), found.unread))


def _range(operands: tuple[Any, Any], column: _Column) -> _Possible:
    parts = [_TESTS[Operator.GTE](operands[0], column), _TESTS[Operator.LTE](operands[1], column)]
    return _joined(LogicOperator.AND, parts)


def _membership(operands: Sequence[Any], column: _Column) -> _Possible:
    moments = [moment for operand in operands if (moment := _moment(operand, column)) is not None]
    others = [operand for operand in operands if _moment(operand, column) is None] if moments else operands
    holds = _is_in(column.values, others, column.location.kind)
    if not moments:
        return _Possible(holds, inverted(holds))
    return _of_texts_and_instants(column, holds, lambda instants: _is_in(instants, moments, _INSTANTS))


def _is_in(values: pa.ChunkedArray, operands: Iterable[Any], kind: Kind) -> Mask:
    points = [cut.point for operand in operands if (cut := cut_of(operand, kind)) and not cut.side]
    if kind.delta == "double" and 0.0 in points:
        points += [0.0, -0.0]  # which are two to Arrow
    return pc.is_in(values, value_set=pa.array(points, kind.arrow)) if points else False


# ---------------------------------------------------------------------------------------------- texts
def _of_texts(test: Callable[[str, pa.ChunkedArray], _Possible]) -> Callable[[str, _Column], _Possible]:
    def on_column(operand: str, column: _Column) -> _Possible:
        if not column.is_text:
            return _OPEN if column.stands_for_texts else _NEVER
        try:
            return test(operand, column.values)
        except pa.ArrowInvalid:  # a pattern that RE2 finds too large
            return _OPEN

    return on_column


def _prefix(prefix: str, texts: pa.ChunkedArray) -> _Possible:
    try:
        holds = pc.starts_with(texts, prefix)
    except UnicodeEncodeError:  # no stored text has lone surrogates
        return _NEVER
    return _Possible(holds, inverted(holds))


def _like(pattern: str, texts: pa.ChunkedArray) -> _Possible:
    found = pc.match_substring_regex(texts, like_in_re2(pattern))
    return _Possible(found, either(inverted(found), _other_than_ascii(texts) if pattern.isascii() else True))


def _regex(pattern: str, texts: pa.ChunkedArray) -> _Possible:
    in_re2 = regex_in_re2(pattern)
    if in_re2 is None:
        return _OPEN
    found, doubtful = pc.match_substring_regex(texts, in_re2), _other_than_ascii(texts)
    return _Possible(either(found, doubtful), either(inverted(found), doubtful))


def _other_than_ascii(texts: pa.ChunkedArray) -> Mask:
    return mask_of(pc.fill_null(pc.invert(pc.string_is_ascii(texts)), False))


_TESTS: dict[Operator, Callable[[Any, _Column], _Possible]] = {
    **{operator: _compared(operator) for operator in _BY_SIDE},
    Operator.BETWEEN: _range,
    Operator.IN: _membership,
    Operator.LIKE: _of_texts(_like),
    Operator.STARTS_WITH: _of_texts(_prefix),
    Operator.REGEX: _of_texts(_regex),
}
"""On values that are not null; what they say of the others is not used."""
