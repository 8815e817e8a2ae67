"""Lifecycle rules in S3's form: which objects they are for, whose they are, and what they do in words. Pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

Rule = dict[str, Any]

OURS = "dataknobs-data:"
ID_LENGTH_MAX = 255
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html"""
NAME_LENGTH_MAX = 64
RULES_MAX = 1000
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketLifecycleConfiguration.html"""

CONTROL_BYTES_MAX = 128
"""No control file of the objects layout is larger (format.json has 34 bytes, locks and probes less), and every document that
this package writes is (232 bytes and more)."""

SMALL_BYTES = 128 * 1024
"""Up to this size S3 moves nothing unless a rule has a size filter (TransitionDefaultMinimumObjectSize)."""
DEFAULT_MINIMUM = "all_storage_classes_128K"

EXPIRE, NONCURRENT, UPLOADS = ".expire", ".noncurrent", ".uploads"
_ORDER = (
    "ID", "Status", "Prefix", "Filter", "And", "Tag", "Tags", "Key", "Value", "ObjectSizeGreaterThan", "ObjectSizeLessThan",
    "Days", "NoncurrentDays", "NewerNoncurrentVersions", "Date", "StorageClass", "Transitions", "NoncurrentVersionTransitions",
    "NoncurrentVersionExpiration", "Expiration", "ExpiredObjectDeleteMarker", "AbortIncompleteMultipartUpload",
)  # fmt: skip
"""In which people read a rule."""
_NAME = re.compile(rf"(?P<base>[A-Za-z0-9_-]{{1,{NAME_LENGTH_MAX}}})(?P<part>\.(expire|noncurrent|uploads))?")


# ---------------------------------------------------------------------------------------------- which objects
@dataclass(frozen=True)
class Selection:
    """What a rule's filter says: keys below `prefix`, with all of `tags`, of more and of less than so many bytes."""

    prefix: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    larger: int | None = None
    smaller: int | None = None

    @classmethod
    def of(cls, rule: Mapping[str, Any]) -> Selection:
        """Of a rule as S3 tells it: with a Filter, or with the Prefix of the older API."""
        chosen = rule.get("Filter") or {}
        chosen = {**chosen, **chosen.get("And", {})}
        tags = [*chosen.get("Tags", ()), *([chosen["Tag"]] if "Tag" in chosen else [])]
        return cls(
            prefix=chosen.get("Prefix") or rule.get("Prefix") or "",
            tags={tag.get("Key"): tag.get("Value") for tag in tags},
            larger=chosen.get("ObjectSizeGreaterThan"),
            smaller=chosen.get("ObjectSizeLessThan"),
        )

    def filter(self) -> dict[str, Any]:
        """As S3 wants it: one predicate alone, several inside And."""
        tags = [{"Key": key, "Value": value} for key, value in self.tags.items()]
        parts: dict[str, Any] = {"Prefix": self.prefix} if self.prefix else {}
        parts |= {"Tags": tags} if tags else {}
        parts |= {} if self.larger is None else {"ObjectSizeGreaterThan": self.larger}
        parts |= {} if self.smaller is None else {"ObjectSizeLessThan": self.smaller}
        if len(parts) > 1 or len(tags) > 1:
            return {"And": parts}
        return {"Tag": tags[0]} if tags else parts or {"Prefix": ""}

    @property
    def plain(self) -> bool:
        """Whether it speaks of keys only: some actions take no other filter."""
        return not self.tags and self.larger is None and self.smaller is None

    def takes(self, key: str, size: int) -> bool:
        """Whether an untagged object of that key and size is among them."""
        fits = (self.larger is None or size > self.larger) and (self.smaller is None or size < self.smaller)
        return fits and not self.tags and key.startswith(self.prefix)

    def meets(self, prefix: str) -> bool:
        """Whether keys below `prefix` may be among them."""
        return prefix.startswith(self.prefix) or self.prefix.startswith(prefix)

    def words(self) -> str:
        """For people."""
        parts = [f"below {self.prefix!r}" if self.prefix else "in the whole bucket"]
        parts += [f"over {self.larger:,} bytes"] if self.larger is not None else []
        parts += [f"under {self.smaller:,} bytes"] if self.smaller is not None else []
        parts += [f"tagged {key}={value}" for key, value in self.tags.items()]
        return ", ".join(parts)


# ---------------------------------------------------------------------------------------------- whose they are
@dataclass(frozen=True)
class Namespace:
    """The IDs of one database's rules: "dataknobs-data:{prefix}:{name}".

    A name has neither `:` nor `/`, and a prefix ends with `/`: so no database takes another's rules for its own.
    """

    prefix: str

    @property
    def start(self) -> str:
        """What the IDs begin with: the prefix, or its hash where that is too long or not printable."""
        room = ID_LENGTH_MAX - len(OURS) - len(":") - NAME_LENGTH_MAX - len(NONCURRENT)
        if len(self.prefix) <= room and self.prefix.isprintable():
            return f"{OURS}{self.prefix}:"
        return f"{OURS}#{hashlib.sha256(self.prefix.encode()).hexdigest()}:"

    def id(self, name: str, part: str = "") -> str:
        """The ID of a rule; `part` is one of EXPIRE, NONCURRENT, UPLOADS or nothing."""
        return f"{self.start}{base(name)}{part}"

    def name(self, rule: Mapping[str, Any]) -> str | None:
        """The name in a rule's ID, without the part; None where the rule is not this database's."""
        id = rule.get("ID") or ""
        rest = id.removeprefix(self.start)
        return base(rest) if rest != id and is_name(rest) else None


def is_name(name: str) -> bool:
    """Whether a rule can be called so, be it with a part at the end."""
    return _NAME.fullmatch(name) is not None


def base(name: str) -> str:
    """A name without its part."""
    return name.partition(".")[0]


def replaced(rules: Sequence[Rule], new: Sequence[Rule], gone: Callable[[Rule], bool]) -> list[Rule]:
    """`rules` with those that are `gone` replaced by `new`, where the first of them stood, else at the end."""
    at = next((number for number, rule in enumerate(rules) if gone(rule)), len(rules))
    there = {rule["ID"]: rule for rule in rules if gone(rule)}
    new = [kept if (kept := there.get(rule["ID"])) and same(kept, rule) else rule for rule in new]
    return [*rules[:at], *new, *(rule for rule in rules[at:] if not gone(rule))]


def same(one: Any, other: Any) -> bool:
    """Whether two rules, or lists of them, say the same, however the store writes dates and orders what has no order."""
    return bool(_canonical(one) == _canonical(other))


def _canonical(value: Any, name: str = "") -> Any:
    if isinstance(value, Mapping):
        return {key: _canonical(inner, key) for key, inner in value.items()}
    if isinstance(value, list):
        items = [_canonical(item) for item in value]
        return items if name in ("", "Rules") else sorted(items, key=repr)
    return midnight(value) if name == "Date" else value


def tidy(configuration: Mapping[str, Any]) -> dict[str, Any]:
    """The same with its parts in one order, whatever the store's, so that a diff shows changes only."""
    return {name: _tidy(value) for name, value in sorted(configuration.items(), key=lambda part: part[0] != "Rules")}


def _tidy(value: Any) -> Any:
    if isinstance(value, list):
        return [_tidy(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    return {name: _tidy(value[name]) for name in sorted(value, key=_rank)}


def _rank(name: str) -> int:
    return _ORDER.index(name) if name in _ORDER else len(_ORDER)


def midnight(value: Any) -> str:
    """A date of a rule as S3 wants it, 2030-01-01T00:00:00Z. Raises ValueError for what is no midnight UTC."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    moment = (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).astimezone(UTC)
    if (moment.hour, moment.minute, moment.second, moment.microsecond) != (0, 0, 0, 0):
        raise ValueError(f"{value} is not midnight UTC")
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


# ---------------------------------------------------------------------------------------------- what they do
def enabled(rules: Iterable[Rule]) -> Iterator[Rule]:
    """Those that are in effect."""
    return (rule for rule in rules if rule.get("Status") == "Enabled")


def words(rule: Mapping[str, Any]) -> str:
    """What a rule does, for people: "GLACIER after 90 days, below 'records/', over 131,072 bytes"."""
    said = [f"{move['StorageClass']} {when(move)}" for move in rule.get("Transitions", ())]
    expiration = rule.get("Expiration", {})
    if "Days" in expiration or "Date" in expiration:
        said.append(f"deleted {when(expiration)}")
    said += [
        f"old versions to {move['StorageClass']} {when(move)}" for move in rule.get("NoncurrentVersionTransitions", ())
    ]
    if noncurrent := rule.get("NoncurrentVersionExpiration"):
        said.append(f"old versions deleted {when(noncurrent)}")
    if expiration.get("ExpiredObjectDeleteMarker"):
        said.append("deletions without older versions forgotten")
    if uploads := rule.get("AbortIncompleteMultipartUpload"):
        said.append(f"unfinished uploads thrown away {when(uploads)}")
    off = "" if rule.get("Status") == "Enabled" else " (disabled)"
    return f"{'; '.join(said)}; {Selection.of(rule).words()}{off}"


def when(action: Mapping[str, Any]) -> str:
    """At what time an action is taken, in words."""
    if "Date" in action:
        return f"on {str(action['Date'])[:10]}"
    days = next((action[name] for name in ("Days", "NoncurrentDays", "DaysAfterInitiation") if name in action), 0)
    kept = f", the newest {newer} kept" if (newer := action.get("NewerNoncurrentVersions")) else ""
    return f"after {days} day{'' if days == 1 else 's'}{kept}"
