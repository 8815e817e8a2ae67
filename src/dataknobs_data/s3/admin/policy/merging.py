"""Statements of ours in a policy beside those of others, pure: which are ours, and whether two policies say the same."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from dataknobs_data.exceptions import ConfigurationError

VERSION = "2012-10-17"
"""Of the policy language: the one with variables, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_version.html."""

POLICY_BYTES_MAX = 20 * 1024
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/add-bucket-policy.html"""

OURS = "DataknobsData"
"""How the Sids of our statements begin; a Sid holds letters and digits only."""

Statement = dict[str, Any]

_ROOT = re.compile(r"arn:[a-z-]+:iam::(\d{12}):root")


def statements_of(document: dict[str, Any] | None) -> list[Statement]:
    """The statements of a policy; a single one may stand there without a list."""
    found = (document or {}).get("Statement", [])
    return [found] if isinstance(found, dict) else list(found)


def merged(document: dict[str, Any] | None, start: str, ours: Sequence[Statement]) -> dict[str, Any] | None:
    """`document` with `ours` instead of the statements whose Sid begins with `start`; all else as it is. None: nothing is left.

    Raises ConfigurationError where it would be too long.
    """
    before = statements_of(document)
    owned = [one for one in before if str(one.get("Sid", "")).startswith(start)]
    if sorted(map(canonical, owned)) == sorted(map(canonical, ours)):
        return document
    left = [one for one in before if one not in owned]
    if not left and not ours:
        return None
    base = document or {"Version": VERSION}
    after = {**base, "Statement": [*left, *ours]}
    text = as_text(after)
    if "${" in as_text({"Statement": list(ours)}) and base.get("Version") != VERSION:
        raise ConfigurationError(
            f"the bucket's policy is written in version {base.get('Version')!r} of the language, which has no way to say a "
            f"prefix with '*', '?' or '$'; set its Version to {VERSION!r} yourself, it changes what variables in it mean",
            key="prefix",
        )
    if len(text.encode()) > POLICY_BYTES_MAX:
        raise ConfigurationError(
            f"the bucket's policy would have {len(text.encode()):,} bytes, S3 allows {POLICY_BYTES_MAX:,}; name a role "
            "or an account that several share instead of each by itself, or use access points",
        )
    return after


def said_by_others(document: dict[str, Any] | None, ours: Sequence[Statement]) -> str | None:
    """The Sid of somebody else's statement that says just what our only one does; "" where it has none, None without."""
    if len(ours) != 1:
        return None
    wanted = canonical({**ours[0], "Sid": ""})
    for one in statements_of(document):
        if not str(one.get("Sid", "")).startswith(OURS) and canonical({**one, "Sid": ""}) == wanted:
            return str(one.get("Sid", ""))
    return None


def as_text(document: dict[str, Any]) -> str:
    """As it is sent: short."""
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def same(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    """Whether two policies say the same: stores respell single values, their order, and accounts."""
    if one is None or other is None:
        return one is other
    rest = [{key: value for key, value in document.items() if key != "Statement"} for document in (one, other)]
    lines = [sorted(map(canonical, statements_of(document))) for document in (one, other)]
    return rest[0] == rest[1] and lines[0] == lines[1]


def canonical(statement: Statement) -> str:
    """One text for all spellings of a statement."""
    plain: dict[str, Any] = {"Sid": "", "Condition": {}, **statement}
    for key, value in plain.items():
        if key in ("Action", "NotAction"):
            plain[key] = sorted(action.lower() for action in _list(value))
        elif key in ("Resource", "NotResource"):
            plain[key] = sorted(_list(value))
        elif key in ("Principal", "NotPrincipal"):
            who = value if isinstance(value, dict) else {"AWS": value}
            plain[key] = {kind: sorted(_ROOT.sub(r"\1", name) for name in _list(names)) for kind, names in who.items()}
    plain["Condition"] = {
        operator: {key.lower(): sorted(map(_plain, _list(values))) for key, values in tests.items()}
        for operator, tests in plain["Condition"].items()
    }
    return json.dumps(plain, sort_keys=True)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _plain(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
