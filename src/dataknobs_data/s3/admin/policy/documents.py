"""Policy documents, pure: what an identity may do, and statements for a bucket's policy.

The language: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html. The action that each request
takes: control.PERMISSIONS and https://docs.aws.amazon.com/AmazonS3/latest/userguide/using-with-s3-policy-actions.html.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.control import PERMISSIONS
from dataknobs_data.s3.admin.policy.merging import OURS, VERSION, Statement
from dataknobs_data.s3.encryption import Encryption
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.spelling import did_you_mean

READ, WRITE, ADMIN = "read", "write", "admin"
TLS, ENCRYPTION = "require_tls", "require_encryption"
"""Names of the statements that are no grants."""

_PARTITIONS = {
    "cn-": "aws-cn", "us-gov-": "aws-us-gov", "us-iso-": "aws-iso", "us-isob-": "aws-iso-b", "eu-isoe-": "aws-iso-e",
    "us-isof-": "aws-iso-f", "eusc-": "aws-eusc",
}  # fmt: skip
"""Regions by how they begin, as botocore 1.44's partitions.json has them."""

_REGION_IN_HOST = re.compile(r"//(?:[^/]+\.)?s3[.-](?:fips\.|dualstack\.)*([a-z]+(?:-[a-z]+)+-\d+)\.")
_ACCOUNT = re.compile(r"\d{12}")
_PRINCIPAL = re.compile(
    r"arn:(?P<partition>aws[a-z-]*):(iam|sts)::\d{12}:(root|(user|role|assumed-role|federated-user)/[A-Za-z0-9_+=,.@/-]+)"
)
_SERVICE = re.compile(r"[a-z0-9.-]+\.amazonaws\.com(\.cn)?")


@dataclass(frozen=True)
class Scope:
    """What the policies of one database are about. `owner`: the account of the bucket, where the settings say."""

    bucket: str
    prefix: str
    partition: str
    region: str | None
    owner: str | None

    @classmethod
    def of(cls, settings: S3Settings, endpoint: str) -> Scope:
        """Of a database with these settings, at this address."""
        found = _REGION_IN_HOST.search(endpoint)
        region = settings.region or (found[1] if found else None)
        partition = next((name for start, name in _PARTITIONS.items() if (region or "").startswith(start)), "aws")
        return cls(settings.bucket, settings.prefix, partition, region, settings.expected_bucket_owner)

    @property
    def bucket_arn(self) -> str:
        """The bucket, or the access point that stands for it."""
        return self.bucket if self.bucket.startswith("arn:") else f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def objects_arn(self) -> str:
        """All keys of this database, and no other's."""
        path = "/object/" if self.bucket.startswith("arn:") else "/"
        return f"{self.bucket_arn}{path}{literally(self.prefix)}*"


def literally(text: str) -> str:
    """`text` where a policy would take `*`, `?` and `$` for more than themselves:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars.
    """
    return re.sub(r"[*?$]", lambda found: f"${{{found[0]}}}", text)


# ---------------------------------------------------------------------------------------------- what may be done
def check_access(access: str, choices: Sequence[str]) -> None:
    """Raises ConfigurationError for a word that is none of `choices`."""
    if access not in choices:
        raise ConfigurationError(f"unknown access {access!r}; {did_you_mean(access, choices)}", key="access")


def object_actions(access: str, settings: S3Settings, *, versions: bool, restore: bool) -> list[str]:
    """What is done to this database's objects."""
    actions = ["s3:GetObject"]
    actions += ["s3:GetObjectTagging"] if settings.tags else []
    actions += ["s3:GetObjectVersion"] if versions or access == ADMIN else []
    actions += ["s3:RestoreObject"] if restore or access == ADMIN else []
    if access != READ:
        actions += ["s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"]
        actions += ["s3:PutObjectTagging"] if settings.tags else []
    if access == ADMIN:
        actions += [action for action in _helpers() if _is_about_objects(action)]
    return sorted(set(actions))


def list_actions(access: str, *, versions: bool) -> list[str]:
    """What is done to the bucket with a prefix."""
    return ["s3:ListBucket", *(["s3:ListBucketVersions"] if versions or access == ADMIN else [])]


def bucket_actions(access: str, settings: S3Settings) -> list[str]:
    """What is done to the bucket as a whole."""
    actions = {"s3:CreateBucket"} if settings.create_bucket and access != READ else set()
    if access == ADMIN:
        actions |= {action for action in _helpers() if not _is_about_objects(action)}
    return sorted(actions - set(list_actions(ADMIN, versions=True)))


def _helpers() -> set[str]:
    """All that the helpers of this package need in S3."""
    return {action for actions in PERMISSIONS.values() for action in actions.split(" and ") if action.startswith("s3:")}


def _is_about_objects(action: str) -> bool:
    return "Object" in action and "Bucket" not in action


def identity_document(
    scope: Scope, settings: S3Settings, access: str, *, versions: bool, restore: bool
) -> dict[str, Any]:
    """The IAM policy of an identity that uses this database."""
    check_access(access, (READ, WRITE, ADMIN))
    own = {"StringEquals": {"aws:ResourceAccount": scope.owner}} if scope.owner else {}
    objects = object_actions(access, settings, versions=versions, restore=restore)
    statements = [
        _allow("Objects", objects, scope.objects_arn, own),
        _allow("List", list_actions(access, versions=versions), scope.bucket_arn, {**_below(scope), **own}),
    ]
    if whole := bucket_actions(access, settings):
        statements.append(_allow("Bucket", whole, scope.bucket_arn, own))
    statements += _key_statements(scope, Encryption.parse(settings.encryption), access)
    return {"Version": VERSION, "Statement": statements}


def _allow(sid: str, actions: list[str], resource: str, condition: dict[str, Any]) -> Statement:
    statement: Statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    return {**statement, "Condition": condition} if condition else statement


def _below(scope: Scope) -> dict[str, Any]:
    """Listings of this prefix only: every listing of this package names one below it."""
    return {"StringLike": {"s3:prefix": f"{literally(scope.prefix)}*"}} if scope.prefix else {}


def _key_statements(scope: Scope, encryption: Encryption | None, access: str) -> list[Statement]:
    """The KMS key, through S3 only. The account's own key for S3 needs no permission, and reading needs no GenerateDataKey:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html#require-sse-kms.
    """
    if encryption is None or encryption.kms_key is None:
        return []
    resource, condition = _key_resource(scope, encryption.kms_key)
    suffix = "amazonaws.com.cn" if scope.partition == "aws-cn" else "amazonaws.com"
    operator = "StringEquals" if scope.region else "StringLike"  # boto3's address of us-east-1 does not name it
    condition = {operator: {"kms:ViaService": f"s3.{scope.region or '*'}.{suffix}"}, **condition}
    actions = ["kms:Decrypt"] if access == READ else ["kms:Decrypt", "kms:GenerateDataKey"]
    return [_allow("Key", actions, resource, condition)]


def _key_resource(scope: Scope, key: str) -> tuple[str, dict[str, Any]]:
    """An alias is no resource of these actions: https://docs.aws.amazon.com/kms/latest/developerguide/alias-authorization.html."""
    start, name = f"arn:{scope.partition}:kms:{scope.region or '*'}:{scope.owner or '*'}:", key
    if key.startswith("arn:"):
        start, name = key.rpartition(":")[0] + ":", key.rpartition(":")[2]
    if name.startswith("alias/"):
        return f"{start}key/*", {"ForAnyValue:StringEquals": {"kms:ResourceAliases": name}}
    return f"{start}{name if name.startswith('key/') else 'key/' + name}", {}


# ---------------------------------------------------------------------------------------------- statements of a bucket policy
def sid_start(scope: Scope, name: str | None = None) -> str:
    """How the Sids of this database's statements begin, or of those called `name`."""
    return OURS + _hash(scope.prefix) + (_hash(name) if name is not None else "")


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def grant_statements(
    scope: Scope, settings: S3Settings, name: str, principal: Any, access: str, source: str | None, versions: bool
) -> list[Statement]:
    """What lets `principal` read, or write too."""
    start = sid_start(scope, name)
    condition = _from(source)
    objects = object_actions(access, settings, versions=versions, restore=False)
    return [
        {**_allow(f"{start}Objects", objects, scope.objects_arn, condition), "Principal": principal},
        {
            **_allow(
                f"{start}List",
                list_actions(access, versions=versions),
                scope.bucket_arn,
                {**_below(scope), **condition},
            ),
            "Principal": principal,
        },
    ]


def _from(source: str | None) -> dict[str, Any]:
    """On whose behalf a service must come:
    https://docs.aws.amazon.com/IAM/latest/UserGuide/confused-deputy.html.
    """
    if source is None:
        return {}
    if _ACCOUNT.fullmatch(source):
        return {"StringEquals": {"aws:SourceAccount": source}}
    if source.startswith("arn:"):
        return {"ArnLike": {"aws:SourceArn": source}}
    raise ConfigurationError(f"source {source!r} is neither an account (12 digits) nor an ARN", key="source")


def tls_statement(scope: Scope) -> Statement:
    """No request to the bucket without TLS:
    https://docs.aws.amazon.com/AmazonS3/latest/userguide/security-best-practices.html#transit.
    """
    return {
        "Sid": sid_start(scope, TLS),
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [scope.bucket_arn, f"{scope.bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }


def encryption_statements(scope: Scope, encryption: Encryption) -> list[Statement]:
    """No document of this database but with this encryption. A request without the header is denied too: a negated condition
    holds where its key is absent, https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_condition_operators.html.
    """
    wanted = {"Algorithm": ("s3:x-amz-server-side-encryption", encryption.algorithm)}
    key = encryption.kms_key or ""
    if key.startswith("arn:") and ":key/" in key:  # only a full ARN is sure to be compared as it is sent
        wanted["Key"] = ("s3:x-amz-server-side-encryption-aws-kms-key-id", key)
    return [
        {
            "Sid": sid_start(scope, ENCRYPTION) + part,
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:PutObject",
            "Resource": scope.objects_arn,
            "Condition": {"StringNotEquals": {header: value}},
        }
        for part, (header, value) in wanted.items()
    ]


def principal_of(text: str, scope: Scope, *, allow_public: bool = False) -> Any:
    """Who is meant by an account id, an ARN, "service:NAME", or "*" (everybody). Raises ConfigurationError.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
    """
    if text == "*":
        if allow_public:
            return "*"
        raise ConfigurationError(
            'principal "*" is everybody on the Internet; if that is meant, say allow_public=True (in Python)',
            key="principal",
        )
    if _ACCOUNT.fullmatch(text):
        return {"AWS": f"arn:{scope.partition}:iam::{text}:root"}
    kind, _, name = text.partition(":")
    if kind == "service" and _SERVICE.fullmatch(name):
        return {"Service": name}
    found = _PRINCIPAL.fullmatch(text)
    if found is None:
        raise ConfigurationError(
            f"principal {text!r} is none of: an account (12 digits), the ARN of a user, role, session or account root "
            '(without wildcards), "service:NAME.amazonaws.com", "*"',
            key="principal",
        )
    if found["partition"] != scope.partition:
        raise ConfigurationError(
            f"principal {text!r} is in partition {found['partition']}, the bucket in {scope.partition}: "
            "policies do not reach across partitions",
            key="principal",
        )
    return {"AWS": text}
