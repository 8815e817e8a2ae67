"""Finding out what a store can really do, before the first write: one that ignores a condition answers "success" too.

Once per process and bucket, under `_jobs/`, eight small requests. AWS is known and not asked
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/conditional-requests.html).
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from dataknobs_data.exceptions import IncompatibleStoreError
from dataknobs_data.s3.calls import Caller
from dataknobs_data.s3.encryption import Encryption
from dataknobs_data.s3.keys import LONG_SEGMENT_BYTES, Keys
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import ABSENT, EXISTS, Condition, Fault, Kind, Match, ObjectStore, PutOptions


class ConditionalDelete(Enum):
    """How far a store honors conditions on DELETE."""

    ANY = "If-Match: * and If-Match: etag"
    ETAG = "If-Match: etag only"
    NONE = "none"


@dataclass(frozen=True)
class Capabilities:
    """What a store honors."""

    conditional_put: bool = True
    conditional_delete: ConditionalDelete = ConditionalDelete.ANY
    tags: bool = True
    distinct_etags: bool = True


_STALE = Match('"00000000000000000000000000000000"')

_known: dict[tuple[str, str], Capabilities] = {}
_asking: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)

TRIES = 3


def capabilities(caller: Caller, keys: Keys, place: Place, name: str) -> Capabilities:
    """What the store at `place` honors; asked once per process. `name` makes the probe's key unique."""
    if place.behaves_like_aws:
        return Capabilities()
    address = (place.endpoint, place.bucket)
    with _asking[address]:
        if address not in _known:
            _known[address] = asked(caller, keys, name)
        return _known[address]


def known_capabilities(place: Place) -> Capabilities | None:
    """What is known of the store at `place`, without a request."""
    return Capabilities() if place.behaves_like_aws else _known.get((place.endpoint, place.bucket))


def forget_capabilities(place: Place) -> None:
    """The store at `place` is asked again before the next first write."""
    with _asking[place.endpoint, place.bucket]:
        _known.pop((place.endpoint, place.bucket), None)


def asked(caller: Caller, keys: Keys, name: str) -> Capabilities:
    """What the store honors, tried out."""
    for number in range(TRIES):
        try:
            return _Probe(caller, keys.probe(f"{name}-{number}")).run()
        except _Disturbed as disturbed:
            cause = disturbed.fault
    raise cause


def require_conditions(found: Capabilities, place: Place) -> None:
    """Raises IncompatibleStoreError when the store ignores conditions on PUT: a lost race would look like success."""
    if not found.conditional_put:
        raise IncompatibleStoreError(
            f"{place} ignores the conditions If-None-Match and If-Match on PUT, so concurrent writers would silently "
            "overwrite each other; use another store, or accept that with require_conditions: false",
            condition="conditional PUT",
        )


def holds_long_segments(caller: Caller, keys: Keys, name: str) -> bool:
    """Whether the store takes key segments over 255 bytes; asked only when an id needs one."""
    key = keys.probe(name + "-" + "x" * (LONG_SEGMENT_BYTES + 1))
    try:
        caller.send("PutObject", lambda store: store.put(key, b"probe", PutOptions(), None))
    except Fault as fault:
        if fault.kind in (Kind.REFUSED, Kind.SERVER):
            return False
        raise
    caller.send("DeleteObject", lambda store: store.delete(key, None))
    return True


def require_encryption(caller: Caller, keys: Keys, place: Place, setting: str | None, name: str) -> None:
    """Raises IncompatibleStoreError when the store says success and does not encrypt as the setting says (SeaweedFS 4.48
    ignores DSSE-KMS). Three small requests, none on AWS and none without the setting.
    """
    wanted = Encryption.parse(setting)
    if wanted is None or place.behaves_like_aws:
        return
    key = keys.probe(name)
    caller.send("PutObject", lambda store: store.put(key, b"probe", PutOptions(), None))
    found = caller.send("HeadObject", lambda store: store.control("HeadObject", Key=key)).get("ServerSideEncryption")
    caller.send("DeleteObject", lambda store: store.delete(key, None))
    if found != wanted.algorithm:
        raise IncompatibleStoreError(
            f"{place} ignores the setting encryption: {setting!r}: it took a write and says that it is "
            f"{'not encrypted' if found is None else f'encrypted with {found}'}; nothing of yours was written. Use another "
            "store, or another encryption",
            encryption=setting,
        )


class _Disturbed(Exception):
    """An answer was lost while probing: what the next one says would prove nothing."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(str(fault))
        self.fault = fault


class _Probe:
    def __init__(self, caller: Caller, key: str) -> None:
        self._caller = caller
        self._key = key
        self._last_etag = ""

    def run(self) -> Capabilities:
        try:
            return self._ask()
        finally:
            self._tidy()

    def _tidy(self) -> None:
        try:
            self._caller.send("DeleteObject", lambda store: store.delete(self._key, None))
        except Fault:
            pass  # one small object under _jobs/ is left; what was found out stands

    def _ask(self) -> Capabilities:
        created = self._put(b'{"probe": 1}', ABSENT)
        if not created:
            self._caller.send("PutObject", lambda store: store.put(self._key, b'{"probe": 1}', PutOptions(), None))
        overwrote = self._put(b'{"probe": 2}', ABSENT)
        ignores_match = self._put(b'{"probe": 3}', _STALE)
        before = self._head_etag()
        tags = self._put(b'{"probe": 4}', Match(before), {"id": "probe"})
        updated = tags or self._put(b'{"probe": 4}', Match(before))
        distinct = self._last_etag != before
        honors_put = created and not overwrote and not ignores_match and updated
        honors_delete = self._conditional_delete()
        return Capabilities(  # an ETag that does not tell contents apart makes a condition on it worth nothing
            conditional_put=honors_put and distinct,
            conditional_delete=honors_delete if distinct else ConditionalDelete.NONE,
            tags=tags,
            distinct_etags=distinct,
        )

    def _put(self, body: bytes, condition: Condition, tags: dict[str, str] | None = None) -> bool:
        def request(store: ObjectStore) -> None:
            self._last_etag = store.put(self._key, body, PutOptions(tags=tags), condition)

        return self._succeeds("PutObject", request)

    def _head_etag(self) -> str:
        return self._caller.send("HeadObject", lambda store: store.head(self._key)).etag

    def _conditional_delete(self) -> ConditionalDelete:
        if self._succeeds("DeleteObject", lambda store: store.delete(self._key, _STALE)):
            return ConditionalDelete.NONE
        if not self._succeeds("DeleteObject", lambda store: store.delete(self._key, EXISTS)):
            etag = self._head_etag()
            honors = self._succeeds("DeleteObject", lambda store: store.delete(self._key, Match(etag)))
            return ConditionalDelete.ETAG if honors else ConditionalDelete.NONE
        says_missing = not self._succeeds("DeleteObject", lambda store: store.delete(self._key, EXISTS))
        return ConditionalDelete.ANY if says_missing else ConditionalDelete.ETAG

    def _succeeds(self, operation: str, request: Callable[[ObjectStore], object]) -> bool:
        """Whether the store does it; a failed condition, or a condition or header it does not know, is no."""
        try:
            self._caller.send(operation, request)
        except Fault as fault:
            if fault.answer_lost:
                raise _Disturbed(fault) from fault
            if fault.kind in (Kind.CONDITION, Kind.MISSING, Kind.UNSUPPORTED, Kind.REFUSED):
                return False
            raise
        return True
