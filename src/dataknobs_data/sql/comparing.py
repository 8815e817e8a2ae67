"""One comparison in SQL, as a pair of conditions for each type that the stored value may have."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from functools import reduce
from typing import Any, TypeVar
from uuid import UUID

from sqlalchemy import Text, and_, case, false, func, literal, not_

from dataknobs_data.instants import instant
from dataknobs_data.kinds import number
from dataknobs_data.query import Operator
from dataknobs_data.sql.bounds import Window, exact_integer, instant_window, number_window, prefix_end
from dataknobs_data.sql.dialect import Dialect, Slot, Sql, Test
from dataknobs_data.sql.pairs import ALWAYS, NEVER, UNKNOWN, Pair

T = TypeVar("T")

_COMPARE: dict[Operator, Callable[[Any, Any], Any]] = {
    Operator.EQ: operator.eq,
    Operator.GT: operator.gt,
    Operator.LT: operator.lt,
    Operator.GTE: operator.ge,
    Operator.LTE: operator.le,
}
_PATTERN_LENGTH_MAX = 1_000  # SQLite refuses patterns beyond 50,000 bytes
_ESCAPE = "!"
_COMPARISONS_MAX = 100  # members of a list that need a comparison each
_CONTAINERS = ("array", "object")
_DATE_TAGS = ("datetime", "date")
_NUMBER_TAGS = ("Decimal", "int", "float")


@dataclass(frozen=True, slots=True)
class Cases:
    """What is asked of a value of each type; a value of no type that is asked about does not match."""

    text: Pair = NEVER
    number: Pair = NEVER
    boolean: Pair = NEVER
    container: Pair = NEVER
    tagged: tuple[tuple[Test, Pair], ...] = ()


# ---------------------------------------------------------------------------------------------- texts
def compare_text(op: Operator, text: Sql, operand: str, dialect: Dialect) -> Pair:
    """Strings by code point."""
    if dialect.holds(operand):
        return Pair.exact(_COMPARE[op](text, literal(operand, Text)))
    return NEVER if op is Operator.EQ else UNKNOWN


def one_of_texts(text: Sql, members: Collection[str], dialect: Dialect) -> Pair:
    """Whether the string is among `members`."""
    return Pair.exact(dialect.one_of(text, [member for member in members if dialect.holds(member)]))


def starts_with(text: Sql, prefix: str, dialect: Dialect) -> Pair:
    """Whether the string starts with exactly `prefix`, as a range that an index can answer."""
    end = prefix_end(prefix)
    pair = compare_text(Operator.GTE, text, prefix, dialect)
    return pair if end is None else pair & compare_text(Operator.LT, text, end, dialect)


def like(text: Sql, pattern: str, dialect: Dialect) -> Pair:
    """A LIKE pattern, case aside. How case folds beyond ASCII is each database's own idea."""
    if not pattern.isascii() or "\0" in pattern or len(pattern) > _PATTERN_LENGTH_MAX:  # U+0000 ends SQLite's patterns
        return UNKNOWN
    escaped = pattern.lower().replace(_ESCAPE, _ESCAPE * 2)
    alike = Pair.exact(func.lower(text).like(literal(escaped, Text), escape=_ESCAPE))
    ascii_only = Pair.exact(dialect.is_ascii(text))
    return (ascii_only & alike) | (~ascii_only & UNKNOWN)


TEXT_TESTS: dict[Operator, Callable[[Sql, str, Dialect], Pair]] = {
    Operator.LIKE: like,
    Operator.STARTS_WITH: starts_with,
    Operator.REGEX: lambda text, pattern, dialect: UNKNOWN,
}
"""The operators that only strings can satisfy."""


# ---------------------------------------------------------------------------------------------- numbers, instants
def compare_window(op: Operator, value: Sql, window: Window[T], bind: Callable[[T], Sql]) -> Pair:
    """A comparison with an operand that lies somewhere in `window`."""
    below = false() if window.low is None else value < bind(window.low)
    above = false() if window.high is None else value > bind(window.high)
    if op is Operator.EQ:
        return Pair(false(), and_(not_(below), not_(above)))
    if op in (Operator.LT, Operator.LTE):
        return Pair(below, not_(above))
    return Pair(above, not_(below))


def compare_number(op: Operator, value: Sql, operand: Any, dialect: Dialect) -> Pair:
    """Numbers, exactly where the database does so."""
    near = compare_window(op, value, number_window(operand), dialect.bind_number)
    whole = exact_integer(operand)
    if whole is None:
        return near
    sure = Pair.exact(dialect.is_exact(value))
    return (sure & Pair.exact(_COMPARE[op](value, dialect.bind_number(whole)))) | (~sure & near)


def compare_instant(op: Operator, text: Sql, operand: Any, moment: datetime) -> Pair:
    """Texts, instants or not, with an operand that is an instant."""
    near = compare_window(op, text, instant_window(moment), lambda day: literal(day, Text))
    if op is Operator.EQ and isinstance(operand, str):
        return Pair(text == literal(operand, Text), near.may)
    return near


# ---------------------------------------------------------------------------------------------- values of any type
def ask(slot: Slot, cases: Cases, dialect: Dialect) -> Pair:
    """The pair of conditions that asks the value in `slot` what `cases` says for its type."""
    untagged = slot.tag.is_(None)
    branches = [
        (slot.kind.in_(dialect.numbers), cases.number),
        (slot.kind.in_(dialect.booleans), cases.boolean),
        (and_(slot.kind.in_(dialect.strings), untagged), cases.text),
        (and_(slot.kind.in_(_CONTAINERS), untagged), cases.container),
        *cases.tagged,
    ]
    asked = [(test, pair) for test, pair in branches if pair is not NEVER]
    if not asked:
        return NEVER
    return Pair(
        case(*((test, pair.must) for test, pair in asked), else_=false()),
        case(*((test, pair.may) for test, pair in asked), else_=false()),
    )


def compare(op: Operator, slot: Slot, operand: Any, dialect: Dialect) -> Pair:
    """=, <, >, <=, >= with any operand."""
    return ask(slot, _cases(op, slot, operand, dialect), dialect)


def one_of(slot: Slot, operands: Collection[Any], dialect: Dialect) -> Pair:
    """Whether the value equals any of `operands`. Words and whole numbers are looked up together, others one by one."""
    words: list[str] = []
    integers: list[int] = []
    others: list[Any] = []
    for one in operands:
        whole = None if number(one) is None else exact_integer(one)
        if whole is not None:
            integers.append(whole)
        elif isinstance(one, str) and instant(one) is None:
            words.append(one)
        else:
            others.append(one)
    if len(others) > _COMPARISONS_MAX:
        return UNKNOWN
    pairs = [compare(Operator.EQ, slot, other, dialect) for other in others]
    if words:
        pairs.append(ask(slot, Cases(text=one_of_texts(slot.text, words, dialect)), dialect))
    if integers:
        sure = Pair.exact(dialect.is_exact(slot.number))
        among = (sure & Pair.exact(dialect.one_of(slot.number, integers))) | (~sure & UNKNOWN)
        pairs.append(ask(slot, Cases(number=among, tagged=((slot.tag.in_(_NUMBER_TAGS), UNKNOWN),)), dialect))
    return reduce(operator.or_, pairs, NEVER)


def _cases(op: Operator, slot: Slot, operand: Any, dialect: Dialect) -> Cases:
    if isinstance(operand, bool):
        return Cases(boolean=_compare_truth(op, slot, operand, dialect))
    if isinstance(operand, int | float | Decimal):
        return Cases() if number(operand) is None else _cases_of_number(op, slot, operand, dialect)
    moment = instant(operand)
    if moment is not None:
        pair = compare_instant(op, slot.text, operand, moment)
        untagged = pair if isinstance(operand, str) else Pair(false(), pair.may)  # it may be a string that is no date
        return Cases(text=untagged, tagged=((slot.tag.in_(_DATE_TAGS), pair),))
    if isinstance(operand, str):
        return Cases(text=compare_text(op, slot.text, operand, dialect))
    if isinstance(operand, UUID):
        return Cases(tagged=((slot.tag == "UUID", compare_text(op, slot.text, str(operand), dialect)),))
    if operand is None:
        return Cases()
    return Cases(container=UNKNOWN, tagged=((slot.tag.is_not(None), UNKNOWN),))


def _cases_of_number(op: Operator, slot: Slot, operand: int | float | Decimal, dialect: Dialect) -> Cases:
    is_plain, decimal = dialect.decimal(slot.text)
    return Cases(
        number=compare_number(op, slot.number, operand, dialect),
        tagged=(
            (and_(slot.tag == "Decimal", is_plain), compare_number(op, decimal, operand, dialect)),
            (slot.tag.in_(_NUMBER_TAGS), UNKNOWN),
        ),
    )


def _compare_truth(op: Operator, slot: Slot, operand: bool, dialect: Dialect) -> Pair:
    matching = [truth for truth in (False, True) if _COMPARE[op](truth, operand)]
    if len(matching) != 1:
        return ALWAYS if matching else NEVER
    is_true = Pair.exact(dialect.is_true(slot))
    return is_true if matching[0] else ~is_true
