"""What may happen to a record on its way from one database to another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataknobs_data.fields import Field
from dataknobs_data.records import Record

Transform = Callable[[Record], Record | None]
"""Makes of a record what is to be written; None leaves it out. It may change the record that it is given."""


class Transformer:
    """A transform made of steps, done in the order in which they were added.

        Transformer().rename("mail", "email").map("email", str.lower).exclude("password").add("source", "import")

    Each method adds a step and returns the transformer. Names are names of fields, taken literally. The id and metadata of
    a record stay as they are, and the record that is given is not changed; its values are not copied, so functions answer
    new ones.
    """

    def __init__(self) -> None:
        self._steps: list[Callable[[Record], None]] = []

    def __call__(self, record: Record) -> Record:
        """The record after all steps."""
        result = record.copy(deep=False)
        result.id = record.id  # also where it came from a field that a step takes away
        for step in self._steps:
            step(result)
        return result

    def map(self, name: str, function: Callable[[Any], Any]) -> Transformer:
        """Replaces the value of a field by what `function` makes of it; records without the field stay as they are."""

        def step(record: Record) -> None:
            if name in record:
                record.set_field(name, function(record[name]), metadata=record.fields[name].metadata)

        return self._with(step)

    def rename(self, old: str, new: str) -> Transformer:
        """Gives a field another name, in its place; it displaces a field that has that name."""

        def step(record: Record) -> None:
            if old not in record or old == new:
                return
            fields = {new if name == old else name: field for name, field in record.fields.items() if name != new}
            record.fields.clear()
            record.fields.update(fields)

        return self._with(step)

    def exclude(self, *names: str) -> Transformer:
        """Takes fields away."""

        def step(record: Record) -> None:
            for name in names:
                record.remove_field(name)

        return self._with(step)

    def add(self, name: str, value: Any) -> Transformer:
        """Sets a field to `value`, or to what it answers when it is a function of the record."""

        def step(record: Record) -> None:
            record.fields[name] = Field(name, value(record) if callable(value) else value)

        return self._with(step)

    def _with(self, step: Callable[[Record], None]) -> Transformer:
        self._steps.append(step)
        return self
