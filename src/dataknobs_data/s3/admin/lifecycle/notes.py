"""What a person should know before lifecycle rules are written: what stays, what it costs, what is lost. Pure.

Prices, minimum durations and overheads are those of the price table (s3/costs/prices.toml).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from dataknobs_data.s3.admin.lifecycle.checks import CLASSES, Draft
from dataknobs_data.s3.admin.lifecycle.rules import SMALL_BYTES, Rule, Selection
from dataknobs_data.s3.archive.states import ARCHIVES
from dataknobs_data.s3.costs.estimate import counted, size
from dataknobs_data.s3.costs.prices import Prices
from dataknobs_data.s3.packed import PackFile, without_ids_note


def notes_on(drafts: Sequence[Draft], new: Sequence[Rule], prices: Prices) -> list[str]:
    """About what is wanted, and the rules that it became; each sentence once."""
    found = [note for rule in new for note in _rule_notes(rule, prices)]
    found += [note for draft in drafts for note in _draft_notes(draft, prices)]
    return list(dict.fromkeys([*found, *_move_prices(new, prices)]))


def tag_note(drafts: Sequence[Draft], mirrored: bool | list[str]) -> list[str]:
    """Where records cannot have the tags asked for. `mirrored`: the `tags` setting."""
    asked = {tag for draft in drafts for tag in draft.selection.tags}
    if not asked or mirrored is True:
        return []
    if mirrored is False:
        return ["this database writes no tags (setting tags: false), so no record has those asked for"]
    missing = sorted(asked - {"id", "created_at", *mirrored})
    return [f"this database mirrors no metadata as tag {', '.join(missing)} (setting tags)"] if missing else []


def class_note(new: Sequence[Rule], written: str | None) -> list[str]:
    """Where records are written to a class (the `storage_class` setting) out of which S3 does not move them as wanted."""
    if written not in CLASSES:
        return []
    names = dict.fromkeys(move["StorageClass"] for rule in new for move in rule.get("Transitions", ()))
    stuck = [name for name in names if CLASSES.index(name) <= CLASSES.index(written)]
    return [f"records are written to {written}, and S3 moves nothing from there to {', '.join(stuck)}"] if stuck else []


def packs_notes(new: Sequence[Rule], packs: Sequence[PackFile]) -> list[str]:
    """How many of the packs that there are the rules would move, and what comes of that."""
    moving = [rule for rule in new if "Transitions" in rule]
    if not moving:
        return []
    chosen = [replace(Selection.of(rule), tags={}) for rule in moving]
    large = [file for file in packs if any(one.takes(file.line.key, file.line.size) for one in chosen)]
    bytes_of_all = size(sum(file.line.size for file in large))
    notes = [
        "only packs move: records with objects of their own stay until compact() packs them",
        f"of {counted(len(packs), 'pack')} that there are, {len(large):,} are large enough ({bytes_of_all})",
    ]
    if any(Selection.of(rule).tags for rule in moving):
        notes.append("a pack has the tags that all its records share, and is chosen by those")
    cold = any(move["StorageClass"] in ARCHIVES for rule in moving for move in rule["Transitions"])
    if cold and (note := without_ids_note(large)):
        notes.append(note)
    return notes


def _moves(rule: Rule) -> list[dict[str, Any]]:
    return [*rule.get("Transitions", ()), *rule.get("NoncurrentVersionTransitions", ())]


def _rule_notes(rule: Rule, prices: Prices) -> Iterator[str]:
    where, classes = Selection.of(rule), [move["StorageClass"] for move in _moves(rule)]
    if not where.prefix:
        yield "this database has no prefix: its rules are for all objects of the bucket, also those of others"
    if classes and where.larger is not None and where.larger >= SMALL_BYTES:
        yield (
            f"objects of up to {where.larger:,} bytes stay where they are: S3 moves none under 128 KB unless told to "
            "(larger_than_bytes), because each has to be paid for as larger than it is"
        )
    elif classes:
        yield from _small_notes(where, classes, prices)
    cold = [name for name in ARCHIVES for move in rule.get("Transitions", ()) if move["StorageClass"] == name]
    if cold:
        yield f"a record in {' or '.join(cold)} cannot be read until restore() has brought it back, which takes hours"
    if "ExpiredObjectDeleteMarker" in rule.get("Expiration", {}):
        yield "of records that were deleted, the deletion is forgotten when no older version is left"


def _small_notes(where: Selection, classes: Sequence[str], prices: Prices) -> Iterator[str]:
    for name in classes:
        least = worth_bytes(name, prices)
        if (where.larger or 0) + 1 < least:
            yield (
                f"objects of {(where.larger or 0) + 1:,} to {least - 1:,} bytes cost more a month in {name} than in STANDARD: "
                f"{_billing(name, prices)} ({prices})"
            )


def _billing(name: str, prices: Prices) -> str:
    of = prices.classes[name]
    if of.overhead_bytes:
        return f"each is billed {of.overhead_bytes // 1024} KB more, and {of.overhead_standard_bytes // 1024} KB at STANDARD's price"
    return f"each is billed as {of.minimum_bytes // 1024} KB"


def worth_bytes(name: str, prices: Prices) -> int:
    """From how many bytes on an object costs no more a month in a class than in STANDARD; at most SMALL_BYTES."""
    return bisect_left(
        range(SMALL_BYTES), True, key=lambda size: prices.month(name, size) <= prices.month("STANDARD", size)
    )


def _draft_notes(draft: Draft, prices: Prices) -> Iterator[str]:
    moves, end = draft.actions.get("Transitions", []), draft.actions.get("Expiration", {})
    if "AbortIncompleteMultipartUpload" in draft.actions and not draft.selection.plain:
        yield "an unfinished upload has no tags and no size: all of them below the prefix are thrown away"
    if moves and all("Days" in one for one in (*moves, end)):
        last = max(moves, key=lambda move: int(move["Days"]))
        of, stays = prices.classes.get(last["StorageClass"]), end["Days"] - last["Days"]
        if of and stays < of.minimum_days:
            yield f"{of.name} is paid for {of.minimum_days} days, though objects are deleted there after {stays}"


def _move_prices(new: Sequence[Rule], prices: Prices) -> Iterator[str]:
    names = dict.fromkeys(move["StorageClass"] for rule in new for move in _moves(rule))
    known = {name: of.transition for name in names if (of := prices.classes.get(name)) and of.transition}
    if known:
        said = ", ".join(f"{name} ${price:g}" for name, price in known.items())
        yield f"each object that S3 moves is paid for; per 1,000: {said} ({prices})"
