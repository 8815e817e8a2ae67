"""Conditions as people type them: `field operator value`, one comparison each, typed.

    age >= 30            name = Alice            "first name" != "Bob"        due < 2024-05-01
    carrier in UA, AA    tag not in ["a, b"]     delay between 5, 15          vip = true
    name like A%         id starts_with 2013/    note regex ^to.?do           email exists

A field with blanks or `=!<>"` in it stands in double quotes, as JSON text. A value is JSON where it can be read as that
(`5`, `true`, `"5"`, `["a", "b"]`), else text. Lists are JSON lists or split at commas. What can only be text is never
read as a number: the right side of like, regex and starts_with, and whatever is compared with `id`.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from dataknobs_data.exceptions import QueryError
from dataknobs_data.expressions import Filter, Operator

_CONDITION = re.compile(
    r"""\s* (?P<field> "(?:[^"\\]|\\.)*" | [^\s=!<>"]+ )
        (?: \s* (?P<symbol> [=!<>]+ ) | \s+ (?P<word> (?:(?:not|starts)\s+)? [a-z_]+ ) (?!\S) )
        \s* (?P<value> .*? ) \s*""",
    re.VERBOSE | re.IGNORECASE | re.DOTALL,
)
_LONE = (Operator.EXISTS, Operator.NOT_EXISTS)
_LISTS = (Operator.IN, Operator.NOT_IN, Operator.BETWEEN, Operator.NOT_BETWEEN)
_TEXTS = (Operator.LIKE, Operator.NOT_LIKE, Operator.REGEX, Operator.STARTS_WITH)


def parse_condition(text: str) -> Filter:
    """The filter that `text` describes. Raises QueryError quoting it."""
    found = _CONDITION.fullmatch(text)
    if found is None:
        _refuse(text, "expected 'field operator value', such as 'age >= 30' or 'email exists'")
    try:
        operator = Operator.parse(found["symbol"] or found["word"])
        field = _text(found["field"])
        return Filter(field, operator, _operand(text, field, operator, found["value"]))
    except QueryError as error:
        if str(error).startswith("--where"):
            raise
        _refuse(text, str(error), error)


def _operand(condition: str, field: str, operator: Operator, value: str) -> Any:
    if operator in _LONE:
        return value or None
    if not value:
        _refuse(condition, f'{operator.value!r} needs a value (the empty text is written "")')
    as_text = operator in _TEXTS or field == "id"
    if operator in _LISTS:
        return _list(value, as_text)
    operand = _text(value) if as_text else _value(value)
    if operand is None:
        _refuse(condition, f"nothing compares with null; use '{field} not exists' or '{field} exists'")
    return operand


def _list(value: str, as_text: bool) -> list[Any]:
    whole = _value(value)
    if isinstance(whole, list):
        return whole
    parts = [value] if isinstance(whole, str) and whole != value else value.split(",")
    read = _text if as_text else _value
    return [read(part.strip()) for part in parts]


def _value(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return text


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _text(text: str) -> str:
    """What a JSON text says; any other text as it stands."""
    value = _value(text) if text.startswith('"') else text
    return value if isinstance(value, str) else text


def _refuse(condition: str, why: str, cause: Exception | None = None) -> NoReturn:
    raise QueryError(f"--where {condition!r}: {why}", condition=condition) from cause
