"""Lifecycle rules: what moves to another storage class, and what is deleted, when.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lifecycle-mgmt.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from dataknobs_data.exceptions import (
    ConfigurationError,
    DataknobsDataError,
)
from dataknobs_data.s3.admin.control import PERMISSIONS, Control
from dataknobs_data.s3.admin.lifecycle.checks import Draft
from dataknobs_data.s3.admin.lifecycle.companions import Companions
from dataknobs_data.s3.admin.lifecycle.dangers import endangering
from dataknobs_data.s3.admin.lifecycle.drafts import (
    UPLOADS_DAYS,
    check_name,
    draft_of,
    prefix_of_ids,
    rules_of,
    uploads_rule,
)
from dataknobs_data.s3.admin.lifecycle.merging import drafts_of
from dataknobs_data.s3.admin.lifecycle.notes import class_note, notes_on, packs_notes, tag_note
from dataknobs_data.s3.admin.lifecycle.refusals import check_form, check_ids, refuse_deletion
from dataknobs_data.s3.admin.lifecycle.rules import (
    DEFAULT_MINIMUM,
    RULES_MAX,
    Namespace,
    Rule,
    Selection,
    base,
    replaced,
    same,
    tidy,
    words,
)
from dataknobs_data.s3.admin.plan import Configuration, Plan
from dataknobs_data.s3.admin.versions import Versioning
from dataknobs_data.s3.costs.prices import default_prices
from dataknobs_data.s3.faults import translated
from dataknobs_data.spelling import did_you_mean

if TYPE_CHECKING:
    from dataknobs_data.s3.tiered.indexing import Indexed

MINIMUM = "TransitionDefaultMinimumObjectSize"


class Lifecycle(Configuration):
    """Rules by which S3 itself moves records to cheaper storage classes, and deletes old versions and unfinished uploads.

    A database knows its own rules by their IDs, "dataknobs-data:{prefix}:{name}", and never touches others. S3 carries rules
    out once a day, at midnight UTC; a new one takes hold within minutes.
    """

    what = "lifecycle"

    def __init__(self, control: Control, index: Callable[[], Indexed] | None = None) -> None:
        """`index`: gives all packs companions, where there may be packs."""
        super().__init__(control)
        self._companions = Companions(control, index)
        self._names = Namespace(control.keys.prefix)

    # ------------------------------------------------------------------ looking
    def rules(self) -> list[Rule]:
        """All rules of the bucket, in S3's form, whoever's they are."""
        return _rules(self._read())

    def ours(self) -> list[Rule]:
        """The rules of this database."""
        return [rule for rule in self.rules() if self._names.name(rule)]

    # ------------------------------------------------------------------ changing
    def add(
        self,
        name: str = "archive",
        *,
        transition: Mapping[str, int] | None = None,
        expire_days: int | None = None,
        noncurrent_days: int | None = None,
        noncurrent_keep: int | None = None,
        noncurrent_transition: Mapping[str, int] | None = None,
        abort_uploads_days: int | None = None,
        id_prefix: str = "",
        tags: Mapping[str, str] | None = None,
        larger_than_bytes: int | None = None,
        smaller_than_bytes: int | None = None,
        allow_deleting_records: bool = False,
        dry_run: bool = False,
    ) -> Plan:
        """Adds rules under a name, or replaces those of that name; all others in the bucket stay as they are.

        What is to be done:

        transition              storage class → days after a record was last written, such as
                                {"STANDARD_IA": 30, "GLACIER": 90}; in the tiered layout: after its pack was, and only packs move
        noncurrent_days         delete versions so many days after they were overwritten or deleted
        noncurrent_keep         of these keep the newest so many (1 to 100), however old
        noncurrent_transition   as `transition`, for versions, in days after they were overwritten or deleted
        abort_uploads_days      throw away what is left of failed uploads; None: after 7 days, unless a rule does so already
        expire_days             DELETE RECORDS so many days after they were last written; only with allow_deleting_records, and
                                only in the objects layout

        Of which records:

        id_prefix               whose ids begin so, such as "2024/"; not to move packs, which have records of many ids
        tags                    that have all these tags (see the `tags` setting)
        larger_than_bytes       whose documents are larger; None: 131,072 for transitions, below which they cost more than
                                they save, and no limit for all else
        smaller_than_bytes      whose documents are smaller

        dry_run: only say what would be changed. The answer is a Plan: `.diff()` shows it, `.notes` say what one should know.
        Raises ConfigurationError for what S3 would refuse, before anything is sent.
        """
        keys = prefix_of_ids(self._control.keys, id_prefix)
        draft = draft_of(
            name,
            Selection(keys, {} if tags is None else tags, larger_than_bytes, smaller_than_bytes),
            transition=transition,
            expire_days=expire_days,
            noncurrent_days=noncurrent_days,
            noncurrent_keep=noncurrent_keep,
            noncurrent_transition=noncurrent_transition,
            abort_uploads_days=abort_uploads_days,
        )
        return self._put([draft], keys, [], allow_deleting_records, dry_run)

    def preview(self, name: str = "archive", **wanted: Any) -> Plan:
        """What `add` would change with the same arguments."""
        return self.add(name, **{**wanted, "dry_run": True})

    def merge(
        self,
        configuration: Mapping[str, Any],
        *,
        id_prefix: str = "",
        larger_than_bytes: int | None = None,
        allow_deleting_records: bool = False,
        dry_run: bool = False,
    ) -> Plan:
        """Adds the rules of a configuration as boto3 takes it, {"Rules": […]}, corrected for this database.

        They get IDs of this database, filters for its keys and for a size (`id_prefix` and `larger_than_bytes` for those that
        name none), and unfinished uploads are thrown away after 7 days if nothing else does that. Each correction stands in
        the notes of the Plan. Rules of the same names are replaced; all others in the bucket stay as they are. Else as `add`.
        """
        keys = prefix_of_ids(self._control.keys, id_prefix)
        whole = self._control.keys.prefix
        drafts, notes = drafts_of(configuration, self._names, whole, keys, larger_than_bytes)
        return self._put(drafts, keys, notes, allow_deleting_records, dry_run)

    def remove(self, name: str | None = None, *, dry_run: bool = False) -> Plan:
        """Removes this database's rules of one name, or all of them; never those of others."""
        if name is not None:
            check_name(name)

        def decide(before: Any) -> tuple[Any, list[str]]:
            rules = _rules(before)
            names = {found for rule in rules if (found := self._names.name(rule))}
            notes = [] if name is None or name in names else [f"there is no rule {name!r}; {did_you_mean(name, names)}"]
            kept = [rule for rule in rules if not ((own := self._names.name(rule)) and name in (None, own))]
            return ({**before, "Rules": kept} if kept else None), notes

        return self._change(decide, dry_run=dry_run)

    def _put(self, drafts: Sequence[Draft], keys: str, notes: list[str], may_delete: bool, dry_run: bool) -> Plan:
        packed = self._control.packed
        packs = self._control.keys.packs if packed.exists else None
        refuse_deletion(drafts, may_delete, tiered=packed.exists)
        new = [rule for draft in drafts for rule in rules_of(draft, self._names, packs)]
        check_ids(new)
        notes = [*notes, *notes_on(drafts, new, default_prices())]
        if packed.exists:
            notes += [*([] if dry_run else self._companions.before(new)), *self._packs_notes(new)]
        settings = self._control.settings
        notes += [*tag_note(drafts, settings.tags), *class_note(new, settings.storage_class), *self._version_notes(new)]
        bases = {base(draft.name) for draft in drafts}
        said_so = any("AbortIncompleteMultipartUpload" in rule for rule in new)

        def decide(before: Any) -> tuple[Any, list[str]]:
            others = [rule for rule in _rules(before) if self._names.name(rule) not in bases]
            if self._control.place.behaves_like_aws:
                check_form(others)
            uploads = None if said_so else uploads_rule(drafts[0].name, keys, others, self._names)
            wanted = [*new, uploads] if uploads else new
            after = replaced(_rules(before), wanted, lambda rule: self._names.name(rule) in bases)
            if len(after) > RULES_MAX:
                raise ConfigurationError(
                    f"that makes {len(after):,} lifecycle rules; a bucket has at most {RULES_MAX:,}"
                )
            added = [f"unfinished uploads are thrown away after {UPLOADS_DAYS} days"] if uploads else []
            ended = self._ended(before, bases, {rule["ID"] for rule in wanted})
            return tidy({**(before or {}), "Rules": after}), [*notes, *added, *ended, *self._dangers(others, before)]

        return self._change(decide, dry_run=dry_run)

    # ------------------------------------------------------------------ packs
    def write_companions(self) -> int:
        """Gives every pack that lacks one the small companion by which its records are counted, listed, changed and deleted while
        it lies in an archive; from now on packs are written with theirs. How many got one.

        `add` and `merge` do so before they set a rule that archives packs; this is for rules that others set. Reads some columns
        of each pack once. Raises ConfigurationError in the objects layout.
        """
        return self._companions.write().packs

    # ------------------------------------------------------------------ what one should know
    def dangers(self) -> list[str]:
        """What the bucket's rules, whoever's they are, will do to this database that they must not: delete its records, delete
        or archive its control files, archive packs that have no companions. One sentence for each.
        """
        found = self._read()
        rules, keys, packed = _rules(found), self._control.keys, self._control.packed
        dangers = endangering(rules, keys, minimum=(found or {}).get(MINIMUM), tiered=packed.exists)
        return [*dangers, *self._companions.dangers(rules)]

    def _packs_notes(self, new: Sequence[Rule]) -> list[str]:
        with translated("listing packs", self._control.place, needs=PERMISSIONS["ListObjectsV2"]):
            return packs_notes(new, self._control.packed.files())

    def _settled(self, sent: Any) -> list[str]:
        notes = super()._settled(sent)
        if not notes:
            return []
        try:
            kept = endangering(self.ours(), self._control.keys, tiered=self._control.packed.exists)
        except DataknobsDataError:
            return notes  # which say that it cannot be read
        dangers = [said for said in kept if self._control.packed.exists or self._control.keys.format in said]
        return [*notes, *(f"beware, as the store kept it, {said}" for said in dangers)]

    def _ended(self, before: Any, bases: set[str], wanted: set[str]) -> list[str]:
        """What rules did that go because another is called so now."""
        owned = [(self._names.name(rule), rule) for rule in _rules(before)]
        return [
            f"what {name!r} did so far ends, for rules of one name are replaced; under another name it stays: {words(rule)}"
            for name, rule in owned
            if name in bases and rule["ID"] not in wanted
        ]

    def _dangers(self, others: Sequence[Rule], before: Any) -> list[str]:
        foreign = [rule for rule in others if self._names.name(rule) is None]
        minimum, tiered = (before or {}).get(MINIMUM), self._control.packed.exists
        found = endangering(foreign, self._control.keys, minimum=minimum, tiered=tiered)
        return [f"beware, somebody else's {said}" for said in found]

    def _version_notes(self, new: Sequence[Rule]) -> list[str]:
        old = any(action.startswith("Noncurrent") for rule in new for action in rule)
        deleting = any(rule.get("Expiration", {}).keys() & {"Days", "Date"} for rule in new)
        if not old and not deleting:
            return []
        try:
            status = Versioning(self._control).status()
        except DataknobsDataError as error:
            return [f"whether the bucket keeps versions could not be seen: {error}"]
        if old and status is None:
            return ["the bucket keeps no versions, so there are no old ones to move or delete: enable_versioning()"]
        if deleting and status is not None:
            return [
                "the bucket keeps versions: a record that expires is hidden by a deletion, and paid for until noncurrent_days"
            ]
        return []

    # ------------------------------------------------------------------ S3
    def _read(self) -> dict[str, Any] | None:
        answer = self._control.look("GetBucketLifecycleConfiguration", "reading the lifecycle rules")
        if answer is None:
            return None
        return tidy({name: value for name, value in answer.items() if name != "ResponseMetadata"})

    def _write(self, value: dict[str, Any] | None) -> None:
        if value is None:
            self._control.send("DeleteBucketLifecycle", "removing the last lifecycle rule")
            return
        moves = any("Transitions" in rule or "NoncurrentVersionTransitions" in rule for rule in value["Rules"])
        doing = f"writing lifecycle rules{' that move objects between storage classes' if moves else ''}"
        beside = {name: given for name, given in value.items() if name != "Rules"}  # S3 resets what is not sent
        self._control.send(
            "PutBucketLifecycleConfiguration", doing, LifecycleConfiguration={"Rules": value["Rules"]}, **beside
        )

    def _same(self, sent: Any, found: Any) -> bool:
        minimum = {MINIMUM: DEFAULT_MINIMUM}  # what S3 takes where none is sent
        return same(sent and {**minimum, **sent}, found and {**minimum, **found})


def _rules(configuration: Any) -> list[Rule]:
    return list(configuration.get("Rules", ())) if configuration else []
