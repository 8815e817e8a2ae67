"""The lock on public access: on moto, which has one, and on SeaweedFS, which has not."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dataknobs_data.exceptions import DatabaseConnectionError, IncompatibleStoreError
from dataknobs_data.s3.admin.control import PERMISSIONS
from dataknobs_data.s3.admin.public_access import ALLOWS_NOTE, BLOCKS, IS_PUBLIC_NOTE
from tests.s3_bench import S3Bench
from tests.wire.faults import Answer, Lose
from tests.wire.proxy import WireProxy

ON_MOTO = pytest.mark.parametrize("s3_server", ["moto_server"], indirect=True)
ON_SEAWEED = pytest.mark.parametrize("s3_server", ["seaweed"], indirect=True)
ALL_ON = dict.fromkeys(BLOCKS, True)


@pytest.fixture
def bench(own: S3Bench) -> S3Bench:
    """A bucket of its own."""
    return own


@ON_MOTO
def test_it_is_shown_first_then_set_then_left_alone_then_removed(bench: S3Bench) -> None:
    public = bench.open().public_access
    assert public.get() is None
    dry = public.block(dry_run=True)
    assert (dry.before, dry.after, dry.applied, public.get()) == (None, ALL_ON, False, None)
    done = public.block()
    assert (done.applied, done.notes) == (True, ())
    assert bench.client.get_public_access_block(Bucket=bench.bucket)["PublicAccessBlockConfiguration"] == ALL_ON
    again = public.block()
    assert (again.applied, again.changes) == (False, False)
    assert (public.remove(dry_run=True).applied, public.get()) == (False, ALL_ON)
    removed = public.remove()
    assert (removed.applied, removed.notes[0], public.get()) == (True, ALLOWS_NOTE, None)
    nothing = public.remove()
    assert (nothing.changes, nothing.notes) == (False, ())


@ON_MOTO
def test_what_is_on_stays_on(bench: S3Bench) -> None:
    half: Any = {**dict.fromkeys(BLOCKS, False), "IgnorePublicAcls": True}
    bench.client.put_public_access_block(Bucket=bench.bucket, PublicAccessBlockConfiguration=half)
    plan = bench.open().public_access.block()
    assert (plan.before, plan.after) == (half, ALL_ON)


@ON_MOTO
def test_a_public_policy_that_would_stop_working_is_named(bench: S3Bench) -> None:
    db = bench.open()
    db.policy.grant("111122223333")
    assert db.public_access.block(dry_run=True).notes == ()
    db.policy.grant("*", allow_public=True)
    assert db.public_access.block().notes == (IS_PUBLIC_NOTE,)
    assert len(json.loads(bench.client.get_bucket_policy(Bucket=bench.bucket)["Policy"])["Statement"]) == 4, "as it was"
    assert db.public_access.block().notes == (), "it is blocked already"


@ON_SEAWEED
def test_a_store_without_it_says_what_counts_instead(bench: S3Bench) -> None:
    db = bench.open()
    for call in (db.public_access.get, db.public_access.block, db.public_access.remove):
        with pytest.raises(IncompatibleStoreError, match=r"knows no public access block.* policy\.get\(\)"):
            call()


@ON_MOTO
@pytest.mark.parametrize(
    "operation", ["GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock", "GetBucketPolicyStatus"]
)
def test_a_missing_permission_is_named(bench: S3Bench, operation: str) -> None:
    with WireProxy(bench.server.port) as proxy:
        public = bench.connect(endpoint_url=proxy.endpoint).public_access
        if operation == "DeletePublicAccessBlock":
            public.block()
        part = "policyStatus" if operation == "GetBucketPolicyStatus" else "publicAccessBlock"
        method = {"Put": "PUT", "Get": "GET", "Del": "DELETE"}[operation[:3]]
        proxy.fault(Answer(403, "AccessDenied"), lambda request: request.method == method and part in request.query)
        with pytest.raises(DatabaseConnectionError, match=f"grant this identity {PERMISSIONS[operation]}$"):
            public.remove() if operation == "DeletePublicAccessBlock" else public.block()


@ON_MOTO
def test_a_lost_answer_is_asked_for_again(bench: S3Bench) -> None:
    with WireProxy(bench.server.port) as proxy:
        public = bench.connect(endpoint_url=proxy.endpoint).public_access
        lost = [
            proxy.fault(Lose(), lambda request: "publicAccessBlock" in request.query, method=method)
            for method in ("PUT", "DELETE")
        ]
        assert public.block().applied
        assert public.remove().applied
        assert [fault.hits for fault in lost] == [1, 1]
        assert public.get() is None
