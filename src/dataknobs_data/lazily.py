"""`cached_property` without a lock, as Python has it from 3.12 on: before, threads that fill the property of one object wait
for those that fill it of another one, which matters where that takes requests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, TypeVar

T = TypeVar("T")


class _Lazily(Generic[T]):
    """Computed when first asked for, by several threads perhaps several times; then kept with the object."""

    def __init__(self, compute: Callable[[Any], T]) -> None:
        self._compute = compute
        self.__doc__ = compute.__doc__

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: Any, owner: type) -> T:
        if instance is None:
            return self  # type: ignore[return-value]
        value = self._compute(instance)
        instance.__dict__[self._name] = value
        return value


if TYPE_CHECKING or sys.version_info >= (3, 12):
    lazily = cached_property
else:
    lazily = _Lazily
