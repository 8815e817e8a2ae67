"""Where the archive table lies and how to get there, in the words of other programs that read Delta Lake tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

_PLAIN_IN_URLS = "/!$&'()*+,;=:@[]|~"
"""What else stays as it is in the path of a URL: https://url.spec.whatwg.org/#path-percent-encode-set."""

_SECRETS = frozenset({"aws_secret_access_key", "aws_session_token", "access_key", "session_token"})
_SPARK_SECRETS = (".secret.key", ".session.token")


class Options(dict[str, Any]):
    """Names and values that another program takes. Secrets among them do not show when it is printed."""

    def __repr__(self) -> str:
        return repr({name: "***" if _is_secret(name) else value for name, value in self.items()})


def _is_secret(name: str) -> bool:
    return name in _SECRETS or name.endswith(_SPARK_SECRETS)


@dataclass(frozen=True)
class DeltaAddress:
    """The archive table, for programs that read Delta Lake tables. They must not write to it.

    bucket, path             where it lies
    region, endpoint         of the store; `endpoint` is None on AWS
    key_id, secret, token    credentials as they were when this was made: those with a token end some time. None where the other
                             program is to find its own
    version                  of the table, where it is not the newest: for `DeltaTable(uri, version=…)` and its like
    """

    bucket: str
    path: str
    region: str
    endpoint: str | None = None
    key_id: str | None = None
    secret: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    version: int | None = None

    @property
    def uri(self) -> str:
        """As a URL: for deltalake, Polars and Daft."""
        return f"s3://{self.bucket}/{quote(self.path, safe=_PLAIN_IN_URLS)}"

    @property
    def location(self) -> str:
        """With the path as it is: for Trino, Athena and DuckDB."""
        return f"s3://{self.bucket}/{self.path}"

    @property
    def spark_path(self) -> str:
        """For `spark.read.format("delta").load(…)`."""
        return f"s3a://{self.bucket}/{self.path}"

    @property
    def storage_options(self) -> Options:
        """For deltalake (`DeltaTable(uri, storage_options=…)`) and Polars (`scan_delta(uri, storage_options=…)`).

        Names: https://docs.rs/object_store/latest/object_store/aws/enum.AmazonS3ConfigKey.html. The endpoint stands there twice,
        because AWS_ENDPOINT_URL_S3 in the environment goes before the one and not before the other (deltalake 1.6).
        """
        options = Options(aws_region=self.region)
        if self.key_id and self.secret:
            options |= {"aws_access_key_id": self.key_id, "aws_secret_access_key": self.secret}
        if self.token:
            options |= {"aws_session_token": self.token}
        if self.endpoint:
            options |= {"aws_endpoint_url": self.endpoint, "aws_endpoint_url_s3": self.endpoint}
        if self._is_plain:
            options |= {"aws_allow_http": "true"}
        return options

    @property
    def spark_options(self) -> Options:
        """Settings of a Spark session with `hadoop-aws`, for this bucket alone.

        https://hadoop.apache.org/docs/stable/hadoop-aws/tools/hadoop-aws/index.html
        """
        options = Options()
        if self.key_id and self.secret:
            options |= {"access.key": self.key_id, "secret.key": self.secret}
        if self.token:
            options |= {"session.token": self.token}
        options["endpoint.region"] = self.region
        if self.endpoint:
            options |= {"endpoint": self.endpoint, "path.style.access": "true"}
        if self._is_plain:
            options["connection.ssl.enabled"] = "false"
        return Options({f"spark.hadoop.fs.s3a.bucket.{self.bucket}.{name}": value for name, value in options.items()})

    @property
    def daft_options(self) -> Options:
        """For `daft.io.S3Config(**…)`."""
        options = Options(region_name=self.region)
        if self.key_id and self.secret:
            options |= {"key_id": self.key_id, "access_key": self.secret}
        if self.token:
            options |= {"session_token": self.token}
        if self.endpoint:
            options |= {"endpoint_url": self.endpoint, "use_ssl": not self._is_plain}
        return options

    def duckdb_secret(self, name: str = "dataknobs") -> str:
        """The statement that lets DuckDB's extensions `httpfs` and `delta` in. It holds the credentials in plain text.

        https://duckdb.org/docs/stable/core_extensions/httpfs/s3api.html
        """
        words = ", ".join(f"{word} {value}" for word, value in self._duckdb_words())
        called = _quoted(name, '"')
        return f"CREATE OR REPLACE SECRET {called} ({words})"

    def _duckdb_words(self) -> Iterator[tuple[str, str]]:
        yield "TYPE", "s3"
        if self.key_id and self.secret:
            yield from (("KEY_ID", _quoted(self.key_id)), ("SECRET", _quoted(self.secret)))
        else:
            yield "PROVIDER", "credential_chain"
        if self.token:
            yield "SESSION_TOKEN", _quoted(self.token)
        yield "REGION", _quoted(self.region)
        if self.endpoint:
            yield from (("ENDPOINT", _quoted(self.endpoint.partition("://")[2])), ("URL_STYLE", "'path'"))
        if self._is_plain:
            yield "USE_SSL", "false"
        yield "SCOPE", _quoted(self.location)

    @property
    def _is_plain(self) -> bool:
        return bool(self.endpoint and self.endpoint.startswith("http://"))


def _quoted(text: str, mark: str = "'") -> str:
    """`text` in quotation marks, as SQL wants it."""
    return mark + text.replace(mark, mark * 2) + mark
