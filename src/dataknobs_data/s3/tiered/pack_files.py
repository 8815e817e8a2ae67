"""The packs as files of pyarrow, so that it reads them with our connections: their credentials, retries, limits and counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import pyarrow as pa
from pyarrow import fs

from dataknobs_data.exceptions import SnapshotExpiredError
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.layout import Parts
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.table.spans import PlacedFile


def pack_files(parts: Parts, sizes: Mapping[str, int]) -> fs.PyFileSystem:
    """A file system of these packs: object key → bytes. Nothing can be written there. Paths are `{bucket}/{key}`."""
    return fs.PyFileSystem(_Handler(parts, sizes))


class _PackFile(PlacedFile):
    """One pack, open for reading; each read is one range. pyarrow gives them to one thread at a time."""

    def __init__(self, parts: Parts, key: str, size: int) -> None:
        super().__init__(size)
        self._parts = parts
        self._key = key

    def read(self, size: int = -1) -> bytes:
        left = self._size - self._place
        length = left if size < 0 else min(size, left)
        if length <= 0:
            return b""
        with translated(f"reading {self._key}", self._parts.place, key=self._key):
            body = self._range(self._place, length)
        self._place += len(body)
        return body

    def _range(self, offset: int, length: int) -> bytes:
        try:
            body = self._parts.caller.send("GetObject", lambda store: store.get_range(self._key, offset, length))
        except Fault as fault:
            if fault.kind is not Kind.MISSING:
                raise
            raise SnapshotExpiredError(
                f"{self._key} is gone: it was vacuumed; ask for the dataset again", key=self._key
            ) from fault
        return bytes(body)


class _Handler(fs.FileSystemHandler):  # type: ignore[misc]  # pyarrow has no types
    """What `pack_files` says to pyarrow. It is only ever asked for packs by name, or to write."""

    def __init__(self, parts: Parts, sizes: Mapping[str, int]) -> None:
        self._parts = parts
        self._sizes = {f"{parts.place.bucket}/{key}": size for key, size in sizes.items()}

    def get_type_name(self) -> str:
        return "dataknobs-packs"

    def normalize_path(self, path: str) -> str:
        return path

    def get_file_info(self, paths: list[str]) -> list[fs.FileInfo]:
        return [self._info(path) for path in paths]

    def get_file_info_selector(self, selector: fs.FileSelector) -> list[fs.FileInfo]:
        return [self._info(path) for path in self._sizes if path.startswith(selector.base_dir)]

    def _info(self, path: str) -> fs.FileInfo:
        size = self._sizes.get(path)
        kind = fs.FileType.NotFound if size is None else fs.FileType.File
        return fs.FileInfo(path, kind, size=size)

    def open_input_file(self, path: str) -> pa.NativeFile:
        if path not in self._sizes:
            raise FileNotFoundError(path)
        key = path.removeprefix(f"{self._parts.place.bucket}/")
        return pa.PythonFile(_PackFile(self._parts, key, self._sizes[path]), mode="r")

    open_input_stream = open_input_file

    def _refused(self, *arguments: Any, **options: Any) -> NoReturn:
        raise PermissionError("packs are only ever read here: records are written by the database's own methods")

    open_output_stream = open_append_stream = create_dir = move = copy_file = _refused
    delete_dir = delete_dir_contents = delete_root_dir_contents = delete_file = _refused
