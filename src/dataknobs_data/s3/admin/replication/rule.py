"""What a replication configuration becomes: pure decisions over its form in S3's API reference.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.lifecycle.rules import Namespace
from dataknobs_data.s3.archive.states import ARCHIVES
from dataknobs_data.s3.encryption import SSE_S3, Encryption
from dataknobs_data.spelling import did_you_mean

RULES_MAX = 1000
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketReplication.html"""

REPLICA_CLASSES = (
    "STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING", "GLACIER", "DEEP_ARCHIVE",
    "GLACIER_IR",
)  # fmt: skip
"""Of general purpose buckets; https://docs.aws.amazon.com/AmazonS3/latest/API/API_Destination.html."""

_NAME = re.compile(r"[A-Za-z0-9_-]{1,40}")
_BUCKET_ARN = re.compile(r"arn:(aws[a-z-]*):s3:::([A-Za-z0-9._-]{1,255})")
_BUCKET_NAME = re.compile(r"[A-Za-z0-9._-]{1,255}")
_ROLE = re.compile(r"arn:aws[a-z-]*:iam::\d{12}:role/[!-~]+")
_ACCOUNT = re.compile(r"\d{12}")
_KMS_ARN = re.compile(r"arn:aws[a-z-]*:kms:([a-z0-9-]+):(\d{12}):(key|alias)/[!-~]+")

Configured = dict[str, Any] | None
Decision = tuple[Configured, list[str]]

NEW_ONLY_NOTE = (
    "only what is written from now on is copied; for records that there are, S3 Batch Replication is the tool "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-batch-replication-batch.html)"
)
DELETES_NOTE = (
    "what a lifecycle rule deletes here stays there, and so does a version that is deleted by its id "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-what-is-isnot-replicated.html)"
)
LIVES_ON_NOTE = "a record that is deleted here lives on there, because deletions are not copied"
COST_NOTE = (
    "paid for: the PUTs there, the storage there, and the transfer between regions "
    "(https://aws.amazon.com/s3/pricing/, Replication)"
)
TIME_NOTE = (
    "Replication Time Control is paid for by the gigabyte, its metrics as CloudWatch's; deletions are outside of its promise "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-time-control.html)"
)
KMS_LEFT_OUT_NOTE = (
    "this database encrypts with KMS, and without kms_key such records are NOT copied "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html)"
)
ORDER_NOTE = (
    "S3 copies objects in no order: until all of them are there, a replica may miss a pack that its log names "
    "(SnapshotExpiredError: read again later), or show a record as it was before; only read there, and do not compact or vacuum"
)
COLD_TABLE_NOTE = "in an archive class not even the table's log can be read there: such a replica is no database before all of it is restored"
COLD_NOTE = "replicas in an archive class must be restored before they can be read"
STAY_NOTE = "the replicas that there are stay"


def rule_id_start(prefix: str) -> str:
    """What the IDs of this database's rules begin with."""
    return Namespace(prefix).start


def rule_name(rule: dict[str, Any], start: str) -> str | None:
    """The name of a rule of this database's, None for others'."""
    id: str = rule.get("ID", "")
    name = id.removeprefix(start)
    return name if id.startswith(start) and _NAME.fullmatch(name) else None


def bucket_of(to_bucket: str, partition: str) -> tuple[str, str]:
    """(name, ARN) of a target given as either; a name is one in `partition`. Raises ConfigurationError."""
    arn = _BUCKET_ARN.fullmatch(to_bucket)
    if arn:
        return arn[2], to_bucket
    if not _BUCKET_NAME.fullmatch(to_bucket):
        raise ConfigurationError(
            f"replication: to_bucket {to_bucket!r} is neither a bucket's name nor its ARN (arn:aws:s3:::NAME); replicas have "
            "the prefix of the originals"
        )
    return to_bucket, f"arn:{partition}:s3:::{to_bucket}"


def check_account(account: str | None) -> None:
    """Raises ConfigurationError for what is no account id."""
    if account is not None and not _ACCOUNT.fullmatch(account):
        raise ConfigurationError(f"replication: account {account!r} is no account id: 12 digits, as text")


def check_kms_key(kms_key: str | None) -> None:
    """Raises ConfigurationError for what S3 does not take as ReplicaKmsKeyID."""
    if kms_key is not None and not _KMS_ARN.fullmatch(kms_key):
        raise ConfigurationError(
            f"replication: kms_key {kms_key!r} must be the ARN of a KMS key or alias in the target's region "
            "(arn:aws:kms:REGION:ACCOUNT:key/ID)"
        )


def check_role(role: str) -> None:
    """Raises ConfigurationError for what is no role's ARN."""
    if not _ROLE.fullmatch(role):
        raise ConfigurationError(
            f"replication: role {role!r} is no ARN of an IAM role (arn:aws:iam::ACCOUNT:role/NAME); role_documents() says "
            "what it must be allowed, and how it is made"
        )


@dataclass(frozen=True)
class Wish:
    """A rule as somebody wants it, checked."""

    prefix: str
    bucket: str
    bucket_arn: str
    role: str
    name: str
    account: str | None
    storage_class: str | None
    kms_key: str | None
    delete_markers: bool
    time_control: bool

    @classmethod
    def checked(cls, *, source: str, to_bucket: str, partition: str, **given: Any) -> Wish:
        """Raises ConfigurationError naming what makes no sense."""
        bucket, arn = bucket_of(to_bucket, partition)
        wish = cls(bucket=bucket, bucket_arn=arn, **given)
        if bucket == source:
            raise ConfigurationError(f"replication: {bucket!r} is this database's own bucket; replicas need another")
        check_role(wish.role)
        if not _NAME.fullmatch(wish.name):
            raise ConfigurationError(
                f"replication: name {wish.name!r} must be 1 to 40 letters, digits, hyphens or underscores"
            )
        check_account(wish.account)
        if wish.storage_class is not None and wish.storage_class not in REPLICA_CLASSES:
            raise ConfigurationError(
                f"replication: storage_class {wish.storage_class!r} is none that replicas may have; "
                f"{did_you_mean(wish.storage_class, REPLICA_CLASSES)}"
            )
        check_kms_key(wish.kms_key)
        return wish

    def rule(self, start: str, priority: int) -> dict[str, Any]:
        """In V2 form: with Filter, DeleteMarkerReplication and Priority."""
        rule: dict[str, Any] = {
            "ID": start + self.name,
            "Priority": priority,
            "Filter": {"Prefix": self.prefix},
            "Status": "Enabled",
        }
        if self.kms_key:
            rule["SourceSelectionCriteria"] = {"SseKmsEncryptedObjects": {"Status": "Enabled"}}
        rule["Destination"] = self._destination()
        rule["DeleteMarkerReplication"] = {"Status": "Enabled" if self.delete_markers else "Disabled"}
        return rule

    def _destination(self) -> dict[str, Any]:
        destination: dict[str, Any] = {"Bucket": self.bucket_arn}
        if self.account:
            destination.update(Account=self.account, AccessControlTranslation={"Owner": "Destination"})
        if self.storage_class:
            destination["StorageClass"] = self.storage_class
        if self.kms_key:
            destination["EncryptionConfiguration"] = {"ReplicaKmsKeyID": self.kms_key}
        if self.time_control:  # 15 is the one value that S3 knows: API_ReplicationTimeValue
            destination["ReplicationTime"] = {"Status": "Enabled", "Time": {"Minutes": 15}}
            destination["Metrics"] = {"Status": "Enabled", "EventThreshold": {"Minutes": 15}}
        return destination

    def notes(self, encryption: str | None, *, tiered: bool = False) -> list[str]:
        """What one should know; `encryption`: the setting of the database. `tiered`: records may lie in packs."""
        cold = self.storage_class in ARCHIVES
        own = Encryption.parse(encryption)
        reading = f"replicas are read with another database: bucket {self.bucket!r}, the same prefix {self.prefix!r}"
        said = {
            NEW_ONLY_NOTE: True,
            LIVES_ON_NOTE: not self.delete_markers,
            DELETES_NOTE: True,
            KMS_LEFT_OUT_NOTE: own is not None and own.algorithm != SSE_S3 and not self.kms_key,
            COLD_NOTE: cold and not tiered,
            COLD_TABLE_NOTE: cold and tiered,
            ORDER_NOTE: tiered,
            TIME_NOTE: self.time_control,
            COST_NOTE: True,
            reading: True,
        }
        return [note for note, applies in said.items() if applies]


def adding(wish: Wish, start: str, encryption: str | None, *, tiered: bool = False) -> Callable[[Configured], Decision]:
    """The configuration with the wished rule, in the place of the one of its name if there is one; all else as it was.

    `tiered`: records may lie in packs.
    """
    if tiered and not wish.delete_markers:
        raise ConfigurationError(
            "replication: delete_markers=False makes no sense in the tiered layout: a deletion is a tombstone there, which is "
            "copied as any object is, and objects that compaction has taken away would stay there and hide what came later; "
            "leave it out"
        )

    def decide(before: Configured) -> Decision:
        rules: list[dict[str, Any]] = before["Rules"] if before else []
        old = next((rule for rule in rules if rule.get("ID") == start + wish.name), None)
        others = [rule for rule in rules if rule is not old]
        _check_others(wish, before, others)
        new = wish.rule(start, _priority(old, others))
        after = [new if rule is old else rule for rule in rules] if old else [*rules, new]
        configuration = {**(before or {}), "Role": wish.role, "Rules": after}
        return configuration, [*_overlaps(wish, others), *wish.notes(encryption, tiered=tiered)]

    return decide


def _priority(old: dict[str, Any] | None, others: list[dict[str, Any]]) -> int:
    if old and "Priority" in old:
        return int(old["Priority"])
    return max((rule.get("Priority", 0) for rule in others), default=0) + 1


def _check_others(wish: Wish, before: Configured, others: list[dict[str, Any]]) -> None:
    earlier = [rule.get("ID", "without an ID") for rule in others if "Filter" not in rule and "Prefix" in rule]
    if earlier:
        raise ConfigurationError(
            f"replication: the bucket has rules in S3's earlier form, which cannot stand beside new ones: {', '.join(earlier)}. "
            "Give each of them Filter, Priority and DeleteMarkerReplication in place of Prefix first "
            "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-add-config.html#replication-backward-compat-considerations)"
        )
    if before and others and before["Role"] != wish.role:
        raise ConfigurationError(
            f"replication: the bucket's other rules use the role {before['Role']}, and all rules of a bucket share one: "
            "pass that role, after giving it the permissions of role_documents()"
        )
    if len(others) >= RULES_MAX:
        raise ConfigurationError(f"replication: the bucket has {len(others)} rules, and S3 allows {RULES_MAX}")


def _overlaps(wish: Wish, others: list[dict[str, Any]]) -> list[str]:
    """Of two rules for the same objects and target only the one of higher priority counts: API_ReplicationRule."""
    return [
        f"rule {rule.get('ID')!r} copies some of the same objects to the same bucket: of the two, the one with the higher "
        "Priority counts"
        for rule in others
        if rule["Destination"]["Bucket"] == wish.bucket_arn and _meet(wish.prefix, _prefix_of(rule))
    ]


def _meet(one: str, other: str) -> bool:
    return one.startswith(other) or other.startswith(one)


def _prefix_of(rule: dict[str, Any]) -> str:
    filter = rule.get("Filter", {})
    prefix: str = filter.get("Prefix") or filter.get("And", {}).get("Prefix") or ""
    return prefix


def removing(start: str, name: str | None) -> Callable[[Configured], Decision]:
    """The configuration without this database's rules, or the one of that name; None where no rule is left."""

    def decide(before: Configured) -> Decision:
        ours = (
            {rule["ID"]: rule_name(rule, start) for rule in before["Rules"] if rule_name(rule, start)} if before else {}
        )
        gone = {id for id, its_name in ours.items() if name in (None, its_name)}
        if before is None or not gone:
            known = ", ".join(str(one) for one in ours.values())
            missing = f"there is no rule {name!r} of this database" if name else "this database has no rule"
            return before, [f"{missing}; there are: {known}" if known else missing]
        left = [rule for rule in before["Rules"] if rule.get("ID") not in gone]
        return ({**before, "Rules": left} if left else None), [STAY_NOTE]

    return decide
