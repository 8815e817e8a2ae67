"""One file that several processes read and change: locked, replaced as a whole or appended to, and durable.

A change is on the disk before it is acknowledged, and a crash leaves the file as it was before or after it: a new file is
written beside the old one, synchronized, and renamed over it. An append is synchronized too; one that was interrupted
leaves a last line without its end, which the reader of the file must expect.

The lock is `flock` on an empty file `.{name}.lock` beside it, which stays there. POSIX systems only.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from dataknobs_data.exceptions import DatabaseConnectionError, DatabaseOperationError, ThrottledError
from dataknobs_data.runtime import Runtime

FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 0.0005, 0.05


class SharedFile:
    """The file at `path`, which need not exist. Its methods are for one thread at a time.

    Raises DatabaseConnectionError where the file may not be opened, DatabaseOperationError where the disk fails, and
    ThrottledError when another process holds the lock longer than `lock_timeout` seconds.
    """

    def __init__(self, path: Path, runtime: Runtime, lock_timeout: float) -> None:
        self.path = path
        self._runtime = runtime
        self._lock_timeout = lock_timeout
        self._lock_path = path.with_name(f".{path.name}.lock")
        self._seen: os.stat_result | None = None
        self._pin: int | None = None  # keeps the file that was read open, so that no other one gets its inode number

    # ------------------------------------------------------------------ reading
    def changed(self) -> bool:
        """Whether the file is another than when it was last read or written here."""
        try:
            now = os.stat(self.path)
        except FileNotFoundError:
            return self._seen is not None
        seen = self._seen
        same = (
            seen and os.path.samestat(now, seen) and (now.st_size, now.st_mtime_ns) == (seen.st_size, seen.st_mtime_ns)
        )
        return not same

    def read(self) -> bytes:
        """What is in the file; nothing where there is none."""
        self.forget()
        try:
            with open(self.path, "rb") as file:
                content = file.read()
                self._remember(file.fileno())
        except FileNotFoundError:
            return b""
        except OSError as error:
            raise DatabaseConnectionError(
                f"file {self.path} cannot be read: {error.strerror}", path=str(self.path)
            ) from error
        return content

    @property
    def exists(self) -> bool:
        """Whether there was a file when it was last read or written here."""
        return self._seen is not None

    @property
    def modified_seconds(self) -> float:
        """When the file was last changed, in seconds since 1970, as seen when it was last read; 0 without a file."""
        return self._seen.st_mtime if self._seen else 0.0

    def forget(self) -> None:
        """Lets go of the file; it counts as changed until it is read again."""
        if self._pin is not None:
            os.close(self._pin)
        self._pin = self._seen = None

    def __del__(self) -> None:
        self.forget()  # a plain descriptor: nothing else would close it

    def _remember(self, descriptor: int) -> None:
        pin = os.dup(descriptor)
        self.forget()
        self._pin, self._seen = pin, os.fstat(pin)

    # ------------------------------------------------------------------ locking
    @contextmanager
    def locked(self, *, exclusive: bool) -> Iterator[None]:
        """Holds the lock: one exclusive holder, or any number of others, over all processes of this machine."""
        descriptor = self._acquire(fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH)
        try:
            yield
        finally:
            if descriptor is not None:
                os.close(descriptor)  # and with it the lock

    def _acquire(self, kind: int) -> int | None:
        give_up = self._runtime.monotonic() + self._lock_timeout
        pause = FIRST_PAUSE_SECONDS
        while True:
            descriptor = self._open_lock(kind)
            if descriptor is None or self._try(descriptor, kind):
                return descriptor
            os.close(descriptor)
            if self._runtime.monotonic() >= give_up:
                raise ThrottledError(
                    f"file {self.path}: another process has held its lock for {self._lock_timeout} s",
                    path=str(self.path),
                )
            self._runtime.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    def _open_lock(self, kind: int) -> int | None:
        try:
            if kind == fcntl.LOCK_EX:
                self.path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if kind == fcntl.LOCK_SH:
                return None  # a folder that we may only read: whole files are replaced, so reading needs no lock
            raise DatabaseConnectionError(
                f"file {self.path} cannot be written: {self._lock_path}: {error.strerror}", path=str(self.path)
            ) from error

    def _try(self, descriptor: int, kind: int) -> bool:
        """Whether we have the lock now, and on the file that others will lock, not on one that was deleted meanwhile."""
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            return os.path.samestat(os.fstat(descriptor), os.stat(self._lock_path))
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES, errno.ENOENT):
                return False
            os.close(descriptor)
            raise DatabaseOperationError(
                f"file {self.path} cannot be locked: {error.strerror}; keep it on a file system that knows flock",
                path=str(self.path),
            ) from error

    # ------------------------------------------------------------------ writing, while the lock is held
    def replace(self, write: Callable[[BinaryIO], None]) -> None:
        """Puts what `write` writes in the place of the file."""
        fresh = self.path.with_name(f".{self.path.name}.new")
        try:
            with open(fresh, "wb") as file:
                with suppress(FileNotFoundError):
                    os.fchmod(file.fileno(), stat.S_IMODE(os.stat(self.path).st_mode))
                write(file)
                file.flush()
                os.fsync(file.fileno())
                os.replace(fresh, self.path)
                self._remember(file.fileno())
            self._sync_folder()
        except OSError as error:
            self._failed(error)
        finally:
            with suppress(FileNotFoundError):
                os.unlink(fresh)

    def append(self, content: bytes) -> None:
        """Adds to the end of the file, all of it or nothing."""
        try:
            with open(self.path, "ab", buffering=0) as file:
                size = os.fstat(file.fileno()).st_size
                try:
                    view = memoryview(content)
                    while view:
                        view = view[file.write(view) :]
                    os.fsync(file.fileno())
                except OSError:
                    file.truncate(size)
                    raise
                self._remember(file.fileno())
        except OSError as error:
            self._failed(error)

    def keep_aside(self, content: bytes) -> Path:
        """Saves bytes that are no longer to be in the file, in `{name}.torn` beside it."""
        aside = self.path.with_name(f"{self.path.name}.torn")
        try:
            with open(aside, "ab") as file:
                file.write(content + b"\n")
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._failed(error)
        return aside

    def _sync_folder(self) -> None:
        descriptor = os.open(self.path.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _failed(self, error: OSError) -> None:
        raise DatabaseOperationError(
            f"file {self.path}: the change was not completed: {error.strerror}", path=str(self.path)
        ) from error
