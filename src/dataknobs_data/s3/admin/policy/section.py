"""Who may do what in this bucket: no more than this configuration needs.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/access-policy-language-overview.html
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError
from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.admin.plan import Configuration, Plan
from dataknobs_data.s3.admin.policy import documents, merging
from dataknobs_data.s3.encryption import Encryption

FOREIGN_NOTE = (
    "an account's administrators must allow its users and roles the same by IAM, unless the principal is in the bucket's own "
    "account: https://docs.aws.amazon.com/AmazonS3/latest/userguide/example-walkthroughs-managing-access-example2.html"
)
KEY_NOTE = "what is encrypted with a KMS key needs kms:Decrypt too (to write: kms:GenerateDataKey), by the key's policy"
PUBLIC_NOTE = "where public access is blocked (public_access.get()), S3 refuses this policy or pays no attention to it"
SERVICE_NOTE = "name the account or resource that the service acts for (source=…), or others can send it here"
WHOLE_BUCKET_NOTE = "this holds for everybody who uses the bucket, under any prefix"
UPLOAD_NOTE = "other writers below this prefix that leave it to the bucket's default are denied from now on"
PARTS_NOTE = (
    "AWS knows the encryption of what is uploaded in parts; not every other store does: SeaweedFS 4.48 then refuses records "
    "from multipart_threshold on"
)


class BucketPolicy(Configuration):
    """Policies for this database: one to give an identity (`identity`), and statements in the bucket's own policy.

    Statements of ours are known by their Sid, those of others stay as they are. All of it is about this database's prefix,
    but for `require_tls`. A policy has at most 20 KB.
    """

    what = "policy"

    def __init__(self, control: Control) -> None:
        super().__init__(control)
        self._scope = documents.Scope.of(control.settings, control.place.endpoint)

    # ------------------------------------------------------------------ documents
    def identity(self, access: str = "write", *, versions: bool = False, restore: bool = False) -> dict[str, Any]:
        """The IAM policy for an identity that uses this database, and nothing else. Changes nothing.

        access    "read"; "write": also create, update and delete; "admin": also all that the helpers of this package do with
                  the bucket (but not iam:PassRole, which replication takes for its role, and not
                  s3:BypassGovernanceRetention)
        versions  also older versions: `history`, `revert`, `undelete`, `read(id, version_id=…)`, `at`
        restore   also `restore` of what lies in an archive class

        With `expected_bucket_owner` set it is worth nothing in a bucket of another account.
        """
        return documents.identity_document(
            self._scope, self._control.settings, access, versions=versions, restore=restore
        )

    def generate(
        self,
        principal: str,
        access: str = "read",
        *,
        versions: bool = False,
        source: str | None = None,
        allow_public: bool = False,
    ) -> dict[str, Any]:
        """A bucket policy with what `grant` would put into the bucket's, for other tools. Changes nothing."""
        made = self._grant(principal, access, None, versions, source, allow_public)
        return {"Version": merging.VERSION, "Statement": made}

    def get(self) -> dict[str, Any] | None:
        """The bucket's policy as the store tells it, None where there is none."""
        found: dict[str, Any] | None = self._read()
        return found

    # ------------------------------------------------------------------ changes
    def grant(
        self,
        principal: str,
        access: str = "read",
        *,
        name: str | None = None,
        versions: bool = False,
        source: str | None = None,
        allow_public: bool = False,
        dry_run: bool = False,
    ) -> Plan:
        """Lets somebody read this database's records ("read"), or create, change and delete them too ("write").

        principal     an account (12 digits), the ARN of a user or role, "service:NAME.amazonaws.com", or with `allow_public`
                      "*": everybody on the Internet
        name          to call it by in `remove`, and to replace it by another grant; default: the principal
        versions      older versions too
        source        for a service: the account or ARN on whose behalf it must come
        """
        made = self._grant(principal, access, name, versions, source, allow_public)
        notes = [*self._notes(principal, source)]
        return self._put(documents.sid_start(self._scope, name or principal), made, notes, dry_run)

    def require_tls(self, *, dry_run: bool = False) -> Plan:
        """Denies all requests to the bucket that come without TLS. Refused where our own would be."""
        if self._control.place.endpoint.startswith("http://"):
            raise ConfigurationError(
                f"require_tls would lock this database out: it speaks to {self._control.place.endpoint} without TLS; "
                "set endpoint_url to an https:// address first",
                key="endpoint_url",
            )
        statement = documents.tls_statement(self._scope)
        return self._put(statement["Sid"], [statement], [WHOLE_BUCKET_NOTE], dry_run)

    def require_encryption(self, *, dry_run: bool = False) -> Plan:
        """Denies writing this database's documents with another encryption than its setting `encryption` says."""
        encryption = Encryption.parse(self._control.settings.encryption)
        if encryption is None:
            raise ConfigurationError(
                "require_encryption would lock this database out: it asks for no encryption itself; set encryption to "
                "SSE-S3, SSE-KMS or a KMS key first (S3 encrypts what comes without a wish by the bucket's default)",
                key="encryption",
            )
        made = documents.encryption_statements(self._scope, encryption)
        notes = [UPLOAD_NOTE, *([] if self._control.place.is_aws else [PARTS_NOTE])]
        return self._put(documents.sid_start(self._scope, documents.ENCRYPTION), made, notes, dry_run)

    def remove(self, name: str | None = None, *, dry_run: bool = False) -> Plan:
        """Takes away what was granted under this name (or to this principal), "require_tls" or "require_encryption"; without a
        name, all statements of this database. The last statement takes the policy with it.
        """
        called = "" if name is None else f" called {name!r}"
        nothing = f"the policy holds no statement of this database{called}"
        return self._put(documents.sid_start(self._scope, name), [], [], dry_run, unchanged=[nothing])

    def _grant(
        self, principal: str, access: str, name: str | None, versions: bool, source: str | None, allow_public: bool
    ) -> list[merging.Statement]:
        documents.check_access(access, (documents.READ, documents.WRITE))
        self._check_bucket()
        if name in (documents.TLS, documents.ENCRYPTION):
            raise ConfigurationError(f"a grant cannot be called {name!r}", key="name")
        who = documents.principal_of(principal, self._scope, allow_public=allow_public)
        source = source or (self._scope.owner if principal.startswith("service:") else None)
        settings = self._control.settings
        return documents.grant_statements(
            self._scope, settings, name or principal, who, access, source, versions=versions
        )

    def _notes(self, principal: str, source: str | None) -> list[str]:
        encryption = Encryption.parse(self._control.settings.encryption)
        notes = [KEY_NOTE] if encryption and encryption.kms_key else []
        if principal == "*":
            return [*notes, PUBLIC_NOTE]
        if principal.startswith("service:"):
            return [*notes, *([] if source or self._scope.owner else [SERVICE_NOTE])]
        return [*notes, FOREIGN_NOTE]

    def _check_bucket(self) -> None:
        if self._scope.bucket.startswith("arn:"):
            raise ConfigurationError(
                f"{self._scope.bucket} is an access point, which has a policy of its own: https://docs.aws.amazon.com/"
                "AmazonS3/latest/userguide/access-points-policies.html; set bucket to the bucket's name to change that one's",
                key="bucket",
            )

    # ------------------------------------------------------------------ the configuration
    def _put(
        self,
        start: str,
        ours: Sequence[merging.Statement],
        notes: Sequence[str],
        dry_run: bool,
        unchanged: Sequence[str] = (),
    ) -> Plan:
        self._check_bucket()

        def decide(before: Any) -> tuple[Any, Sequence[str]]:
            elsewhere = merging.said_by_others(before, ours)
            if elsewhere is not None:
                return before, [f"statement {elsewhere!r}, which is not ours, says so already"]
            after = merging.merged(before, start, ours)
            return after, notes if after != before else unchanged

        return self._change(decide, dry_run=dry_run)

    def _read(self) -> Any:
        answer = self._control.look("GetBucketPolicy", "reading the bucket's policy")
        if answer is None:
            return None
        try:
            return json.loads(answer["Policy"])
        except ValueError as error:
            raise DatabaseOperationError(
                f"the policy of {self._control.place} is no JSON, so nothing was changed: {error}"
            ) from error

    def _write(self, value: Any) -> None:
        if value is None:
            self._control.look("DeleteBucketPolicy", "removing the bucket's policy")
        else:
            self._control.send("PutBucketPolicy", "writing the bucket's policy", Policy=merging.as_text(value))

    def _same(self, sent: Any, found: Any) -> bool:
        return merging.same(sent, found)
