"""`{prefix}_jobs/format.json`: which layout the records under a prefix have, in which version of it."""

from __future__ import annotations

import json
import threading

from dataknobs_data.exceptions import ConfigurationError, DataFormatError
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.settings import LAYOUTS
from dataknobs_data.s3.store import ABSENT, Fault, Kind, PutOptions

FORMAT = 1
"""Version of what lies under a prefix that this package writes."""


class FormatFile:
    """Checked before the first read, created with the first write; then known for the life of the process.

    `wanted`: the layout that the settings ask for, None for whichever is there. `otherwise`: that of a new database.
    """

    def __init__(self, caller: Caller, keys: Keys, wanted: str | None, otherwise: str) -> None:
        self._caller = caller
        self._keys = keys
        self._key = keys.format
        self._wanted = wanted
        self._layout = wanted or otherwise
        self._read = self._written = False
        self._lock = threading.Lock()

    def over(self, caller: Caller) -> FormatFile:
        """The same file, and what is known of it, asked for by another caller."""
        other = FormatFile(caller, self._keys, self._wanted, self._layout)
        other._read, other._written = self._read, self._written
        return other

    def check(self) -> str:
        """The layout of what lies here, or shall.

        Raises ConfigurationError or DataFormatError when what lies here is not for these settings or this version.
        """
        with self._lock:
            if not self._read:
                self._written = self._look()
                self._read = True
            return self._layout

    def ensure(self) -> None:
        """As `check`, and makes the file when there is none."""
        self.check()
        with self._lock:
            if not self._written:
                self._create()
                self._written = True

    def _look(self) -> bool:
        try:
            blob = self._caller.send("GetObject", lambda store: store.get(self._key))
        except Fault as fault:
            # Without the right to list, S3 answers 403 for a missing object (API_GetObject, "Permissions").
            if fault.kind in (Kind.MISSING, Kind.DENIED):
                return False
            raise
        assert blob is not None
        self._compare(bytes(blob.body))
        return True

    def _create(self) -> None:
        body = json.dumps({"format": FORMAT, "layout": self._layout}).encode()
        try:
            self._caller.send("PutObject", lambda store: store.put(self._key, body, PutOptions(), ABSENT))
        except Fault as fault:
            if fault.kind is not Kind.CONDITION:
                raise
            self._look()

    def _compare(self, body: bytes) -> None:
        try:
            found = json.loads(body)
            version, layout = found["format"], found["layout"]
        except (ValueError, TypeError, LookupError) as error:
            raise DataFormatError(f"{self._key}: damaged format file: {error}", key=self._key) from error
        if version != FORMAT:
            raise DataFormatError(
                f"{self._key}: format {version!r} is not known to this version (it knows {FORMAT}); upgrade dataknobs-data",
                key=self._key,
            )
        if layout not in LAYOUTS:
            raise DataFormatError(f"{self._key}: layout {layout!r} is none of {', '.join(LAYOUTS)}", key=self._key)
        if layout != (self._layout if self._read else self._wanted or layout):
            raise ConfigurationError(
                f"{self._key}: the records here have layout {layout!r}, but this database was opened for "
                f"{self._layout!r}; set layout: {layout}, or leave it out and connect again",
                key="layout",
            )
        self._layout = layout
