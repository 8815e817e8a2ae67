"""A database as a URL.

    s3://bucket/prefix?region=eu-central-1&endpoint_url=http://localhost:8333
    file:records.jsonl     file:///var/data/records.csv?format=csv
    sqlite:records.db      sqlite:////var/data/records.db?table=people
    postgresql://user:password@host:5432/database?table=people
    memory:

The path says where the records are, exactly as written: `s3://bucket` means the whole bucket, without the prefix
`records/` that the setting has by default. A `file:` URL is absolute after three slashes, as everywhere; a `sqlite:` URL is
relative after three and absolute after four, as in SQLAlchemy. Everything after `?` is a setting of the backend. Percent
escapes are decoded.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from dataknobs_data.exceptions import BackendNotFoundError, ConfigurationError
from dataknobs_data.spelling import did_you_mean

Settings = dict[str, Any]


def parse_url(url: str) -> tuple[str, Settings]:
    """The backend and the settings that a URL stands for. Raises ConfigurationError, never showing a password."""
    if not isinstance(url, str):
        raise ConfigurationError(f"a database URL must be text, not {type(url).__name__}")
    scheme, colon, _ = url.partition(":")
    if not colon or scheme.lower() not in _SCHEMES:
        known = ", ".join(f"{name}:" for name in _SCHEMES)
        shown = f"{scheme}:…" if colon else repr(url)
        raise BackendNotFoundError(
            f"{shown} is no database URL; {did_you_mean(scheme, _SCHEMES)} (they start with {known}; a file is file:{{path}})"
        )
    try:
        parts = urlsplit(re.sub("^(sqlite):///", r"\1:", url, flags=re.IGNORECASE))
        backend, read = _SCHEMES[scheme.lower()]
        settings = read(parts)
    except ValueError:
        raise ConfigurationError(f"the {scheme}: URL is malformed: its host or port makes no sense") from None
    return backend, settings | _query(parts, backend, settings)


def _query(parts: SplitResult, backend: str, settings: Settings) -> Settings:
    options: Settings = {}
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key in options or key in settings:
            raise ConfigurationError(f"the {backend} URL sets {key!r} twice", key=key)
        options[key] = value
    if parts.fragment:
        raise ConfigurationError(f"the {backend} URL has a part after '#'; write %23 where a '#' is meant")
    return options


def _memory(parts: SplitResult) -> Settings:
    if parts.netloc or parts.path:
        raise ConfigurationError("a memory: URL has nothing after the colon; memory is not shared by name")
    return {}


def _file(parts: SplitResult) -> Settings:
    if parts.netloc not in ("", "localhost"):
        raise ConfigurationError(
            f"a {parts.scheme}: URL names no host, but this has {parts.hostname!r}: write {parts.scheme}:relative/path "
            f"or {parts.scheme}:///absolute/path"
        )
    if not parts.path.strip("/"):
        raise ConfigurationError(
            f"a {parts.scheme}: URL needs a path: {parts.scheme}:relative or {parts.scheme}:///absolute"
        )
    return {"path": unquote(parts.path)}


def _s3(parts: SplitResult) -> Settings:
    bucket = unquote(parts.netloc)
    if "@" in bucket or ":" in bucket:
        raise ConfigurationError(
            "an s3: URL holds no credentials and no port: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or a profile, "
            "and name another store with ?endpoint_url=…"
        )
    if not bucket:
        raise ConfigurationError("an s3: URL names a bucket: s3://bucket/prefix")
    return {"bucket": bucket, "prefix": unquote(parts.path.removeprefix("/"))}


def _postgres(parts: SplitResult) -> Settings:
    given = {
        "host": parts.hostname,
        "port": parts.port,
        "user": parts.username,
        "password": parts.password,
        "database": parts.path.removeprefix("/"),
    }
    return {key: unquote(value) if isinstance(value, str) else value for key, value in given.items() if value}


_SCHEMES: dict[str, tuple[str, Callable[[SplitResult], Settings]]] = {
    "memory": ("memory", _memory),
    "file": ("file", _file),
    "sqlite": ("sqlite", _file),
    "postgresql": ("postgres", _postgres),
    "postgres": ("postgres", _postgres),
    "s3": ("s3", _s3),
}
