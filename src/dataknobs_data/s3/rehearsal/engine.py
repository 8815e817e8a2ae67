"""A database that rehearses what another one of the same process is asked to do."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from typing import Generic, TypeVar

from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.cache import WriteClock
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.costs.usage import Usage
from dataknobs_data.s3.encryption import Encryption
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.listing import Lister
from dataknobs_data.s3.multipart import Uploader
from dataknobs_data.s3.presence import Presence
from dataknobs_data.s3.probe import Capabilities, asked, known_capabilities
from dataknobs_data.s3.rehearsal.fan import InTurn
from dataknobs_data.s3.rehearsal.objects import RehearsedObjects
from dataknobs_data.s3.rehearsal.script import Script
from dataknobs_data.s3.rehearsal.store import Answers, RehearsedStore

T = TypeVar("T")


class Rehearsal(S3Engine):
    """Knows and holds what `real` does; writes nothing, and reads only what it takes to see what would be sent.

    objects   see RehearsedObjects
    script    what it takes for granted, and what it has seen
    """

    def __init__(self, real: S3Engine, script: Script, answers: Answers) -> None:
        theirs, settings, runtime = real.parts, real.parts.settings, real.parts.runtime
        super().__init__(settings, runtime)
        encryption = Encryption.parse(settings.encryption)
        store = RehearsedStore(theirs.caller, runtime, encryption.algorithm if encryption else None, answers)
        caller, keys, many = Caller(store, settings, runtime), theirs.keys, InTurn(settings.max_workers, script.ahead)
        self.script = script
        self.reading = objects = RehearsedObjects(theirs.objects, caller, keys, script)
        lister = Lister(caller, keys)
        presence = Presence(keys, objects, lister, many)
        presence.known_size = theirs.presence.known_size
        guarded = not theirs.place.behaves_like_aws
        uploader = Uploader(caller, keys, settings, runtime, guarded=guarded)
        self._use(
            Parts(
                settings, runtime, caller, theirs.place, keys, objects, lister, presence, uploader, theirs.tagger,
                WriteClock(), many,
            )
        )  # fmt: skip
        self._edge = None
        self._long_segments = real._long_segments
        self._format = real._format.over(caller)
        self._layout = real.layout.rehearsed(self.parts, script, real._made)
        self.control = Control(caller, theirs.place, keys, settings, runtime, many, self._layout.packed)
        if real._made and real.can:
            self._made = self._layout.writers(real.can, self._check_key)

    def _capabilities(self) -> Capabilities:
        found = known_capabilities(self._place)
        return found or asked(self._caller, self._keys, self._runtime.new_id())


@dataclass(frozen=True)
class Rehearsed(Generic[T]):
    """What came of a rehearsal: the requests that would be sent, what it saw, and what it was to do."""

    usage: Usage
    script: Script
    result: T


def rehearsed(
    real: S3Engine, script: Callable[[], Script], answers: Answers, act: Callable[[Rehearsal], T]
) -> Rehearsed[T]:
    """Rehearses `act`: again where the first time has filled memories of the process, which the second finds filled.

    answers   of the store, each of which is asked for once
    """

    def once() -> Rehearsed[T]:
        with closing(Rehearsal(real, script(), answers)) as rehearsal:
            result = act(rehearsal)
            return Rehearsed(rehearsal.usage, rehearsal.script, result)

    found = once()
    return once() if found.script.deepened else found
