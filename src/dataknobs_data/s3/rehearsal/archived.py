"""What a rehearsed read meets that is archived: it goes on without that, to see what else would be sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from dataknobs_data.engine import ErrorSink
from dataknobs_data.exceptions import DataknobsDataError, RecordArchivedError


class ArchivedMet:
    """Of all rehearsals of one read.

    name   of the read, for people
    call   the method that carries it out
    skips  whether that goes on without what is archived too
    """

    def __init__(self, name: str, call: str, *, skips: bool) -> None:
        self._name = name
        self._call = call
        self._skips = skips
        self._met: RecordArchivedError | None = None

    def passing(self, read: Callable[[ErrorSink | None], None]) -> None:
        """Carries out `read`, which is told where such errors go (None: it raises them); where it raises one, once more
        with such a place."""
        try:
            read(self._skipped if self._skips or self._met else None)
        except RecordArchivedError as error:
            self._met = error
            read(self._skipped)

    def _skipped(self, error: DataknobsDataError) -> None:
        if not isinstance(error, RecordArchivedError):
            raise error
        if self._skips:
            self._met = error

    def notes(self) -> Iterable[str]:
        """What one should know of it."""
        if self._met and not self._skips:
            yield (
                f"the {self._name} raises RecordArchivedError; these numbers are those of "
                f"{self._call}(…, archived='skip')"
            )
        if self._met:
            yield str(self._met)
