"""Which share of a row group's rows matches, if its values lie evenly between its bounds and do not depend on each other.

As query planners reckon it: https://www.postgresql.org/docs/current/row-estimation-examples.html
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

from dataknobs_data.expressions import Expression, Filter, LogicOperator, Operator, conjuncts, fold
from dataknobs_data.instants import instant
from dataknobs_data.s3.table.parquet import start_of
from dataknobs_data.s3.table.prune import PackFacts, may_match, must_match
from dataknobs_data.s3.table.reading import PackReader
from dataknobs_data.s3.table.shape import ID
from dataknobs_data.sql.bounds import prefix_end

UNKNOWN_RANGE, UNKNOWN_TEXT = 1 / 3, 0.1
"""Where bounds say nothing of a range; of what patterns find."""

_LETTERS = 6
"""Of a text that are looked at, behind what both bounds begin with."""

Distinct = Callable[[str], float]
"""About how many values a column has in the row group."""

_RANGES = frozenset({Operator.LT, Operator.LTE, Operator.GT, Operator.GTE, Operator.BETWEEN})

_OPPOSITE = {
    Operator.NEQ: Operator.EQ,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
    Operator.NOT_EXISTS: Operator.EXISTS,
}


def share(expression: Expression, facts: PackFacts, distinct: Distinct) -> float:
    """From 0 to 1."""
    ranges: dict[str, list[Filter]] = {}
    others: list[Expression] = []
    for part in conjuncts(expression):
        if isinstance(part, Filter) and part.operator in _RANGES:
            ranges.setdefault(part.field, []).append(part)
        else:
            others.append(part)
    found = [_of_range(parts, facts, distinct) for parts in ranges.values()]
    return prod([*found, *(fold(other, lambda leaf: _leaf(leaf, facts, distinct), _joined) for other in others)])


def _of_range(parts: list[Filter], facts: PackFacts, distinct: Distinct) -> float:
    """Of conditions on one field, all of which hold: what lies between two bounds is less than each of the two lets pass."""
    alone = [_leaf(part, facts, distinct) for part in parts]
    name = column_of(parts[0].field)
    least, most = facts.stats.least.get(name), facts.stats.most.get(name)
    lows = [least, *(low for part in parts if (low := _ends(part)[0]) is not None)]
    highs = [most, *(high for part in parts if (high := _ends(part)[1]) is not None)]
    found = places(*lows, *highs)
    if found is None or not all(alone):
        return min(alone)
    below, above = found[: len(lows)], found[len(lows) :]
    return max(0.0, min(above) - max(below)) / (above[0] - below[0]) if above[0] > below[0] else min(alone)


def _ends(part: Filter) -> tuple[Any, Any]:
    if part.operator is Operator.BETWEEN:
        return part.value[0], part.value[1]
    return (part.value, None) if part.operator in (Operator.GT, Operator.GTE) else (None, part.value)


def _joined(operator: LogicOperator, parts: list[float]) -> float:
    if operator is LogicOperator.NOT:
        return 1 - parts[0]
    return prod(parts) if operator is LogicOperator.AND else 1 - prod(1 - part for part in parts)


def _leaf(leaf: Filter, facts: PackFacts, distinct: Distinct) -> float:
    if not may_match(leaf, facts):
        return 0.0
    if must_match(leaf, facts):
        return 1.0
    name = column_of(leaf.field)
    nulls = facts.stats.nulls.get(name, 0) / max(facts.stats.records, 1)
    found = (1 - nulls) * _of_values(_OPPOSITE.get(leaf.operator, leaf.operator), leaf.value, name, facts, distinct)
    if leaf.operator is Operator.NOT_EXISTS:
        return 1 - found
    return 1 - nulls - found if leaf.operator in _OPPOSITE else found


def _of_values(operator: Operator, operand: Any, name: str, facts: PackFacts, distinct: Distinct) -> float:
    least, most = facts.stats.least.get(name), facts.stats.most.get(name)
    if operator is Operator.EXISTS:
        return 1.0
    if operator in (Operator.EQ, Operator.IN):
        values = len(operand) if operator is Operator.IN else 1
        return min(1.0, values / max(distinct(name), 1.0))
    if operator is Operator.STARTS_WITH:
        end = prefix_end(operand)
        return _between(operand, operand if end is None else end, least, most, UNKNOWN_TEXT)
    if operator is Operator.BETWEEN:
        return _between(operand[0], operand[1], least, most, UNKNOWN_RANGE)
    if operator in (Operator.LT, Operator.LTE):
        return _between(least, operand, least, most, UNKNOWN_RANGE)
    if operator in (Operator.GT, Operator.GTE):
        return _between(operand, most, least, most, UNKNOWN_RANGE)
    return UNKNOWN_TEXT


def _between(low: Any, high: Any, least: Any, most: Any, otherwise: float) -> float:
    found = places(low, high, least, most)
    if found is None:
        return otherwise
    below, above, first, last = found
    if last <= first:
        return otherwise
    return max(0.0, min(1.0, (min(above, last) - max(below, first)) / (last - first)))


def column_of(field: str) -> str:
    """The column whose bounds say something of a field."""
    return ID if field == "id" else field


def places(*values: Any) -> list[float] | None:
    """Values as numbers whose distances mean something; None where they are of several kinds, or unknown."""
    if any(value is None for value in values):
        return None
    if all(isinstance(value, int | float) for value in values):
        return [float(value) for value in values]
    if all(isinstance(value, str) for value in values):
        return _places_of_texts(values)
    moments = [instant(value) for value in values]
    return None if any(moment is None for moment in moments) else [moment.timestamp() for moment in moments if moment]


def _places_of_texts(texts: tuple[str, ...]) -> list[float]:
    start = 0
    while len({text[start : start + 1] for text in texts}) == 1 and start < min(map(len, texts)):
        start += 1
    codes = [[min(ord(char), 255) for char in text[start : start + _LETTERS]] for text in texts]
    return [sum(code / 256 ** (place + 1) for place, code in enumerate(letters)) for letters in codes]


def distinct_in(reader: PackReader, group: int) -> Distinct:
    """By the range of whole numbers, or else the size of the dictionary that the values were written with; where there is
    none, all are taken to differ."""
    row_group, names = reader.metadata.row_group(group), reader.metadata.schema.names

    def distinct(name: str) -> float:
        if name not in names:
            return float(row_group.num_rows)
        chunk = row_group.column(names.index(name))
        bounds = chunk.statistics
        if bounds is not None and bounds.has_min_max and isinstance(bounds.min, int):
            return float(min(bounds.max - bounds.min + 1, row_group.num_rows))
        if not chunk.has_dictionary_page:
            return float(row_group.num_rows)
        length = len(bounds.min) if bounds is not None and bounds.has_min_max and isinstance(bounds.min, str) else 8
        dictionary_bytes = int(chunk.data_page_offset) - start_of(chunk)
        return max(1.0, min(dictionary_bytes / (length + 4), float(row_group.num_rows)))

    return distinct
