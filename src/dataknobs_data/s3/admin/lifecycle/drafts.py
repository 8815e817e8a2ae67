"""From what somebody wants of the lifecycle to rules in S3's form: filters written, split as S3 wants them. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.lifecycle.checks import Draft, check
from dataknobs_data.s3.admin.lifecycle.rules import (
    CONTROL_BYTES_MAX,
    EXPIRE,
    NAME_LENGTH_MAX,
    NONCURRENT,
    SMALL_BYTES,
    UPLOADS,
    Namespace,
    Rule,
    Selection,
    enabled,
    is_name,
)
from dataknobs_data.s3.keys import Keys

UPLOADS_DAYS = 7
"""When uploads that nobody finished are thrown away, where nobody says otherwise: as in AWS's own example,
https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpu-abort-incomplete-mpu-lifecycle-config.html."""


def check_name(name: str) -> str:
    """The name of a rule to be. Raises ConfigurationError for what cannot be one."""
    if not isinstance(name, str) or not is_name(name) or "." in name:
        raise ConfigurationError(
            f"lifecycle rule {name!r}: a name has 1 to {NAME_LENGTH_MAX} letters, digits, hyphens and underscores"
        )
    return name


def prefix_of_ids(keys: Keys, id_prefix: str) -> str:
    """The prefix of the keys that rules are for: of all that lies there, or of the documents whose ids begin so.

    Raises ConfigurationError for an `id_prefix` that is not for certain how keys begin, because keys write it in another way.
    """
    if not isinstance(id_prefix, str):
        raise ConfigurationError(f"lifecycle: id_prefix {id_prefix!r} is no text")
    found = keys.listing_prefix(id_prefix)
    if found.rpartition("/")[2] != id_prefix.rpartition("/")[2]:
        raise ConfigurationError(
            f"lifecycle: id_prefix {id_prefix!r} is not just how keys begin: a rule for it would take other records along; "
            "let it end with a slash, a letter or a digit, such as '2024/' or 'user-1'"
        )
    return found


def draft_of(
    name: str,
    selection: Selection,
    *,
    transition: Mapping[str, int] | None,
    expire_days: int | None,
    noncurrent_days: int | None,
    noncurrent_keep: int | None,
    noncurrent_transition: Mapping[str, int] | None,
    abort_uploads_days: int | None,
) -> Draft:
    """What `Lifecycle.add` was asked for, checked."""
    if not isinstance(selection.tags, Mapping):
        raise ConfigurationError(
            f"lifecycle rule {name!r}: tags is {selection.tags!r}; it is such as {{'team': 'blue'}}"
        )
    if noncurrent_keep is not None and noncurrent_days is None:
        raise ConfigurationError(
            f"lifecycle rule {name!r}: noncurrent_keep says how many old versions outlive noncurrent_days; say that too"
        )
    kept = {} if noncurrent_keep is None else {"NewerNoncurrentVersions": noncurrent_keep}
    wanted: dict[str, Any] = {
        "Transitions": _moves(name, "transition", transition, "Days"),
        "Expiration": None if expire_days is None else {"Days": expire_days},
        "NoncurrentVersionTransitions": _moves(name, "noncurrent_transition", noncurrent_transition, "NoncurrentDays"),
        "NoncurrentVersionExpiration": None if noncurrent_days is None else {"NoncurrentDays": noncurrent_days, **kept},
        "AbortIncompleteMultipartUpload": (
            None if abort_uploads_days is None else {"DaysAfterInitiation": abort_uploads_days}
        ),
    }
    draft = Draft(check_name(name), selection, {action: value for action, value in wanted.items() if value})
    check(draft)
    return draft


def _moves(name: str, what: str, wanted: Mapping[str, int] | None, days: str) -> list[dict[str, Any]]:
    if wanted is not None and not isinstance(wanted, Mapping):
        raise ConfigurationError(
            f"lifecycle rule {name!r}: {what} is {wanted!r}; it says which class after how many days, such as {{'GLACIER': 90}}"
        )
    return [{days: after, "StorageClass": storage_class} for storage_class, after in (wanted or {}).items()]


# ---------------------------------------------------------------------------------------------- to S3's form
def packs_to_move(draft: Draft, packs: str) -> Selection:
    """What a draft moves where records may lie in packs: packs, the keys of which begin with `packs`, and nothing else.

    Raises ConfigurationError where it is for certain ids: a pack has records of many.
    """
    chosen = draft.selection
    if packs.startswith(chosen.prefix):
        return replace(chosen, prefix=packs)
    if not chosen.prefix.startswith(packs):
        raise ConfigurationError(
            f"{draft.who} is to move what lies below {chosen.prefix!r}, but what moves to another class are packs, and each has "
            "records of many ids: leave id_prefix out, or choose by tags (packs have those that all their records share)"
        )
    return chosen


def rules_of(draft: Draft, names: Namespace, packs: str | None = None) -> list[Rule]:
    """The rules that do what a draft wants. One rule for all would need one filter for all: moving is not for small objects,
    deleting not for control files, and uploads take no filter but a prefix.

    `packs`: what the keys of packs begin with, where records may lie in packs.
    """
    chosen, actions = draft.selection, draft.actions
    moves = _only(actions, "Transitions", "NoncurrentVersionTransitions")
    moved = packs_to_move(draft, packs) if packs and moves else chosen
    expiration = actions.get("Expiration", {})
    end = {"Expiration": expiration} if "ExpiredObjectDeleteMarker" not in expiration and expiration else {}
    parts = [
        ("", moves, _movable(moved)),
        (EXPIRE, end, _deletable(chosen)),
        (NONCURRENT, _old_versions(actions, chosen), chosen),
        (UPLOADS, _only(actions, "AbortIncompleteMultipartUpload"), Selection(chosen.prefix)),
    ]
    return [_rule(names.id(draft.name, part), draft.status, where, does) for part, does, where in parts if does]


def _only(actions: Mapping[str, Any], *named: str) -> dict[str, Any]:
    return {action: actions[action] for action in named if action in actions}


def _old_versions(actions: Mapping[str, Any], chosen: Selection) -> dict[str, Any]:
    does = _only(actions, "NoncurrentVersionExpiration")
    if chosen.plain and (does or "ExpiredObjectDeleteMarker" in actions.get("Expiration", {})):
        does["Expiration"] = {"ExpiredObjectDeleteMarker": True}
    return does


def _movable(chosen: Selection) -> Selection:
    if chosen.larger is not None:
        return chosen
    wants_small = chosen.smaller is not None and chosen.smaller <= SMALL_BYTES + 1
    return replace(chosen, larger=CONTROL_BYTES_MAX if wants_small else SMALL_BYTES)


def _deletable(chosen: Selection) -> Selection:
    """Control files have no tags; else their size keeps them out."""
    return chosen if chosen.tags or chosen.larger is not None else replace(chosen, larger=CONTROL_BYTES_MAX)


def _rule(id: str, status: str, where: Selection, does: Mapping[str, Any]) -> Rule:
    if where.larger is not None and where.smaller is not None and where.smaller <= where.larger + 1:
        raise ConfigurationError(
            f"lifecycle rule {id!r} is for objects under {where.smaller} bytes: only control files are that small, no records"
        )
    return {"ID": id, "Status": status, "Filter": where.filter(), **does}


def uploads_rule(name: str, prefix: str, others: Sequence[Rule], names: Namespace) -> Rule | None:
    """The rule that throws unfinished uploads away, where none of the `others` does so for all that is below `prefix`."""
    for rule in enabled(others):
        where = Selection.of(rule)
        if "AbortIncompleteMultipartUpload" in rule and where.plain and prefix.startswith(where.prefix):
            return None
    does = {"AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UPLOADS_DAYS}}
    return _rule(names.id(name, UPLOADS), "Enabled", Selection(prefix), does)
