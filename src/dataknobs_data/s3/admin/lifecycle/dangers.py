"""What lifecycle rules would do to a database that they must not. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dataknobs_data.s3.admin.lifecycle.rules import (
    CONTROL_BYTES_MAX,
    DEFAULT_MINIMUM,
    SMALL_BYTES,
    Rule,
    Selection,
    enabled,
    when,
)
from dataknobs_data.s3.archive.states import ARCHIVES, TIERED
from dataknobs_data.s3.keys import Keys

COLD_TARGETS = (*ARCHIVES, TIERED)
"""Classes from which not everything can be read at once: the last has archive tiers, for buckets that ask for them."""


def endangering(rules: Iterable[Rule], keys: Keys, *, minimum: str | None = None, tiered: bool = False) -> list[str]:
    """What rules in effect would do to a database that they must not: delete its records, delete or archive its control
    files. One sentence for each.

    minimum  the bucket's TransitionDefaultMinimumObjectSize, which says whether small objects move where a rule does not
    tiered   it has packs, and with them a log, companions, journals and tombstones
    """
    asked = (_dangers, _table_dangers) if tiered else (_dangers,)
    return [said for rule in enabled(rules) for ask in asked for said in ask(rule, keys, minimum or DEFAULT_MINIMUM)]


def archiving_packs(rules: Iterable[Rule], keys: Keys) -> list[str]:
    """What rules in effect archive packs, which they may: one sentence for each."""
    return [
        f"{_who(rule)} archives packs to {move['StorageClass']} {when(move)}"
        for rule in enabled(rules)
        for move in rule.get("Transitions", ())
        if move["StorageClass"] in COLD_TARGETS and Selection.of(rule).meets(keys.packs)
    ]


def _table_dangers(rule: Rule, keys: Keys, minimum: str) -> Iterator[str]:
    who, selection, expiration = _who(rule), Selection.of(rule), rule.get("Expiration", {})
    if selection.tags:  # none of these has any
        return
    # what, where, whether some are so large that they move in any case
    files = (
        ("the table's log", keys.log, True),
        ("companions of packs", keys.ids, True),
        ("journals of loads", keys.loads, False),
        ("tombstones of deleted records", keys.prefix, False),
    )
    small = selection.smaller is None or selection.smaller > CONTROL_BYTES_MAX
    met = [(what, large) for what, where, large in files if _meets(selection, where, keys) and (large or small)]
    if met and expiration.keys() & {"Days", "Date"}:
        names = ", ".join(what for what, _ in met)
        yield f"{who} deletes {names} {when(expiration)}: records are then lost, or deleted ones are back"
    sized = selection.larger is not None or selection.smaller is not None
    moves_small = (sized or minimum != DEFAULT_MINIMUM) and (selection.larger or 0) < SMALL_BYTES
    names = ", ".join(what for what, large in met if large or moves_small)
    for move in rule.get("Transitions", ()):
        if names and move["StorageClass"] in ARCHIVES:
            yield (
                f"{who} archives {names} to {move['StorageClass']} {when(move)}: "
                "the database can then not be read until that is restored"
            )


def _meets(selection: Selection, prefix: str, keys: Keys) -> bool:
    if prefix == keys.prefix and selection.prefix.startswith((keys.table, keys.loads)):
        return False  # there are no objects of records
    return selection.meets(prefix)


def _who(rule: Rule) -> str:
    return f"rule {rule.get('ID', '(without ID)')!r}"


def _dangers(rule: Rule, keys: Keys, minimum: str) -> Iterator[str]:
    who, selection = _who(rule), Selection.of(rule)
    expiration = rule.get("Expiration", {})
    takes_control = any(selection.takes(keys.format, size) for size in range(1, CONTROL_BYTES_MAX))
    if expiration.keys() & {"Days", "Date"}:
        days = when(expiration)
        if selection.meets(keys.prefix) and (selection.smaller is None or selection.smaller > CONTROL_BYTES_MAX + 1):
            yield f"{who} deletes records of this database {days}, behind its back ({selection.words()})"
        if takes_control:
            yield f"{who} deletes {keys.format} {days}: what layout the records have is then unknown"
    sized = selection.larger is not None or selection.smaller is not None
    for move in rule.get("Transitions", ()):
        cold = move["StorageClass"] in ARCHIVES
        if cold and takes_control and (sized or minimum != DEFAULT_MINIMUM):
            yield (
                f"{who} archives {keys.format} to {move['StorageClass']} {when(move)}: "
                "the database can then not be opened until that is restored"
            )
