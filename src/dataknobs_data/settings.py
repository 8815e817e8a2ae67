"""From a plain mapping (code, YAML, URL) to a backend's frozen settings, or an error that says which key is wrong.

A backend declares its settings as a frozen dataclass: field names are the keys, annotations the types, defaults the
defaults. Fields whose metadata has `secret` never show in repr, logs or errors.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, Field, field, fields
from functools import cache
from typing import Any, TypeVar

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.spelling import did_you_mean

T = TypeVar("T")

_TRUE, _FALSE = frozenset({"true", "yes", "on", "1"}), frozenset({"false", "no", "off", "0"})

_hints = cache(typing.get_type_hints)


def secret(default: str | None = None) -> Any:
    """A dataclass field that holds a secret: kept out of repr and of error messages."""
    return field(default=default, repr=False, metadata={"secret": True})


def read_settings(cls: type[T], backend: str, config: Mapping[str, Any], aliases: Mapping[str, str] | None = None) -> T:
    """An instance of the settings dataclass `cls` from `config`.

    Keys may be spelled by an alias; None and unset mean the default. Numbers and booleans may come as text.
    Raises ConfigurationError for an unknown key (naming the nearest), a missing one, or a value of the wrong kind.
    """
    aliases = aliases or {}
    known = {one.name: one for one in fields(cls)}  # type: ignore[arg-type]
    hints = _hints(cls)  # type: ignore[arg-type]
    values: dict[str, Any] = {}
    for key, value in config.items():
        name = aliases.get(key, key)
        if name not in known:
            raise unknown_key(backend, key, [*known, *aliases])
        if value is None:
            continue
        if name in values:
            raise ConfigurationError(
                f"{backend} backend: {key!r} sets {name!r} a second time; keep one spelling", key=key
            )
        values[name] = _converted(backend, key, value, hints[name], known[name])
    for one in known.values():
        if one.name not in values and one.default is MISSING and one.default_factory is MISSING:
            raise ConfigurationError(f"{backend} backend requires {one.name!r}", key=one.name)
    return cls(**values)


def unknown_key(backend: str, key: str, known: list[str]) -> ConfigurationError:
    """The error for a key that no setting has, naming the nearest."""
    return ConfigurationError(f"{backend} backend: unknown setting {key!r}; {did_you_mean(key, known)}", key=key)


def _converted(backend: str, key: str, value: Any, hint: Any, one: Field[Any]) -> Any:
    allowed = typing.get_args(hint) if typing.get_origin(hint) in (typing.Union, types.UnionType) else (hint,)
    plain = [typing.get_origin(kind) or kind for kind in allowed]
    if isinstance(value, bool) and bool not in plain:
        pass
    elif any(isinstance(value, kind) for kind in plain if isinstance(kind, type)):
        return value
    elif isinstance(value, int) and float in plain:
        return float(value)
    elif isinstance(value, str):
        for kind in plain:
            try:
                return _from_text(value.strip(), kind)
            except ValueError:
                continue
    elif str in plain and isinstance(value, (int, float)):
        return str(value)  # YAML reads an access key or an account number of digits only as a number
    shown = "its value" if one.metadata.get("secret") else repr(value)
    wanted = " or ".join(getattr(kind, "__name__", str(kind)) for kind in plain if kind is not types.NoneType)
    raise ConfigurationError(f"{backend} backend: setting {key!r}: {shown} is no {wanted}", key=key)


def _from_text(text: str, kind: Any) -> Any:
    if kind is bool:
        if text.lower() in _TRUE | _FALSE:
            return text.lower() in _TRUE
        raise ValueError(text)
    if kind in (int, float):
        return kind(text)
    raise ValueError(text)
