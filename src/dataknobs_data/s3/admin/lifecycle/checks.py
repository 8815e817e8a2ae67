"""What S3 refuses in a lifecycle rule, said before anything is sent. Pure.

Sources: https://docs.aws.amazon.com/AmazonS3/latest/userguide/lifecycle-transition-general-considerations.html,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/intro-lifecycle-rules.html, and the service model of botocore 1.44.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.lifecycle.rules import CONTROL_BYTES_MAX, Selection, midnight
from dataknobs_data.spelling import did_you_mean

CLASSES = ("STANDARD_IA", "INTELLIGENT_TIERING", "ONEZONE_IA", "GLACIER_IR", "GLACIER", "DEEP_ARCHIVE")
"""The waterfall: objects go from a class only to a later one; not from ONEZONE_IA to GLACIER_IR ("Supported transitions")."""

STAY_DAYS = {"STANDARD_IA": 30, "ONEZONE_IA": 30, "GLACIER": 90}
"""How long an object stays in a class before a rule takes it to the next: S3 answers InvalidArgument, "must be 30 days more
than". Until July 2026 it also had to be 30 days old to get to the first two
(https://aws.amazon.com/about-aws/whats-new/2026/07/s3-removes-30-day-transitions-standard-ia-one-zone-ia/)."""

DAYS_MAX = 2**31 - 1
TAGS_MAX = 10
KEPT_MAX = 100

_MOVE, _OLD_MOVE = {"Days", "Date", "StorageClass"}, {"NoncurrentDays", "StorageClass", "NewerNoncurrentVersions"}
ACTIONS = {
    "Transitions": _MOVE,
    "Expiration": {"Days", "Date", "ExpiredObjectDeleteMarker"},
    "NoncurrentVersionTransitions": _OLD_MOVE,
    "NoncurrentVersionExpiration": {"NoncurrentDays", "NewerNoncurrentVersions"},
    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation"},
}
"""What each action of a rule holds; https://docs.aws.amazon.com/AmazonS3/latest/API/API_LifecycleRule.html."""


@dataclass(frozen=True)
class Draft:
    """A rule as somebody wants it: a name, which objects, what is to be done (as ACTIONS says). It may become several rules."""

    name: str
    selection: Selection
    actions: Mapping[str, Any]
    status: str = "Enabled"

    @property
    def who(self) -> str:
        """For messages."""
        return f"lifecycle rule {self.name!r}"


def check(draft: Draft) -> None:
    """Raises ConfigurationError for what S3 would refuse, or what cannot be meant."""
    if not draft.actions:
        raise _wrong(draft, "does nothing: say what is to be moved, deleted or thrown away, and after how many days")
    if draft.status not in ("Enabled", "Disabled"):
        raise _wrong(draft, f"has the status {draft.status!r}; it is 'Enabled' or 'Disabled'")
    for action, value in draft.actions.items():
        if isinstance(value, list) is not action.endswith("Transitions"):
            raise _wrong(
                draft, f"has {value!r} as {action}; it takes {'a list' if action.endswith('s') else 'one mapping'}"
            )
        for entry in value if isinstance(value, list) else [value]:
            _check_entry(draft, action, entry)
    _check_selection(draft)
    _check_order(draft, draft.actions.get("Transitions", ()), draft.actions.get("Expiration", {}), "")
    _check_order(
        draft,
        draft.actions.get("NoncurrentVersionTransitions", ()),
        draft.actions.get("NoncurrentVersionExpiration", {}),
        "old versions: ",
    )


def _wrong(draft: Draft, what: str) -> ConfigurationError:
    return ConfigurationError(f"{draft.who} {what}")


def _check_entry(draft: Draft, action: str, entry: Any) -> None:
    if not isinstance(entry, Mapping) or not entry:
        raise _wrong(draft, f"has {entry!r} as {action}; it takes {', '.join(sorted(ACTIONS[action]))}")
    for name in entry:
        if name not in ACTIONS[action]:
            raise _wrong(draft, f"has {name!r} in {action}; {did_you_mean(name, ACTIONS[action])}")
    if action in ("Transitions", "NoncurrentVersionTransitions"):
        _check_class(draft, entry.get("StorageClass"))
    if action in ("Transitions", "Expiration"):
        _check_time(draft, action, entry)
    else:
        least = 0 if action == "NoncurrentVersionTransitions" else 1
        days = "DaysAfterInitiation" if action == "AbortIncompleteMultipartUpload" else "NoncurrentDays"
        _check_number(draft, f"{days} of {action}", entry.get(days), least, DAYS_MAX)
    if "NewerNoncurrentVersions" in entry:
        _check_number(draft, "the number of old versions to keep", entry["NewerNoncurrentVersions"], 1, KEPT_MAX)


def _check_class(draft: Draft, name: Any) -> None:
    if name not in CLASSES:
        raise _wrong(draft, f"moves to {name!r}, to which S3 moves nothing; {did_you_mean(name, CLASSES)}")


def _check_time(draft: Draft, action: str, entry: Mapping[str, Any]) -> None:
    said = entry.keys() - {"StorageClass"}
    if len(said) != 1:
        names = " and ".join(sorted(said)) or "nothing"
        raise _wrong(
            draft,
            f"has {names} in {action}; S3 takes exactly one of {', '.join(sorted(ACTIONS[action] - {'StorageClass'}))}",
        )
    if "Days" in entry:
        _check_number(draft, f"Days of {action}", entry["Days"], 0 if action == "Transitions" else 1, DAYS_MAX)
    elif "Date" in entry:
        try:
            midnight(entry["Date"])
        except ValueError as error:
            raise _wrong(
                draft, f"has a date in {action} that S3 does not take, such as '2030-01-01': {error}"
            ) from error
    elif entry["ExpiredObjectDeleteMarker"] is not True:
        raise _wrong(draft, "has an ExpiredObjectDeleteMarker that is not true, which does nothing")


def _check_number(draft: Draft, what: str, value: Any, least: int, most: int | None = None) -> None:
    if not isinstance(value, int) or isinstance(value, bool):
        raise _wrong(draft, f"has {value!r} for {what}; it must be a whole number")
    if value < least or (most is not None and value > most):
        raise _wrong(
            draft,
            f"has {value} for {what}; it must be {least} {'or more' if most in (None, DAYS_MAX) else f'to {most}'}",
        )


def _check_selection(draft: Draft) -> None:
    chosen = draft.selection
    for what, size, least in (("larger", chosen.larger, 0), ("smaller", chosen.smaller, 1)):
        if size is not None:
            _check_number(draft, f"the bytes that objects are {what} than", size, least)
    if chosen.larger is not None and chosen.smaller is not None and chosen.smaller <= chosen.larger + 1:
        raise _wrong(draft, f"is for objects over {chosen.larger} and under {chosen.smaller} bytes: there are none")
    if len(chosen.tags) > TAGS_MAX:
        raise _wrong(draft, f"asks for {len(chosen.tags)} tags; an object has at most {TAGS_MAX}")
    for key, value in chosen.tags.items():
        if not (isinstance(key, str) and isinstance(value, str) and 1 <= len(key) <= 128 and len(value) <= 256):
            raise _wrong(
                draft, f"asks for the tag {key!r}: {value!r}; both are text, of at most 128 and 256 characters"
            )
    if "ExpiredObjectDeleteMarker" in draft.actions.get("Expiration", {}) and not chosen.plain:
        raise _wrong(
            draft, "has ExpiredObjectDeleteMarker and a filter by tags or size; S3 takes it with a prefix only"
        )
    touches = draft.actions.keys() & {"Transitions", "Expiration"}
    if touches and chosen.larger is not None and chosen.larger < CONTROL_BYTES_MAX and not chosen.tags:
        raise _wrong(
            draft,
            f"is for objects of more than {chosen.larger} bytes: that takes control files below _jobs/ along; "
            f"say {CONTROL_BYTES_MAX} or more (no record is that small)",
        )


def _check_order(draft: Draft, moves: Sequence[Mapping[str, Any]], end: Mapping[str, Any], of: str) -> None:
    """Classes in the waterfall's order, far enough apart, and the end after them; all in days, or all by date."""
    timed = [*moves, *([end] if end.keys() & {"Days", "Date", "NoncurrentDays"} else [])]
    if any("Date" in one for one in timed) and any("Days" in one for one in timed):
        raise _wrong(draft, "mixes Days and Date, which S3 does not take in one rule")
    ordered = sorted(moves, key=lambda move: (_day(move), CLASSES.index(move["StorageClass"])))
    for one, next_one in pairwise(ordered):
        _check_pair(draft, one, next_one, of)
    if ordered and timed[-1] is end and _day(end) <= _day(ordered[-1]):
        raise _wrong(
            draft,
            f"{of}is to delete before, or as, it moves to {ordered[-1]['StorageClass']}; delete later, or do not move",
        )


def _check_pair(draft: Draft, one: Mapping[str, Any], next_one: Mapping[str, Any], of: str) -> None:
    first, second = one["StorageClass"], next_one["StorageClass"]
    if first == second:
        raise _wrong(draft, f"{of}moves to {first} twice")
    if CLASSES.index(first) > CLASSES.index(second) or (first, second) == ("ONEZONE_IA", "GLACIER_IR"):
        raise _wrong(
            draft,
            f"{of}moves from {first} to {second}, and S3 does not; objects go this way only: {' → '.join(CLASSES)}, "
            "and not from ONEZONE_IA to GLACIER_IR",
        )
    apart, needed = _day(next_one) - _day(one), STAY_DAYS.get(first, 1)
    if apart < needed:
        raise _wrong(
            draft,
            f"{of}moves from {first} to {second} after {apart} day{'' if apart == 1 else 's'}; S3 wants {needed} or more between them",
        )


def _day(action: Mapping[str, Any]) -> int:
    if "Date" in action:
        return datetime.fromisoformat(midnight(action["Date"])).toordinal()
    days: int = action["NoncurrentDays"] if "NoncurrentDays" in action else action["Days"]
    return days
