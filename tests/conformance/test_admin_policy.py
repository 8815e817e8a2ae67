"""Policies where they count: SeaweedFS with IAM, where an identity may do what its policy says and nothing else."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.config import Config

from dataknobs_data.backends.s3 import AsyncS3Database, S3Database
from dataknobs_data.embedded.ports import PortBlock
from dataknobs_data.embedded.process import Command
from dataknobs_data.exceptions import ConfigurationError, DatabaseConnectionError, DatabaseOperationError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from dataknobs_data.s3.admin.control import PERMISSIONS, Control
from dataknobs_data.s3.admin.policy.section import BucketPolicy
from dataknobs_data.s3.place import Place
from tests.s3_bench import S3Bench
from tests.servers import S3Server, SeaweedServer, make_config, new_bucket_name, open_client
from tests.wire.faults import Answer
from tests.wire.proxy import WireProxy

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PROPAGATION_SECONDS = 20
MIB = 1024 * 1024
STRANGERS = [
    {
        "Sid": "Auditors",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
        "Action": "s3:GetObject",
    },
    {
        "Effect": "Deny",
        "Principal": "*",
        "Action": ["s3:DeleteObjectVersion", "s3:PutBucketAcl"],
        "Condition": {"StringNotEquals": {"aws:PrincipalAccount": ["111122223333", "000000000000"]}},
    },
]


class IamServer(SeaweedServer):
    """SeaweedFS that takes users and their policies by IAM's API, on the same port."""

    def _command(self, run: Path, ports: PortBlock) -> Command:
        command = super()._command(run, ports)
        return replace(command, arguments=[*command.arguments, "-s3.iam.readOnly=false"])


class Account:
    """An account with one bucket: its owner, who may do everything, and users, who may not."""

    def __init__(self, server: S3Server, client: S3Client, iam: Any, ends: ExitStack) -> None:
        self.server, self.client, self.iam, self._ends = server, client, iam, ends
        self.bucket = new_bucket_name()
        server.create_bucket(self.bucket)
        self._names = (f"user{number}" for number in itertools.count())

    def owner(self, **over: Any) -> S3Database:
        """The owner's database."""
        return self._ends.enter_context(
            S3Database(make_config(self.server, **{"bucket": self.bucket, "layout": "objects", **over}))
        )

    def user(self, document: dict[str, Any] | None = None) -> tuple[str, dict[str, Any]]:
        """The ARN of a new user who has this IAM policy, and the settings to be that user with."""
        name = f"{next(self._names)}{self.bucket[-6:]}"
        arn = self.iam.create_user(UserName=name)["User"]["Arn"]
        if document:
            self.iam.put_user_policy(UserName=name, PolicyName="own", PolicyDocument=json.dumps(document))
        key = self.iam.create_access_key(UserName=name)["AccessKey"]
        return arn, {"access_key_id": key["AccessKeyId"], "secret_access_key": key["SecretAccessKey"]}

    def open(self, keys: dict[str, Any], **over: Any) -> S3Database:
        """A user's database."""
        return self.owner(**keys, **{"max_retries": 0, "cache_ttl": 0, **over})

    def boto(self, keys: dict[str, Any]) -> S3Client:
        """A user's boto3."""
        return _client(self.server, "s3", keys["access_key_id"], keys["secret_access_key"], self._ends)  # type: ignore[no-any-return]


def _client(server: S3Server, service: str, key: str, secret: str, ends: ExitStack) -> Any:
    config = Config(retries={"total_max_attempts": 1}, request_checksum_calculation="when_required")
    made: Any = boto3.client(
        service,  # type: ignore[call-overload]
        endpoint_url=server.endpoint,
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        region_name="us-east-1",
        config=config,
    )
    ends.callback(made.close)
    return made


@pytest.fixture(scope="module")
def iam_server() -> Iterator[IamServer]:
    with IamServer() as server:
        yield server


@pytest.fixture
def account(iam_server: IamServer) -> Iterator[Account]:
    with ExitStack() as ends:
        client = ends.enter_context(open_client(iam_server))
        iam = _client(iam_server, "iam", iam_server.access_key, iam_server.secret_key, ends)
        yield Account(iam_server, client, iam, ends)


def denied(call: Callable[[], Any]) -> DatabaseConnectionError | None:
    """Whether a call is refused for want of permission; other failures raise."""
    try:
        call()
    except DatabaseConnectionError as error:
        return error
    return None


def until(condition: Callable[[], object]) -> None:
    """Waits until users and policies have reached the server that decides."""
    end = time.monotonic() + PROPAGATION_SECONDS
    while not condition():
        assert time.monotonic() < end, "it never came to be so"
        time.sleep(0.02)


def without(document: dict[str, Any], action: str) -> dict[str, Any]:
    """A policy that lacks one action."""
    statements = [{**one, "Action": [a for a in one["Action"] if a != action]} for one in document["Statement"]]
    return {**document, "Statement": [one for one in statements if one["Action"]]}


def actions_of(document: dict[str, Any]) -> list[str]:
    return [action for one in document["Statement"] for action in one["Action"]]


# ---------------------------------------------------------------------------------------------- identities
def use_all(db: S3Database) -> None:
    """Everything that a database of objects does, on a bucket that keeps versions."""
    db.create(Record({"id": "own", "n": 1}, metadata={"team": "a"}))
    ids = db.batch_create([Record({"n": number}) for number in range(5)])
    assert db.update("own", Record({"n": 2}, metadata={"team": "b"}))
    assert db.upsert(Record({"id": "up", "n": 3})) == "up"
    assert db.read("own").data["n"] == 2  # type: ignore[union-attr]
    assert (db.read("nobody"), db.exists("nobody"), db.delete("nobody"), db.history("nobody")) == (
        None,
        False,
        False,
        [],
    )
    assert len(db.batch_read(ids)) == 5
    assert db.count(Query().filter("n", ">=", 2)) == 5
    assert sorted(db.list_ids("u")) == ["up"]
    assert db.tags("own")["team"] == "b"  # type: ignore[index]
    history = db.history("own")
    assert db.read("own", version_id=history[-1].version_id).data["n"] == 1  # type: ignore[union-attr]
    assert db.delete("own")
    assert db.undelete("own")
    assert db.revert("own", history[-1].version_id).data["n"] == 1
    assert db.create(Record({"id": "large", "text": "x" * 6 * MIB})) == "large"
    assert db.batch_delete(ids) == [True] * 5
    assert db.clear() == 3


def test_an_identity_can_do_everything_with_the_database_and_nothing_beside_it(account: Account) -> None:
    owner = account.owner()
    owner.enable_versioning()
    _, keys = account.user(owner.policy.identity("write", versions=True))
    db = account.open(keys)
    until(lambda: not denied(db.count))
    use_all(db)
    other = account.owner(prefix="other/")
    other.create(Record({"id": "secret"}))
    stranger = account.open(keys, prefix="other/")
    for call in (lambda: stranger.read("secret"), stranger.count, lambda: stranger.delete("secret")):
        assert denied(call), "the other prefix of the bucket"
    assert denied(db.versioning), "that is for administrators"
    past = db.at(timestamp=db.history("own")[0].at)
    assert (past.read("own"), past.count()) == (None, 0), "when everything was deleted"
    assert denied(db.policy.get)


NEEDED: dict[str, Callable[[S3Database, str], Any]] = {
    "s3:GetObject": lambda db, version: db.read("r"),
    "s3:ListBucket": lambda db, version: db.count(),
    "s3:PutObject": lambda db, version: db.create(Record({})),
    "s3:DeleteObject": lambda db, version: db.delete("r"),
    "s3:GetObjectTagging": lambda db, version: db.tags("r"),
    "s3:GetObjectVersion": lambda db, version: db.read("r", version_id=version),
    "s3:ListBucketVersions": lambda db, version: db.history("r"),
}
UNCHECKED = {"s3:PutObjectTagging", "s3:AbortMultipartUpload"}
"""SeaweedFS lets whoever may put do these too. AWS does not."""


def test_each_action_of_an_identity_is_needed(account: Account) -> None:
    owner = account.owner()
    owner.enable_versioning()
    owner.create(Record({"id": "r", "n": 1}))
    version = owner.history("r")[0].version_id
    whole = owner.policy.identity("write", versions=True)
    assert set(actions_of(whole)) == NEEDED.keys() | UNCHECKED
    for action, call in NEEDED.items():
        _, keys = account.user(without(whole, action))
        db = account.open(keys)
        can = "s3:GetObject" if action == "s3:ListBucket" else "s3:ListBucket"
        until(lambda db=db, can=can: not denied(lambda: NEEDED[can](db, version)))  # type: ignore[misc]
        error = denied(lambda db=db, call=call: call(db, version))  # type: ignore[misc]
        assert error, action
        if action != "s3:GetObjectVersion":  # that error names the actions that records take
            assert action.removeprefix("s3:").replace("GetObjectTagging", "Tagging") in str(error)


def test_a_reader_only_reads(account: Account) -> None:
    owner = account.owner()
    owner.create(Record({"id": "r", "n": 1}))
    _, keys = account.user(owner.policy.identity("read"))
    db = account.open(keys)
    until(lambda: not denied(db.count))
    assert (db.count(), db.exists("r"), [found.id for found in db.search(Query())]) == (1, True, ["r"])
    for call in (lambda: db.create(Record({})), lambda: db.delete("r"), lambda: db.history("r")):
        assert denied(call)


UNKNOWN = (
    "GetBucketPolicyStatus", "GetBucketPublicAccessBlock", "GetEncryptionConfiguration", "GetLifecycleConfiguration",
    "GetReplicationConfiguration", "PutBucketPublicAccessBlock", "PutEncryptionConfiguration", "PutLifecycleConfiguration",
    "PutReplicationConfiguration", "RestoreObject",
)  # fmt: skip
"""What SeaweedFS 4.48 refuses in a policy."""


def test_an_administrator_uses_the_helpers(account: Account) -> None:
    document = account.owner().policy.identity("admin")
    for action in UNKNOWN:
        document = without(document, f"s3:{action}")
    _, keys = account.user(document)
    db = account.open(keys)
    until(lambda: not denied(db.count))
    assert db.enable_versioning().applied
    assert db.object_lock.enable().applied
    assert db.policy.grant("111122223333").applied
    use_all(db)
    db.create(Record({"id": "kept"}))
    assert db.object_lock.hold("kept")[0].hold
    assert not db.object_lock.release("kept")[0].hold
    assert db.object_lock.status("nobody") is None


# ---------------------------------------------------------------------------------------------- the bucket's policy
def test_what_is_granted_can_be_done_until_it_is_taken_back(account: Account) -> None:
    owner = account.owner()
    owner.create(Record({"id": "r"}))
    arn, keys = account.user()
    db = account.open(keys)
    until(lambda: "AccessDenied" in str(denied(db.count)))  # before, the key was not known
    assert owner.policy.grant(arn).applied
    until(lambda: not denied(db.count))
    assert db.exists("r")
    assert denied(lambda: db.create(Record({})))
    assert owner.policy.grant(arn, "write").applied, "the same principal: instead of what it had"
    until(lambda: not denied(lambda: db.create(Record({}))))
    assert len(owner.policy.get()["Statement"]) == 2  # type: ignore[index]
    assert owner.policy.remove(arn).applied
    until(lambda: denied(db.count))
    assert owner.policy.get() is None


def test_without_encryption_nothing_is_written_where_it_is_required(account: Account) -> None:
    owner = account.owner(encryption="SSE-S3")
    arn, keys = account.user()
    plain, encrypting = account.open(keys), account.open(keys, encryption="SSE-S3")
    owner.policy.grant(arn, "write")
    plan = owner.policy.require_encryption()
    assert (plan.applied, "in parts" in plan.notes[-1]) == (True, True)
    assert not owner.policy.require_encryption().applied
    until(lambda: not denied(plain.count))
    until(lambda: denied(lambda: plain.create(Record({"n": 1}))))
    encrypting.create(Record({"id": "small"}))
    large = denied(lambda: encrypting.create(Record({"id": "large", "text": "x" * 6 * MIB})))
    assert large, "SeaweedFS wants the header of CompleteMultipartUpload too, which has none: what the note says"
    assert encrypting.update("small", Record({"n": 2}))
    owner.policy.remove("require_encryption")
    until(lambda: not denied(lambda: plain.create(Record({"n": 1}))))


def test_without_tls_nothing_is_done_where_it_is_required(account: Account) -> None:
    owner = account.owner()
    arn, keys = account.user()
    db = account.open(keys)
    owner.policy.grant(arn)
    until(lambda: not denied(db.count))
    with pytest.raises(ConfigurationError, match="lock this database out"):
        owner.policy.require_tls()
    assert over_tls(owner).require_tls().applied
    until(lambda: denied(db.count))
    assert denied(owner.policy.remove), "whoever may do everything is locked out too: why it is refused"


def over_tls(db: S3Database) -> BucketPolicy:
    """The helper as it is where the endpoint has TLS; its requests go where they went."""
    one = db._s3().control
    place = Place(one.place.bucket, one.place.endpoint.replace("http:", "https:"))
    return BucketPolicy(Control(one.caller, place, one.keys, one.settings, one.runtime, one.many))


# ---------------------------------------------------------------------------------------------- beside others
def policy_of(bench: S3Bench) -> Any:
    """As boto3 sees it, None where there is none."""
    try:
        return json.loads(bench.client.get_bucket_policy(Bucket=bench.bucket)["Policy"])
    except bench.client.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchBucketPolicy":
            raise
        return None


def put_strangers(bench: S3Bench) -> Any:
    """Somebody else's policy, as the store then tells it."""
    statements = [{**one, "Resource": f"arn:aws:s3:::{bench.bucket}/other/*"} for one in STRANGERS]
    statements[1] = {**statements[1], "Action": ["s3:DeleteObjectVersion", "s3:PutObjectAcl"]}
    document = {"Version": "2012-10-17", "Id": "theirs", "Statement": statements}
    bench.client.put_bucket_policy(Bucket=bench.bucket, Policy=json.dumps(document))
    return policy_of(bench)


@pytest.mark.parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)
def test_statements_of_others_survive_ours(own: S3Bench) -> None:
    before = put_strangers(own)
    db, neighbor = own.open(), own.open(prefix="neighbor/", encryption="SSE-S3")
    assert db.policy.get() == before
    dry = db.policy.grant("111122223333", dry_run=True)
    assert (dry.changes, dry.applied, policy_of(own)) == (True, False, before)
    done = db.policy.grant("111122223333")
    assert (done.applied, done.notes) == (True, dry.notes), "the store kept what was sent"
    assert policy_of(own)["Statement"][:2] == before["Statement"]
    assert policy_of(own).get("Id") == before.get("Id"), "SeaweedFS forgets it at once"
    neighbor.policy.grant("111122223333")
    neighbor.policy.require_encryption()
    db.policy.grant("service:logging.s3.amazonaws.com", "write", name="logs", source="111122223333")
    again = db.policy.grant("111122223333")
    assert (again.changes, again.applied, again.notes, str(again)[-17:]) == (False, False, (), "nothing to change")
    assert not db.policy.remove("nothing of that name").changes
    assert db.policy.remove("logs").applied
    left = policy_of(own)
    assert db.policy.remove(dry_run=True).changes
    assert policy_of(own) == left
    assert db.policy.remove().applied
    theirs = policy_of(own)["Statement"]
    assert theirs[:2] == before["Statement"]
    assert len(theirs) == 5, "and the neighbor's three"
    neighbor.policy.remove()
    assert policy_of(own) == before


@pytest.mark.parametrize("s3_server", ["seaweed", "moto_server"], indirect=True)
def test_the_last_statement_takes_the_policy_with_it(own: S3Bench) -> None:
    db = own.open()
    assert db.policy.get() is None
    plan = db.policy.grant("arn:aws:iam::111122223333:role/app/reader", name="reader")
    assert (plan.before, policy_of(own)["Version"]) == (None, "2012-10-17")
    plan = db.policy.remove("reader")
    assert (plan.after, policy_of(own)) == (None, None)
    assert not db.policy.remove().changes


@pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
def test_a_statement_that_others_made_is_not_made_twice(own: S3Bench) -> None:
    db = own.open()
    assert over_tls(db).require_tls(dry_run=True).notes[0].startswith("this holds for everybody")
    arn = f"arn:aws:s3:::{own.bucket}"
    theirs = {
        "Sid": "OnlyTls",
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": ["s3:*"],
        "Resource": [f"{arn}/*", arn],
        "Condition": {"Bool": {"AWS:SecureTransport": ["false"]}},
    }
    document = {"Version": "2012-10-17", "Statement": [theirs]}
    own.client.put_bucket_policy(Bucket=own.bucket, Policy=json.dumps(document))
    plan = over_tls(db).require_tls()
    assert (plan.changes, plan.notes) == (False, ("statement 'OnlyTls', which is not ours, says so already",))


def test_the_other_color_has_it_too(own: S3Bench) -> None:
    async def granted() -> Any:
        async with AsyncS3Database(own.config()) as db:
            await db.policy.grant("111122223333")
            return await db.policy.get()

    assert len(asyncio.run(granted())["Statement"]) == 2


# ---------------------------------------------------------------------------------------------- permissions
@pytest.mark.parametrize("operation", ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"])
def test_a_missing_permission_is_named(own: S3Bench, operation: str) -> None:
    with WireProxy(own.server.port) as proxy:
        db = own.connect(endpoint_url=proxy.endpoint)
        if operation == "DeleteBucketPolicy":
            db.policy.grant("111122223333")
        proxy.fault(Answer(403, "AccessDenied"), operation=operation)
        with pytest.raises(DatabaseConnectionError, match=f"grant this identity {PERMISSIONS[operation]}$") as caught:
            db.policy.remove() if operation == "DeleteBucketPolicy" else db.policy.grant("111122223333")
        assert caught.value.context["permission"] == PERMISSIONS[operation]


def test_what_is_no_policy_is_left_alone(own: S3Bench) -> None:
    db = own.open()
    control = db._s3().control
    control.attempt = lambda operation, **_: {"Policy": "<html>"}  # type: ignore[method-assign]
    with pytest.raises(DatabaseOperationError, match="no JSON, so nothing was changed"):
        BucketPolicy(control).grant("111122223333")
