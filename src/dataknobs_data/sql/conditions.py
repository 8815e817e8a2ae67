"""From an expression tree to SQL, as a pair of conditions: what certainly matches, what may (`pairs`)."""

from __future__ import annotations

import operator
from collections.abc import Callable
from functools import partial, reduce
from typing import Any

from sqlalchemy import Table, case, false, func, true

from dataknobs_data.query import Expression, Filter, LogicOperator, Operator, conjuncts, fold
from dataknobs_data.sql.comparing import TEXT_TESTS, Cases, ask, compare, compare_text, one_of, one_of_texts
from dataknobs_data.sql.dialect import Dialect, Slot
from dataknobs_data.sql.pairs import ALWAYS, NEVER, UNKNOWN, Pair
from dataknobs_data.sql.slots import slot_of

_POSITIVE = {
    Operator.NEQ: Operator.EQ,
    Operator.NOT_IN: Operator.IN,
    Operator.NOT_LIKE: Operator.LIKE,
    Operator.NOT_BETWEEN: Operator.BETWEEN,
}
_WEIGHT_MAX = 9_000  # one condition weighs 30, each member of a list 1: SQLite takes 32,766 parameters, 1,000 levels
_LEAF_WEIGHT = 30


def conditions(expression: Expression | None, table: Table, dialect: Dialect) -> Pair:
    """The conditions that rows of `table` meet which match `expression`.

    Conditions on the id stay in the open, for the index of the primary key. The others look into JSON, and do so only
    where it is sound: a damaged row may match anything.
    """
    if expression is None:
        return ALWAYS
    if fold(expression, _weight, lambda logic, weights: sum(weights)) > _WEIGHT_MAX:
        return UNKNOWN
    within = _Conditions(table, dialect)
    by_id, others = ALWAYS, ALWAYS
    for part in conjuncts(expression):
        if isinstance(part, Filter) and part.field == "id":
            by_id &= within.of_leaf(part)
        else:
            others &= within.of(part)
    if others is ALWAYS:
        return by_id
    sound = dialect.sound(table)
    return by_id & Pair(case((sound, others.must), else_=false()), case((sound, others.may), else_=true()))


def _weight(leaf: Filter) -> int:
    return _LEAF_WEIGHT + (len(leaf.value) if leaf.operator in (Operator.IN, Operator.NOT_IN) else 0)


class _Conditions:
    """The pairs of conditions on one table."""

    def __init__(self, table: Table, dialect: Dialect) -> None:
        self._table = table
        self._dialect = dialect

    def of(self, expression: Expression) -> Pair:
        return fold(expression, self.of_leaf, _joined)

    def of_leaf(self, leaf: Filter) -> Pair:
        if leaf.field == "id":
            return _of_operator(leaf, ALWAYS, self._test_id)
        slot = slot_of(self._table, leaf.field, self._dialect)
        if slot is None:
            return UNKNOWN
        present = Pair.exact(func.coalesce(slot.kind, "null") != "null")
        return _of_operator(leaf, present, partial(self._test_slot, slot))

    def _test_id(self, op: Operator, operand: Any) -> Pair:
        id = self._table.c.id
        if op is Operator.IN:
            return one_of_texts(id, [one for one in operand if isinstance(one, str)], self._dialect)
        if op in TEXT_TESTS:
            return TEXT_TESTS[op](id, operand, self._dialect)
        return compare_text(op, id, operand, self._dialect) if isinstance(operand, str) else NEVER

    def _test_slot(self, slot: Slot, op: Operator, operand: Any) -> Pair:
        if op is Operator.IN:
            return one_of(slot, operand, self._dialect)
        if op in TEXT_TESTS:
            return ask(slot, Cases(text=TEXT_TESTS[op](slot.text, operand, self._dialect)), self._dialect)
        return compare(op, slot, operand, self._dialect)


def _of_operator(leaf: Filter, present: Pair, test: Callable[[Operator, Any], Pair]) -> Pair:
    """What `leaf` asks of a value, where `test` does the positive operators but `between`."""
    if leaf.operator is Operator.EXISTS:
        return present
    if leaf.operator is Operator.NOT_EXISTS:
        return ~present
    positive = _POSITIVE.get(leaf.operator, leaf.operator)
    if positive is Operator.BETWEEN:
        low, high = leaf.value
        pair = test(Operator.GTE, low) & test(Operator.LTE, high)
    else:
        pair = test(positive, leaf.value)
    return pair if positive is leaf.operator else present & ~pair


def _joined(logic: LogicOperator, pairs: list[Pair]) -> Pair:
    if logic is LogicOperator.NOT:
        return ~pairs[0]
    return reduce(operator.and_ if logic is LogicOperator.AND else operator.or_, pairs)
