"""Changing a bucket's configuration: read it, say what will change, write it, and see what the store made of it.

S3 replaces such a configuration as a whole and knows no condition on it
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-writes.html covers objects only). So what others put
there is read right before, kept, and written back with ours; two people who do this in the same second can still undo each
other, and the look afterwards is what tells.
"""

from __future__ import annotations

import difflib
import json
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dataknobs_data.exceptions import DataknobsDataError
from dataknobs_data.s3.admin.control import Control

LOOKS = 5
"""How often the store is looked at until it shows what was written: bucket configurations are eventually consistent,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel."""

logger = logging.getLogger("dataknobs_data.s3")


@dataclass(frozen=True)
class Plan:
    """What a helper changes, or would change, in a bucket's configuration.

    what     of which configuration
    before   as it was: plain values in the form of S3's API reference; None: there was none
    after    as it is to be; None: there is to be none
    notes    what was corrected, and what one should know, for people
    applied  it was written; False: a dry run, or there is nothing to change
    """

    what: str
    before: Any
    after: Any
    notes: tuple[str, ...] = ()
    applied: bool = field(default=False)

    @property
    def changes(self) -> bool:
        """Whether there is anything to change."""
        return bool(self.before != self.after)

    def diff(self) -> str:
        """The change line by line, as `diff -u` shows it; empty when there is none."""
        lines = difflib.unified_diff(
            _lines(self.before), _lines(self.after), f"{self.what}, now", f"{self.what}, then", lineterm=""
        )
        return "\n".join(lines)

    def __str__(self) -> str:
        head = f"{self.what}: {'changed' if self.applied else 'to be changed' if self.changes else 'nothing to change'}"
        return "\n".join([head, *(f"note: {note}" for note in self.notes), *([self.diff()] if self.changes else [])])


def _lines(value: Any) -> list[str]:
    return [] if value is None else json.dumps(value, indent=2, default=str).split("\n")


class Configuration(ABC):
    """One configuration of the bucket. A subclass says how it is read and written; `change` does the rest."""

    what: str

    def __init__(self, control: Control) -> None:
        self._control = control

    @abstractmethod
    def _read(self) -> Any:
        """The configuration as plain values, None where there is none."""

    @abstractmethod
    def _write(self, value: Any) -> None:
        """Replaces the configuration; None removes it."""

    def _same(self, sent: Any, found: Any) -> bool:
        """Whether the store has what was sent, however it puts it."""
        return bool(sent == found)

    def _change(self, decide: Callable[[Any], tuple[Any, Sequence[str]]], *, dry_run: bool) -> Plan:
        """Reads, lets `decide` make the new configuration and its notes of the present one, and writes that."""
        before = self._read()
        after, notes = decide(before)
        plan = Plan(f"{self.what} of bucket {self._control.place.bucket!r}", before, after, tuple(notes))
        if dry_run or not plan.changes:
            return plan
        self._write(after)
        kept = self._settled(after)
        return Plan(plan.what, before, after, (*notes, *kept), applied=True)

    def _settled(self, sent: Any) -> list[str]:
        """A note where the store shows something else than was sent to it."""
        for number in range(LOOKS):
            try:
                found = self._read()
            except DataknobsDataError as error:
                return [f"it was written, but cannot be read back: {error}"]
            if self._same(sent, found):
                return []
            self._control.caller.pause(number)
        differs = Plan(f"{self.what}, sent and kept", sent, found)
        note = f"the store kept something else than was sent to it:\n{differs.diff()}"
        logger.warning("%s: %s", self._control.place, note)
        return [note]
