"""A store that counts the bytes of objects that go through it, up and down: of each attempt, as the wire has them."""

from __future__ import annotations

from typing import Any, cast

from dataknobs_data.s3.costs.usage import Meter
from dataknobs_data.s3.store import Blob, ObjectStore


class _Metered:
    """See ObjectStore."""

    def __init__(self, store: ObjectStore, meter: Meter) -> None:
        self._store = store
        self._meter = meter

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def get(self, key: str, **more: Any) -> Blob | None:
        blob = self._store.get(key, **more)
        if blob is not None:
            self._meter.moved(down=len(blob.body))
        return blob

    def get_range(self, key: str, offset: int, length: int, **more: Any) -> bytes | memoryview:
        body = self._store.get_range(key, offset, length, **more)
        self._meter.moved(down=len(body))
        return body

    def put(self, key: str, body: bytes | memoryview, *more: Any) -> str:
        self._meter.moved(up=len(body))
        return self._store.put(key, body, *more)

    def upload_part(self, key: str, upload_id: str, number: int, body: memoryview) -> str:
        self._meter.moved(up=len(body))
        return self._store.upload_part(key, upload_id, number, body)


def metered(store: ObjectStore, meter: Meter) -> ObjectStore:
    """The store, counted."""
    return cast(ObjectStore, _Metered(store, meter))
