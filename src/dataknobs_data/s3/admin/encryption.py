"""What the bucket does to objects that come without a wish for encryption, and how single records are encrypted.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-encryption.html
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.s3.admin.heads import headers_of_record
from dataknobs_data.s3.admin.plan import Configuration, Plan
from dataknobs_data.s3.encryption import SSE_S3, Encryption

DEFAULT, BUCKET_KEY = "ApplyServerSideEncryptionByDefault", "BucketKeyEnabled"

Decision = tuple[dict[str, Any] | None, list[str]]

STAYS_NOTE = (
    "objects that there are stay as they are: a record is encrypted anew when it is next written "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-bucket-encryption.html)"
)
PACKS_NOTE = "records in packs are encrypted anew when compact() makes their pack anew"
KMS_NOTE = (
    "who writes needs kms:GenerateDataKey on the key, who reads (and who uploads in parts) kms:Decrypt; each KMS request "
    "is paid for (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html)"
)
BUCKET_KEY_NOTE = (
    "the bucket key lowers the number of KMS requests by up to 99%; policies on kms:EncryptionContext then see the bucket's "
    "ARN, not the object's (https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucket-key.html)"
)
NO_BUCKET_KEY_NOTE = "without a bucket key each write and each read of a record is a KMS request, too"
DSSE_NOTE = (
    "DSSE-KMS knows no bucket keys: each write and each read of a record is a KMS request, and the second layer is paid for "
    "by the gigabyte (https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingDSSEncryption.html)"
)
OWN_KEY_NOTE = (
    "without a key of your own it is the account's aws/s3: other accounts cannot be allowed to read "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html)"
)
KEY_ARN_NOTE = (
    "the key is not given as an ARN: KMS looks for it in the account of whoever writes, and S3 does not check that it exists "
    "(https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketEncryption.html)"
)
OTHER_STORE_NOTE = "a store without a KMS takes this setting, too, and then fails every write: try one afterwards"
"""Seen on SeaweedFS 4.48: 500 InternalError."""
REMOVED_NOTE = (
    "from then on S3 encrypts with SSE-S3, as it does with every object since January 2023 "
    "(https://docs.aws.amazon.com/AmazonS3/latest/userguide/default-encryption-faq.html); other stores may not encrypt at all"
)


@dataclass(frozen=True)
class ObjectEncryption:
    """How one record's object is encrypted, as the store says.

    name        "SSE-S3", "SSE-KMS", "DSSE-KMS", "SSE-C"; None: the store names nothing
    algorithm   the same as S3 calls it: "AES256", "aws:kms", "aws:kms:dsse"
    kms_key     the key's id or ARN; None: the account's own, or it is no KMS
    bucket_key  whether a bucket key was used
    """

    name: str | None
    algorithm: str | None
    kms_key: str | None
    bucket_key: bool


class BucketEncryption(Configuration):
    """What the bucket does to objects that come without a wish for encryption, for all that write there.

    The `encryption` setting is this database's own wish: it goes with each write and comes first.
    """

    what = "default encryption"

    def get(self) -> dict[str, Any] | None:
        """The bucket's default as S3's ServerSideEncryptionConfiguration; None where the store names none."""
        return self._read()

    def set(self, encryption: str, *, bucket_key: bool = True, dry_run: bool = False) -> Plan:
        """Encrypts whatever is written from now on, and does not say how, as `encryption` says: "SSE-S3", "SSE-KMS" or
        "DSSE-KMS" (with the account's own key), a KMS key (id, alias, better its ARN; SSE-KMS), or "DSSE-KMS:KEY".

        bucket_key: for SSE-KMS, one request to KMS for many objects. The rest of the configuration stays.
        """
        wish = Encryption.parse(encryption)
        if wish is None:
            raise ConfigurationError(
                "say what to encrypt with (SSE-S3, SSE-KMS, DSSE-KMS or a KMS key); encryption.remove() goes back to S3's own",
                key="encryption",
            )
        extra = [PACKS_NOTE] if self._control.packed.exists else []
        extra += [OTHER_STORE_NOTE] if wish.algorithm != SSE_S3 and not self._control.place.is_aws else []
        return self._change(setting(wish, bucket_key, extra), dry_run=dry_run)

    def remove(self, *, dry_run: bool = False) -> Plan:
        """Goes back to S3's own default, SSE-S3. What else the configuration says stays."""
        return self._change(removing, dry_run=dry_run)

    def of(self, id: str) -> ObjectEncryption | None:
        """How the record's object, or its pack, is encrypted, whatever settings and bucket say now; None where there is no
        record.
        """
        held = headers_of_record(self._control, id, f"reading how record {id!r} is encrypted")
        return None if held is None else object_encryption(held.headers)

    def _read(self) -> dict[str, Any] | None:
        answer = self._control.look("GetBucketEncryption", "reading the bucket's default encryption")
        found: dict[str, Any] | None = answer and answer.get("ServerSideEncryptionConfiguration")
        return found

    def _write(self, value: Any) -> None:
        if value is None:
            self._control.send("DeleteBucketEncryption", "removing the bucket's default encryption")
        else:
            self._control.send(
                "PutBucketEncryption",
                "setting the bucket's default encryption",
                ServerSideEncryptionConfiguration=value,
            )

    def _same(self, sent: Any, found: Any) -> bool:
        """Where nothing is set, S3 shows its own default; where a rule is silent about bucket keys, it says false."""
        if sent is None:
            return is_stores_own(found)
        return found is not None and _spelled_out(sent) == _spelled_out(found)


def setting(
    wish: Encryption, bucket_key: bool, extra: Sequence[str] = ()
) -> Callable[[dict[str, Any] | None], Decision]:
    """The bucket's configuration with `wish` as its default, and all else as it was; `extra` notes."""

    def decide(before: dict[str, Any] | None) -> Decision:
        after: dict[str, Any] = deepcopy(before) if before else {"Rules": []}
        rule = _default_rule(after)
        key = {"KMSMasterKeyID": wish.kms_key} if wish.kms_key else {}
        rule[DEFAULT] = {"SSEAlgorithm": wish.algorithm, **key}
        rule[BUCKET_KEY] = bucket_key and wish.can_have_bucket_key
        said = [*notes(wish, bucket_key), *extra]
        return (before if before and _spelled_out(before) == _spelled_out(after) else after), said

    return decide


def removing(before: dict[str, Any] | None) -> Decision:
    """The bucket's configuration without a default of ours; None: nothing is left to say."""
    if is_stores_own(before):
        return before, []
    assert before is not None, "nothing is the store's own"
    after = deepcopy(before)
    rule = _default_rule(after)
    rule.pop(DEFAULT, None)
    rule.pop(BUCKET_KEY, None)
    if not any(after["Rules"]):
        return None, [STAYS_NOTE, REMOVED_NOTE]
    rule.update({DEFAULT: {"SSEAlgorithm": SSE_S3}, BUCKET_KEY: False})  # DELETE would take along what else is there
    return after, [STAYS_NOTE]


def is_stores_own(configuration: dict[str, Any] | None) -> bool:
    """Whether this is what S3 does without being told: SSE-S3."""
    rules = _spelled_out(configuration)["Rules"] if configuration else []
    own = {"SSEAlgorithm": SSE_S3}
    return all(rule.get(DEFAULT, own) == own and not rule[BUCKET_KEY] for rule in rules)


def notes(wish: Encryption, bucket_key: bool) -> list[str]:
    """What one should know about this encryption."""
    if wish.algorithm == SSE_S3:
        return [STAYS_NOTE]
    about_key = OWN_KEY_NOTE if not wish.kms_key else None if wish.kms_key.startswith("arn:") else KEY_ARN_NOTE
    about_requests = (
        DSSE_NOTE if not wish.can_have_bucket_key else BUCKET_KEY_NOTE if bucket_key else NO_BUCKET_KEY_NOTE
    )
    return [note for note in (STAYS_NOTE, KMS_NOTE, about_requests, about_key) if note]


def object_encryption(headers: dict[str, Any]) -> ObjectEncryption:
    """From HeadObject's answer."""
    if "SSECustomerAlgorithm" in headers:
        return ObjectEncryption("SSE-C", headers["SSECustomerAlgorithm"], None, False)
    algorithm = headers.get("ServerSideEncryption")
    return ObjectEncryption(
        Encryption(algorithm).name if algorithm else None,
        algorithm,
        headers.get("SSEKMSKeyId"),
        headers.get(BUCKET_KEY, False),
    )


def _default_rule(configuration: dict[str, Any]) -> dict[str, Any]:
    """The rule with the default, else the first one, else a new one. S3 allows one rule."""
    rules: list[dict[str, Any]] = configuration["Rules"]
    if not rules:
        rules.append({})
    return next((rule for rule in rules if DEFAULT in rule), rules[0])


def _spelled_out(configuration: dict[str, Any]) -> dict[str, Any]:
    return {**configuration, "Rules": [{BUCKET_KEY: False, **rule} for rule in configuration["Rules"]]}
