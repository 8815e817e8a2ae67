"""The fields of a record: names in order, and what is at each."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

from dataknobs_data.fields import Field, checked_name
from dataknobs_data.spelling import did_you_mean


class FieldMap(MutableMapping[str, Field]):
    """The fields of a record by name, in insertion order.

    Reading gives the `Field`. Writing takes a `Field` (renamed if it is called something else) or a plain value, which
    goes into the field that is there, keeping its declared type and metadata, or into a new one.
    """

    __slots__ = ("_by_name",)

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._by_name = {
            name: value.renamed(name) if isinstance(value, Field) else Field(name, value)
            for name, value in data.items()
        }

    def __getitem__(self, name: str) -> Field:
        try:
            return self._by_name[name]
        except KeyError:
            raise KeyError(f"no field {name!r}; {did_you_mean(name, self._by_name)}") from None

    def get(self, name: str, default: Any = None) -> Any:
        """The field, or `default`."""
        return self._by_name.get(name, default)  # Mapping's own would spell out an error message, to throw it away

    def __setitem__(self, name: str, value: Any) -> None:
        if isinstance(value, Field):
            self._by_name[checked_name(name)] = value if value.name == name else value.renamed(name)
        elif name in self._by_name:
            self._by_name[name].value = value
        else:
            self._by_name[name] = Field(name, value)

    def __delitem__(self, name: str) -> None:
        del self._by_name[self[name].name]

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def __iter__(self) -> Iterator[str]:
        return iter(self._by_name)

    def __len__(self) -> int:
        return len(self._by_name)

    def __repr__(self) -> str:
        return f"{{{', '.join(f'{name!r}: {field!r}' for name, field in self.items())}}}"
