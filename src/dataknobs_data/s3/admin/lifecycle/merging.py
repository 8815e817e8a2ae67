"""A lifecycle configuration as people write it for boto3, made right for one database. Pure; every correction is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.lifecycle.checks import ACTIONS, Draft, check
from dataknobs_data.s3.admin.lifecycle.rules import NAME_LENGTH_MAX, OURS, Namespace, Selection, is_name, midnight
from dataknobs_data.spelling import did_you_mean

_OLDER = {"Transition": "Transitions", "NoncurrentVersionTransition": "NoncurrentVersionTransitions"}
"""What the API before this one called them, one of each; API_PutBucketLifecycle."""
_PREDICATES = {"Prefix", "Tag", "Tags", "ObjectSizeGreaterThan", "ObjectSizeLessThan", "And"}
_RULE = {"ID", "Status", "Filter", "Prefix", *ACTIONS, *_OLDER}
_CONFIGURATION = {"Rules", "TransitionDefaultMinimumObjectSize"}


def drafts_of(
    configuration: Any, names: Namespace, whole: str, inner: str, larger: int | None
) -> tuple[list[Draft], list[str]]:
    """The rules of a configuration, checked, and what was corrected in them.

    whole   the prefix of the database: no rule may be for other keys
    inner   the prefix for rules that name none, or one that reaches beyond the database
    larger  the size for rules that name none
    """
    _known(configuration, "the lifecycle configuration", _CONFIGURATION)
    rules = configuration.get("Rules")
    if not isinstance(rules, list) or not rules:
        raise ConfigurationError(
            "the lifecycle configuration holds no 'Rules'; it is such as {'Rules': [{'ID': …, …}]}"
        )
    notes: list[str] = []
    if "TransitionDefaultMinimumObjectSize" in configuration:
        notes.append("TransitionDefaultMinimumObjectSize is for the whole bucket: it stays as it is there")
    drafts = [_draft(rule, number, names, whole, inner, notes) for number, rule in enumerate(rules, 1)]
    drafts = [_sized(draft, larger) for draft in drafts]
    for draft in drafts:
        check(draft)
    return drafts, notes


def _known(value: Any, what: str, names: Iterable[str]) -> None:
    if not isinstance(value, Mapping):
        raise ConfigurationError(f"{what} is {value!r}; it must be a mapping with {', '.join(sorted(names))}")
    for name in value:
        if name not in names:
            raise ConfigurationError(f"{what} has an unknown part {name!r}; {did_you_mean(name, names)}")


def _sized(draft: Draft, larger: int | None) -> Draft:
    """With the size that was asked for, where the rule names none and is about content."""
    chosen, expiration = draft.selection, draft.actions.get("Expiration", {})
    marker = isinstance(expiration, Mapping) and "ExpiredObjectDeleteMarker" in expiration
    if larger is None or chosen.larger is not None or chosen.smaller is not None or marker:
        return draft
    return replace(draft, selection=replace(chosen, larger=larger))


def _draft(rule: Any, number: int, names: Namespace, whole: str, inner: str, notes: list[str]) -> Draft:
    what = f"lifecycle rule {rule.get('ID', number)!r}" if isinstance(rule, Mapping) else f"lifecycle rule {number}"
    _known(rule, what, _RULE)
    name = _name(rule.get("ID"), number, names, notes)
    said: list[str] = []
    if "Status" not in rule:
        said.append("it has no Status; 'Enabled' is meant")
    draft = Draft(
        name, _selection(rule, what, whole, inner, said), _actions(rule, what, said), str(rule.get("Status", "Enabled"))
    )
    notes += [f"{what}: {one}" for one in said]
    return draft


def _name(id: Any, number: int, names: Namespace, notes: list[str]) -> str:
    """A name of ours from any ID; of IDs that are ours already, be it in another database, what comes after the prefix."""
    if id is not None and not isinstance(id, str):
        raise ConfigurationError(f"lifecycle rule {number}: the ID {id!r} is no text")
    if id and id.startswith(OURS) and is_name(id.rpartition(":")[2]):
        name = id.rpartition(":")[2]
    else:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", id).strip("-")[:NAME_LENGTH_MAX] if id else f"rule-{number}"
        name = name or f"rule-{number}"
    start = names.start
    if not (id and id == start + name):
        found = f"the ID {id!r}" if id else "without an ID, it"
        notes.append(
            f"lifecycle rule {id or number!r}: {found} becomes {start + name!r}, by which it is known as this database's"
        )
    return name


def _selection(rule: Mapping[str, Any], what: str, whole: str, inner: str, said: list[str]) -> Selection:
    chosen = rule.get("Filter")
    if chosen is None and "Prefix" not in rule:
        said.append(
            f"it has no Filter, which would be the whole bucket (and AWS wants one): it is for keys below {inner!r}"
        )
    if "Prefix" in rule:
        if chosen is not None:
            raise ConfigurationError(f"{what} has both Prefix and Filter; S3 takes one: put the prefix into the Filter")
        said.append("Prefix beside Filter is of an older API: it goes into the Filter")
    _check_filter(chosen or {}, what)
    try:
        selection = Selection.of(rule)
    except (AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"{what}: its Filter makes no sense: {error!r}; tags are {{'Key': …, 'Value': …}}"
        ) from error
    parts = {**(chosen or {}), **(chosen or {}).get("And", {})}
    if len(parts.get("Tags", ())) + ("Tag" in parts) > len(
        selection.tags
    ):  # one of them alone would be for more objects
        raise ConfigurationError(f"{what}: its Filter names a tag twice, and no object has both values")
    return replace(selection, prefix=_prefix(selection.prefix, rule, what, whole, inner, said))


def _check_filter(chosen: Any, what: str) -> None:
    _known(chosen, f"the Filter of {what}", _PREDICATES)
    inside = chosen.get("And", {})
    _known(inside, f"the And of {what}", _PREDICATES - {"And", "Tag"})
    if inside and len(chosen) > 1:
        raise ConfigurationError(f"the Filter of {what} has And and more; S3 takes And alone: put all into it")


def _prefix(found: Any, rule: Mapping[str, Any], what: str, whole: str, inner: str, said: list[str]) -> str:
    if not isinstance(found, str):
        raise ConfigurationError(f"{what}: the Prefix {found!r} is no text")
    if found.startswith(whole) and found:
        return found
    if not whole.startswith(found):
        raise ConfigurationError(
            f"{what} is for keys below {found!r}, which are not of this database; its keys begin with {whole!r}"
        )
    if found != inner and ("Filter" in rule or "Prefix" in rule):
        said.append(f"it is narrowed from {found!r} to this database's keys, below {inner!r}")
    return inner


def _actions(rule: Mapping[str, Any], what: str, said: list[str]) -> dict[str, Any]:
    actions = {name: rule[name] for name in ACTIONS if name in rule}
    for older, newer in _OLDER.items():
        if older not in rule:
            continue
        if newer in rule:
            raise ConfigurationError(f"{what} has both {older} and {newer}; S3 takes one: put all into {newer}")
        said.append(f"{older} is of an older API: it becomes {newer}")
        actions[newer] = rule[older] if isinstance(rule[older], list) else [rule[older]]
    return {name: _dated(value) for name, value in actions.items() if value != []}


def _dated(value: Any) -> Any:
    """With dates written as S3 writes them, where they are any."""
    if isinstance(value, list):
        return [_dated(item) for item in value]
    if not isinstance(value, Mapping) or "Date" not in value:
        return value
    try:
        return {**value, "Date": midnight(value["Date"])}
    except ValueError:
        return value  # `check` says so
