"""The lock on public access: whatever policies and ACLs say, nobody without credentials gets in.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-control-block-public-access.html
"""

from __future__ import annotations

from typing import Any

from dataknobs_data.exceptions import IncompatibleStoreError
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.admin.plan import Configuration, Plan
from dataknobs_data.s3.store import Fault, Kind

BLOCKS = ("BlockPublicAcls", "IgnorePublicAcls", "BlockPublicPolicy", "RestrictPublicBuckets")
"""https://docs.aws.amazon.com/AmazonS3/latest/API/API_PublicAccessBlockConfiguration.html"""

IS_PUBLIC_NOTE = (
    "the bucket's policy makes something public now, which ends with this; grant those who need it by name "
    "(policy.grant), or put CloudFront before the bucket"
)
ACCOUNT_NOTE = "what the account blocks (s3control put-public-access-block) stays blocked"
ALLOWS_NOTE = "policies and ACLs that make something public work again"


class PublicAccess(Configuration):
    """The bucket's public access block: four switches, which AWS turns on for new buckets."""

    what = "public access block"

    def __init__(self, control: Control) -> None:
        super().__init__(control)

    def get(self) -> dict[str, bool] | None:
        """The four switches by their names in S3's API, None where nothing was set.

        BlockPublicAcls, BlockPublicPolicy     refuse what would make something public
        IgnorePublicAcls, RestrictPublicBuckets  make what is public already reachable for the owner's account only
        """
        found: dict[str, bool] | None = self._read()
        return found

    def block(self, *, dry_run: bool = False) -> Plan:
        """Turns all four on, for the whole bucket."""
        return self._change(
            lambda before: ({**(before or {}), **dict.fromkeys(BLOCKS, True)}, self._notes(before)), dry_run=dry_run
        )

    def remove(self, *, dry_run: bool = False) -> Plan:
        """Takes the block away: the bucket is as public as its policy and ACLs say."""
        return self._change(lambda before: (None, [ALLOWS_NOTE, ACCOUNT_NOTE] if before else []), dry_run=dry_run)

    def _notes(self, before: Any) -> list[str]:
        blocked = bool(before) and before.get("BlockPublicPolicy") and before.get("RestrictPublicBuckets")
        return [] if blocked or not self._is_public() else [IS_PUBLIC_NOTE]

    def _is_public(self) -> bool:
        """Whether S3 calls the bucket's policy public; where it does not say so, False."""
        try:
            answer = self._control.attempt("GetBucketPolicyStatus")
        except Fault as fault:
            if fault.kind in (Kind.UNSET, Kind.UNSUPPORTED):
                return False
            raise self._control.error("GetBucketPolicyStatus", "looking whether the bucket is public", fault) from fault
        return bool(answer["PolicyStatus"]["IsPublic"])

    def _read(self) -> Any:
        try:
            return self._control.attempt("GetPublicAccessBlock")["PublicAccessBlockConfiguration"]
        except Fault as fault:
            if fault.kind is Kind.UNSET:
                return None
            if fault.kind is Kind.UNSUPPORTED:
                raise IncompatibleStoreError(
                    f"{self._control.place} knows no public access block ({fault}): there, what the bucket's policy says is all "
                    "that counts, see policy.get(), and what the server itself lets people do who do not sign their requests",
                    status=fault.status,
                    code=fault.code,
                ) from fault
            doing = "reading whether public access is blocked"
            raise self._control.error("GetPublicAccessBlock", doing, fault) from fault

    def _write(self, value: Any) -> None:
        if value is None:
            self._control.send("DeletePublicAccessBlock", "removing the block on public access")
        else:
            self._control.send("PutPublicAccessBlock", "blocking public access", PublicAccessBlockConfiguration=value)
