"""The IAM role that S3 copies with, as documents: IAM is not S3's, so a person makes the role, with these.

Actions: https://docs.aws.amazon.com/AmazonS3/latest/userguide/setting-repl-config-perm-overview.html; for owners
https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-change-owner.html; for KMS
https://docs.aws.amazon.com/AmazonS3/latest/userguide/replication-config-for-kms-objects.html.
"""

from __future__ import annotations

import json
import shlex
from dataclasses import dataclass
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.policy.documents import literally
from dataknobs_data.s3.admin.replication.rule import bucket_of, check_account, check_kms_key, check_role
from dataknobs_data.s3.encryption import Encryption

VERSION = "2012-10-17"
BUCKET_ACTIONS = ["s3:GetReplicationConfiguration", "s3:ListBucket"]
SOURCE_ACTIONS = [
    "s3:GetObjectVersionForReplication", "s3:GetObjectVersionAcl", "s3:GetObjectVersionTagging",
    "s3:GetObjectRetention", "s3:GetObjectLegalHold",
]  # fmt: skip
"""The last two are for buckets with object lock."""
TARGET_ACTIONS = ["s3:ReplicateObject", "s3:ReplicateDelete", "s3:ReplicateTags"]
OWNER_ACTION = "s3:ObjectOwnerOverrideToBucketOwner"
TARGET_BUCKET_ACTIONS = ["s3:GetBucketVersioning", "s3:ListBucket"]
"""What of AWS's example for a bucket in another account only looks; it has s3:PutBucketVersioning, too."""
SOURCE_KEY_ACTIONS = ["kms:Decrypt"]
TARGET_KEY_ACTIONS = ["kms:Encrypt", "kms:GenerateDataKey"]
"""The second where the target uses a bucket key; aws-cdk's Bucket.grantReplicationPermission gives both."""

ROLE_NAME = "dataknobs-data-replication"


@dataclass(frozen=True)
class RoleDocuments:
    """What to give to IAM. Each document is plain values, ready for JSON.

    trust          who may use the role: S3
    permissions    what the role may do: no more than copying this database's records
    target_policy  what must be in the other bucket's policy, where it belongs to another account; else None
    """

    trust: dict[str, Any]
    permissions: dict[str, Any]
    target_policy: dict[str, Any] | None = None

    def commands(self, role_name: str = ROLE_NAME) -> list[str]:
        """The command lines that make the role. The target's policy is for the other account to merge into its own."""
        name = shlex.quote(role_name)
        return [
            f"aws iam create-role --role-name {name} --assume-role-policy-document {_quoted(self.trust)}",
            f"aws iam put-role-policy --role-name {name} --policy-name replicate --policy-document {_quoted(self.permissions)}",
            f"aws iam get-role --role-name {name} --query Role.Arn --output text",
        ]


def _quoted(document: dict[str, Any]) -> str:
    return shlex.quote(json.dumps(document))


def role_documents(
    *,
    source: str,
    prefix: str,
    to_bucket: str,
    partition: str,
    account: str | None,
    kms_key: str | None,
    role: str | None,
    region: str | None,
    encryption: str | None,
) -> RoleDocuments:
    """See Replication.role_documents; `region` and `encryption`: the settings of the database."""
    _, target = bucket_of(to_bucket, partition)
    prefix = literally(prefix)
    partition = target.split(":")[1]
    here = f"arn:{partition}:s3:::{source}"
    check_account(account)
    check_kms_key(kms_key)
    if account and not role:
        raise ConfigurationError(
            "replication: the other account's bucket must name the role in its policy: pass role="
            f"'arn:aws:iam::YOUR-ACCOUNT:role/{ROLE_NAME}', or whatever it will be called"
        )
    if role:
        check_role(role)
    objects = f"{target}/{prefix}*"
    copying = [*TARGET_ACTIONS, *([OWNER_ACTION] if account else [])]
    statements = [
        _allow("ReadConfiguration", BUCKET_ACTIONS, here),
        _allow("ReadRecords", SOURCE_ACTIONS, f"{here}/{prefix}*"),
        _allow("WriteReplicas", copying, objects),
    ]
    if kms_key:
        own = Encryption.parse(encryption)
        source_key = own.kms_key if own else None
        statements += [
            _allow_key("DecryptRecords", SOURCE_KEY_ACTIONS, source_key, region, partition, here, prefix),
            _allow_key(
                "EncryptReplicas", TARGET_KEY_ACTIONS, kms_key, kms_key.split(":")[3], partition, target, prefix
            ),
        ]
    trust = {
        "Version": VERSION,
        "Statement": [{"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Action": "sts:AssumeRole"}],
    }
    there = None
    if account:
        principal = {"Principal": {"AWS": role}}
        there = _policy(
            {**_allow("DataknobsReplicas", copying, objects), **principal},
            {**_allow("DataknobsReplicaBucket", TARGET_BUCKET_ACTIONS, target), **principal},
        )
    return RoleDocuments(trust, _policy(*statements), there)


def _policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": VERSION, "Statement": list(statements)}


def _allow(sid: str, actions: list[str], resource: str) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": list(actions), "Resource": resource}


def _allow_key(
    sid: str, actions: list[str], key: str | None, region: str | None, partition: str, bucket_arn: str, prefix: str
) -> dict[str, Any]:
    """Use of a key through S3 for this bucket only; of any key where it is not known by its ARN, for which IAM asks.

    The encryption context is the object's ARN, or with a bucket key the bucket's.
    """
    like = {
        "kms:ViaService": f"s3.{region or '*'}.{'amazonaws.com.cn' if partition == 'aws-cn' else 'amazonaws.com'}",
        "kms:EncryptionContext:aws:s3:arn": [bucket_arn, f"{bucket_arn}/{prefix}*"],
    }
    known = key is not None and key.startswith("arn:") and ":key/" in key
    return {**_allow(sid, actions, key if known and key else "*"), "Condition": {"StringLike": like}}
