"""The two layouts: which of them a new database has, and what the tiered one needs."""

from __future__ import annotations

from functools import cache
from importlib import metadata

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.layout import Layout, Parts
from dataknobs_data.s3.objects_layout import ObjectsLayout
from dataknobs_data.s3.settings import OBJECTS, TIERED

version = cache(metadata.version)
"""Of a package; its metadata is a file that takes a millisecond to read, and every opening asks."""

PYARROW = 25
"""The first pyarrow that says where the bloom filters are which it has written since 24:
https://github.com/apache/arrow/pull/49377, https://github.com/apache/arrow/issues/49927."""


def default_layout() -> str:
    """Of a new database: tiered where the extra `table` is installed."""
    return OBJECTS if _lacking() else TIERED


def layout_of(name: str, parts: Parts) -> Layout:
    """The layout of that name. Raises ConfigurationError where what it needs is not installed."""
    if name != TIERED:
        return ObjectsLayout(parts)
    lacking = _lacking()
    if lacking:
        where = f"{parts.settings.bucket}/{parts.settings.prefix}"
        raise ConfigurationError(
            f"s3 backend: the records of {where} have layout 'tiered', {lacking}: pip install '.[table]' (layout: objects "
            "needs no more than '.[s3]', but is for prefixes that hold nothing yet)",
            key="layout",
        )
    from dataknobs_data.s3.tiered.layout import TieredLayout  # imports pyarrow

    return TieredLayout(parts)


def _lacking() -> str:
    """Why the table's files cannot be written and read here; "" where they can."""
    try:
        found = version("pyarrow")
    except metadata.PackageNotFoundError:
        return f"which needs pyarrow {PYARROW} or newer"
    major = found.partition(".")[0]
    if major.isdecimal() and int(major) >= PYARROW:
        return ""
    return f"which needs pyarrow {PYARROW} or newer, and {found} is installed"
