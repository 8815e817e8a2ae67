"""What is refused although S3 would take it. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.lifecycle.checks import Draft
from dataknobs_data.s3.admin.lifecycle.rules import Rule


def check_ids(new: Sequence[Rule]) -> None:
    """Raises ConfigurationError where two rules would be one."""
    ids = [rule["ID"] for rule in new]
    twice = next((id for id in ids if ids.count(id) > 1), None)
    if twice:
        raise ConfigurationError(
            f"two lifecycle rules would have the ID {twice!r}: give them names that differ in letters or digits"
        )


def check_form(others: Sequence[Rule]) -> None:
    """AWS answers "Filter element can only be used in Lifecycle V2" where rules of both forms are together
    (https://github.com/aws/aws-sdk-ruby/issues/1653); other stores take them.
    """
    earlier = [rule.get("ID", "without an ID") for rule in others if "Filter" not in rule]
    if earlier:
        raise ConfigurationError(
            f"the bucket has lifecycle rules in S3's earlier form, which cannot stand beside new ones: {', '.join(earlier)}. "
            "Write each of them with Filter: {Prefix: …} in place of Prefix first; it means the same"
        )


def refuse_deletion(drafts: Sequence[Draft], allowed: bool, *, tiered: bool) -> None:
    """Raises ConfigurationError where records would be deleted and nobody has said that this is meant."""
    for draft in drafts:
        deletes = draft.actions.get("Expiration", {}).keys() & {"Days", "Date"}
        if deletes and tiered:
            raise ConfigurationError(
                f"{draft.who} lets S3 delete objects of a database that may have records in packs: the log names packs that are "
                "gone then, and without tombstones deleted records come back. Delete records with "
                "batch_delete([found.id for found in search(…)]), and what is left of them with noncurrent_days"
            )
        if deletes and not allowed:
            raise ConfigurationError(
                f"{draft.who} lets S3 delete records, without a word to anybody and, where no versions are kept, for good; "
                "if that is meant: allow_deleting_records=True (--allow-deleting-records). To move them to a cheaper class: transition"
            )
