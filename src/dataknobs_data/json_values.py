"""Values ⇄ JSON, without losing a Python type: the part of `codec` below the document.

What JSON lacks becomes text or lists, and `types` notes under the value's JSON Pointer (RFC 6901) what it was.
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import orjson

from dataknobs_data.exceptions import DataFormatError, SerializationError

_INT64_MIN, _UINT64_MAX = -(2**63), 2**64 - 1
_DECIMAL_DIGITS_MAX = (
    4300  # beyond it int() and str() refuse decimal digits (sys.get_int_max_str_digits), not hexadecimal
)
_SPAN = re.compile(r"PT(?P<sign>-?)(?P<seconds>\d+)(?:\.(?P<fraction>\d{1,6}))?S", re.ASCII)


# ---------------------------------------------------------------------------------------------- bytes
def dump(tree: Any, id: str) -> bytes:
    """JSON bytes of a tree made by `to_json`."""
    try:
        return orjson.dumps(tree)
    except TypeError as error:
        raise SerializationError(f"record {id!r} cannot be stored: {error}", id=id) from error


def loads(body: bytes | memoryview) -> Any:
    """JSON values from bytes of any writer. Raises ValueError."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError:
        if b"NaN" in bytes(body) or b"Infinity" in bytes(body):
            return _loads_leniently(bytes(body))
        raise


def _loads_leniently(body: bytes) -> Any:
    """Other writers leave NaN and Infinity in their JSON, as Python's json module does."""
    try:
        return json.loads(body)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


# ---------------------------------------------------------------------------------------------- values out
def to_json(value: Any, path: str, types: dict[str, str]) -> Any:
    """`value` as JSON knows it; what JSON cannot tell apart is noted in `types` under its JSON Pointer."""
    try:
        return _plain(value, path, types)
    except RecursionError as error:
        raise SerializationError(f"the value at {path} is nested too deeply or contains itself", path=path) from error


def _plain(value: Any, path: str, types: dict[str, str]) -> Any:
    if value is None or value is True or value is False:
        return value
    if isinstance(value, str):
        return _plain_text(value, path)
    if isinstance(value, int):
        return _plain_int(value, path, types)
    if isinstance(value, float):
        return _plain_float(value, path, types)
    if isinstance(value, dict):
        return {_plain_key(k, path): _plain(v, f"{path}/{escape_pointer(k)}", types) for k, v in value.items()}
    if isinstance(value, list):
        return [_plain(v, f"{path}/{i}", types) for i, v in enumerate(value)]
    for kind, (accepts, write, _) in _KINDS.items():
        if isinstance(value, accepts):
            types[path] = kind
            written = write(value)
            return _plain(written, path, types) if isinstance(written, list) else written
    raise SerializationError(
        f"the value at {path} is a {type(value).__module__}.{type(value).__qualname__}, which has no faithful stored "
        f"form; convert it to str, int, float, bool, None, list, dict, {', '.join(_KINDS)}",
        path=path,
    )


def _plain_text(value: str, path: str) -> str:
    text = value if type(value) is str else str.__str__(value)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise SerializationError(
                f"the text at {path} holds a lone surrogate ({error}), which UTF-8 cannot hold", path=path
            ) from error
    return text


def _plain_int(value: int, path: str, types: dict[str, str]) -> Any:
    if _INT64_MIN <= value <= _UINT64_MAX:
        return int(value)
    types[path] = "int"
    return str(value) if value.bit_length() < _DECIMAL_DIGITS_MAX * 3 else hex(value)


def _plain_float(value: float, path: str, types: dict[str, str]) -> Any:
    if math.isfinite(value):
        return float(value)
    types[path] = "float"
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _plain_key(key: Any, path: str) -> str:
    if isinstance(key, str):
        return _plain_text(key, path)
    raise SerializationError(f"the dict at {path} has the key {key!r}: keys must be strings", path=path)


def escape_pointer(segment: str) -> str:
    """One segment of a JSON Pointer (RFC 6901 section 3)."""
    return segment.replace("~", "~0").replace("/", "~1") if "~" in segment or "/" in segment else segment


# ---------------------------------------------------------------------------------------------- values in
def restore(tree: Any, types: Mapping[str, str], id: str) -> None:
    """Puts the Python values back into `tree`, in place; containers after what they contain."""
    for pointer in sorted(types, key=lambda p: p.count("/"), reverse=True) if len(types) > 1 else types:
        try:
            _, *parents, last = _segments(pointer)
            holder = tree
            for segment in parents:
                holder = holder[int(segment) if isinstance(holder, list) else segment]
            slot = int(last) if isinstance(holder, list) else last
            holder[slot] = _READERS[types[pointer]](holder[slot])
        except (LookupError, TypeError, ValueError, ArithmeticError, AttributeError, OSError) as error:
            raise DataFormatError(
                f"record {id!r}: damaged document: the value at {pointer} is no {types[pointer]}: {error}",
                id=id,
                path=pointer,
            ) from error


def _segments(pointer: str) -> list[str]:
    segments = pointer.split("/")
    return [one.replace("~1", "/").replace("~0", "~") for one in segments] if "~" in pointer else segments


# ---------------------------------------------------------------------------------------------- one kind each
def _zone_suffix(value: datetime | time) -> str:
    """The time zone's name in brackets, as RFC 9557 writes it; an offset alone does not say which zone it was."""
    key = getattr(value.tzinfo, "key", None)
    return f"[{key}]" if key else ""


def _write_temporal(value: datetime | time) -> str:
    return value.isoformat() + _zone_suffix(value)


def _read_datetime(text: str) -> datetime:
    stamp, _, zone = text.partition("[")
    moment = datetime.fromisoformat(stamp)
    if not zone:
        return moment
    for fold in (0, 1):
        local = moment.replace(tzinfo=ZoneInfo(zone[:-1]), fold=fold)
        if local.utcoffset() == moment.utcoffset():
            return local
    return moment.astimezone(ZoneInfo(zone[:-1]))  # the zone's rules have changed since: the instant counts


def _read_time(text: str) -> time:
    stamp, _, zone = text.partition("[")
    moment = time.fromisoformat(stamp)
    return moment.replace(tzinfo=ZoneInfo(zone[:-1])) if zone else moment


def _write_span(value: timedelta) -> str:
    sign, microseconds = ("-", -value) if value < timedelta(0) else ("", value)
    seconds, fraction = divmod(microseconds // timedelta(microseconds=1), 1_000_000)
    return f"PT{sign}{seconds}.{fraction:06}S"


def _read_span(text: str) -> timedelta:
    parts = _SPAN.fullmatch(text)
    if not parts:
        raise ValueError("it should read PT1.5S")
    span = timedelta(seconds=int(parts["seconds"]), microseconds=int((parts["fraction"] or "").ljust(6, "0")))
    return -span if parts["sign"] else span


def _write_bytes(value: bytes | bytearray) -> str:
    return base64.b64encode(value).decode()


def _read_bytes(text: str) -> bytes:
    return binascii.a2b_base64(text, strict_mode=True)  # as base64.b64decode, which copies it first


def _write_set(value: set[Any] | frozenset[Any]) -> list[Any]:
    return sorted(value, key=lambda item: (type(item).__name__, repr(item)))


_KINDS: dict[str, tuple[type, Callable[[Any], Any], Callable[[Any], Any]]] = {
    "datetime": (datetime, _write_temporal, _read_datetime),
    "date": (date, date.isoformat, date.fromisoformat),
    "time": (time, _write_temporal, _read_time),
    "timedelta": (timedelta, _write_span, _read_span),
    "Decimal": (Decimal, str, Decimal),
    "bytes": (bytes, _write_bytes, _read_bytes),
    "bytearray": (bytearray, _write_bytes, lambda text: bytearray(_read_bytes(text))),
    "UUID": (UUID, str, UUID),
    "set": (set, _write_set, set),
    "frozenset": (frozenset, _write_set, frozenset),
    "tuple": (tuple, list, tuple),
}

_READERS: dict[str, Callable[[Any], Any]] = {
    **{kind: read for kind, (_, _, read) in _KINDS.items()},
    "int": lambda text: int(text, 16 if "x" in text else 10),
    "float": float,
}
