"""The values of a statement's parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

from dataknobs_data.exceptions import QueryError
from dataknobs_data.spelling import did_you_mean

_SCALARS = (type(None), bool, int, float, str, bytes, bytearray, date, datetime, time, timedelta, Decimal, UUID)


def checked(given: Any, asked: set[str]) -> list[Any] | dict[str, Any] | None:
    """The values for the parameters `asked`: "1", "2", … for `?` and `$1`, names for `$name`. A sequence for the former, a mapping
    for the latter. Raises QueryError where they do not fit.
    """
    if not asked:
        if given:
            raise QueryError(f"SQL: the statement has no parameters, but {len(given)} values are given for them")
        return None
    if isinstance(given, Mapping):
        return _named(given, asked)
    if given is None or isinstance(given, (str, bytes)) or not isinstance(given, Sequence):
        raise QueryError(
            f"SQL: the statement has parameters ({_shown(asked)}): give their values as a list, or by name as a dict"
        )
    names = sorted(asked - {str(number) for number in range(1, len(given) + 1)})
    if names or len(given) > len(asked):
        raise QueryError(
            f"SQL: {len(given)} values are given, but the statement's parameters are {_shown(asked)}"
            + ("" if all(name.isdecimal() for name in names) else ": give values by name, as a dict")
        )
    return [_checked(value, f"parameter {number}") for number, value in enumerate(given, 1)]


def _named(given: Mapping[Any, Any], asked: set[str]) -> dict[str, Any]:
    lower = {name.lower(): name for name in asked}
    values: dict[str, Any] = {}
    for key, value in given.items():
        name = lower.get(str(key).lower())
        if name is None:
            raise QueryError(f"SQL: the statement has no parameter {key!r}; {did_you_mean(str(key), asked)}", name=key)
        values[name] = _checked(value, f"parameter {key!r}")
    missing = asked - values.keys()
    if missing:
        raise QueryError(f"SQL: there is no value for {_shown(missing)}")
    return values


def _checked(value: Any, where: str) -> Any:
    if isinstance(value, _SCALARS):
        return value
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_checked(item, where) for item in value]
    if isinstance(value, Mapping):
        return {str(key): _checked(item, where) for key, item in value.items()}
    raise QueryError(
        f"SQL: {where} is a {type(value).__name__}; values may be None, bool, int, float, str, bytes, date, datetime, time, "
        "timedelta, Decimal, UUID, and lists and dicts of those"
    )


def _shown(names: set[str]) -> str:
    return ", ".join(f"${name}" for name in sorted(names, key=lambda name: (len(name), name)))
