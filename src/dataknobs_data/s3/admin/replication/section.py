"""Copies of every write in another bucket, in another region if one likes: one rule of the bucket's replication.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication.html

A store that does not know `?replication` may take DELETE for the deletion of the bucket and PUT for its creation (SeaweedFS
4.48 does both). So nothing is deleted that the store has not shown before, and nothing is put to a bucket that was not seen.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    IncompatibleStoreError,
    RecordNotFoundError,
)
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.admin.heads import headers_of_record
from dataknobs_data.s3.admin.plan import Configuration, Plan
from dataknobs_data.s3.admin.policy.documents import Scope
from dataknobs_data.s3.admin.replication.role import RoleDocuments, role_documents
from dataknobs_data.s3.admin.replication.rule import Wish, adding, removing, rule_id_start, rule_name
from dataknobs_data.s3.admin.versions import Versioning
from dataknobs_data.s3.store import Fault, Kind

_MISTAKEN = frozenset({"BucketAlreadyExists", "BucketAlreadyOwnedByYou"})
"""What a store says that takes PutBucketReplication for CreateBucket."""

_OUT_OF_SIGHT = frozenset({Kind.DENIED, Kind.REGION})


class Replication(Configuration):
    """Copies of every write in another bucket.

    A rule copies what is written below this database's prefix from then on. Replicas are read with another S3Database: the
    other bucket, the same prefix. Rules of others stay as they are.
    """

    what = "replication"

    def __init__(self, control: Control, bucket_changed: Callable[[], None] = lambda: None) -> None:
        super().__init__(control)
        self._bucket_changed = bucket_changed

    def rules(self) -> list[dict[str, Any]]:
        """All rules of the bucket as S3 has them, whoever made them."""
        rules: list[dict[str, Any]] = (self._read() or {"Rules": []})["Rules"]
        return rules

    def ours(self) -> list[dict[str, Any]]:
        """The rules that `add` made for this database."""
        return [rule for rule in self.rules() if rule_name(rule, self._start) is not None]

    def add(
        self,
        to_bucket: str,
        *,
        role: str,
        name: str = "replica",
        account: str | None = None,
        storage_class: str | None = None,
        kms_key: str | None = None,
        delete_markers: bool = True,
        time_control: bool = False,
        enable_versioning: bool = False,
        dry_run: bool = False,
    ) -> Plan:
        """Copies to `to_bucket` whatever is written to this database from now on; or changes the rule of that name.

        to_bucket          name or ARN of a bucket that keeps versions, in any region
        role               ARN of the IAM role that S3 copies with; `role_documents` says what it must be allowed
        name               of the rule, where there are several targets
        account            the account that owns the other bucket, if it is another: replicas then belong to it
        storage_class      of the replicas; default: that of the original
        kms_key            ARN of a KMS key in the other bucket's region: copies records encrypted with KMS, too, and encrypts
                           the replicas with it. Without it, records encrypted with KMS are not copied
        delete_markers     a record deleted here is deleted there; False: it lives on there (objects layout only)
        time_control       S3 Replication Time Control: 99.9% of the copies within 15 minutes, for a price, with metrics
        enable_versioning  switch versioning on in this bucket, where it is off

        Raises ConfigurationError for what makes no sense or cannot be while others' rules stand, DatabaseConnectionError where
        a permission is missing, IncompatibleStoreError where the store cannot replicate.
        """
        wish = Wish.checked(
            prefix=self._control.keys.prefix,
            source=self._control.place.bucket,
            to_bucket=to_bucket,
            partition=self._partition,
            role=role,
            name=name,
            account=account,
            storage_class=storage_class,
            kms_key=kms_key,
            delete_markers=delete_markers,
            time_control=time_control,
        )
        decide = adding(wish, self._start, self._control.settings.encryption, tiered=self._control.packed.exists)
        decide(self._read())  # what cannot be is said before versioning is switched on
        keeps_versions = self._check_source(enable_versioning)
        about_target = self._check_target(wish)
        notes = [*([] if keeps_versions else self._switch_versioning(dry_run)), *about_target]
        return self._change(lambda before: _with_notes(decide(before), notes), dry_run=dry_run)

    def remove(self, name: str | None = None, *, dry_run: bool = False) -> Plan:
        """Takes away this database's rule of that name, or all of them. Replicas that there are stay, others' rules too."""
        return self._change(removing(self._start, name), dry_run=dry_run)

    def status(self, id: str) -> str | None:
        """How far the record's copy is: "PENDING", "COMPLETED" (in all targets), "FAILED"; "REPLICA" for what is one itself;
        None where no rule applied when it was written. Of a record in a pack: how far the pack's is. Raises
        RecordNotFoundError where there is no such record.

        https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-status.html
        """
        held = headers_of_record(self._control, id, f"reading the replication status of record {id!r}")
        if held is None:
            raise RecordNotFoundError(f"there is no record {id!r}", id=id)
        found: str | None = held.headers.get("ReplicationStatus")
        return found

    def role_documents(
        self, to_bucket: str, *, account: str | None = None, kms_key: str | None = None, role: str | None = None
    ) -> RoleDocuments:
        """What the IAM role must be: who may use it, what it may do, and the commands that make it. Changes nothing.

        account   as for `add`: then also the policy that the other bucket needs, for which `role` must be named
        kms_key   as for `add`
        """
        settings = self._control.settings
        return role_documents(
            source=self._control.place.bucket,
            prefix=self._control.keys.prefix,
            to_bucket=to_bucket,
            partition=self._partition,
            account=account,
            kms_key=kms_key,
            role=role,
            region=settings.region,
            encryption=settings.encryption,
        )

    # ------------------------------------------------------------------ both buckets must keep versions
    def _check_source(self, enable: bool) -> bool:
        """Whether it does; refused where not, and that is not to be changed either."""
        enabled = Versioning(self._control).status() == "Enabled"
        if not enabled and not enable:
            raise ConfigurationError(
                f"replication needs a bucket that keeps versions, and {self._control.place} keeps none: "
                "enable_versioning() first, or add(…, enable_versioning=True) (--enable-versioning)"
            )
        return enabled

    def _switch_versioning(self, dry_run: bool) -> list[str]:
        plan = Versioning(self._control).enable(dry_run=dry_run)
        if plan.applied:
            self._bucket_changed()
        return [
            f"versioning of this bucket {'is switched on now' if plan.applied else 'will be switched on'}",
            *plan.notes,
        ]

    def _check_target(self, wish: Wish) -> list[str]:
        doing = f"reading whether the target bucket {wish.bucket!r} keeps versions"
        owner: Any = {"ExpectedBucketOwner": wish.account} if wish.account else {}
        try:
            status = self._control.attempt("GetBucketVersioning", Bucket=wish.bucket, **owner).get("Status")
        except Fault as fault:
            if fault.kind in _OUT_OF_SIGHT:
                return [
                    f"whether bucket {wish.bucket!r} keeps versions could not be looked up ({fault.kind.value}); it must"
                ]
            if fault.kind is Kind.NO_BUCKET:
                raise DatabaseConnectionError(
                    f"there is no bucket {wish.bucket!r} to replicate to: make it, and switch its versioning on",
                    bucket=wish.bucket,
                ) from fault
            raise self._control.error("GetBucketVersioning", doing, fault) from fault
        if status != "Enabled":
            raise ConfigurationError(
                f"replication needs a target that keeps versions, and bucket {wish.bucket!r} keeps none: aws s3api "
                f"put-bucket-versioning --bucket {wish.bucket} --versioning-configuration Status=Enabled"
            )
        return []

    # ------------------------------------------------------------------ see Configuration
    @property
    def _partition(self) -> str:
        """AWS's part of the world, in which both buckets are: S3 copies to no other."""
        return Scope.of(self._control.settings, self._control.place.endpoint).partition

    @property
    def _start(self) -> str:
        return rule_id_start(self._control.keys.prefix)

    def _read(self) -> dict[str, Any] | None:
        answer = self._control.look("GetBucketReplication", "reading the bucket's replication")
        found: dict[str, Any] | None = answer and answer.get("ReplicationConfiguration")
        return found

    def _write(self, value: Any) -> None:
        doing = "changing the bucket's replication"
        if value is None:
            self._control.send("DeleteBucketReplication", doing)
            return
        try:
            self._control.attempt("PutBucketReplication", ReplicationConfiguration=value)
        except Fault as fault:
            if fault.code in _MISTAKEN:
                raise IncompatibleStoreError(
                    f"{self._control.place} knows no replication configurations (it took this one for a new bucket: {fault}); "
                    "set up replication with the store's own tools",
                    code=fault.code,
                ) from fault
            raise self._control.error("PutBucketReplication", doing, fault) from fault

    def _same(self, sent: Any, found: Any) -> bool:
        """The order of rules means nothing: their priorities do."""
        return bool(_unordered(sent) == _unordered(found))


def _unordered(configuration: dict[str, Any] | None) -> Any:
    return configuration and (
        configuration["Role"],
        sorted(configuration["Rules"], key=lambda rule: str(rule.get("ID"))),
    )


def _with_notes(decided: tuple[Any, list[str]], notes: list[str]) -> tuple[Any, list[str]]:
    after, said = decided
    return after, [*notes, *said]
