"""What an identity needs for the tiered layout, on SeaweedFS with IAM: the policies of `policy.identity`, and no more."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.exceptions import DatabaseConnectionError
from dataknobs_data.query import Query
from dataknobs_data.records import Record
from tests.conformance.test_admin_policy import Account, account, denied, iam_server, until, without

__all__ = ["account", "iam_server"]

TIERED: dict[str, Any] = {
    "layout": "tiered",
    "prefix": "records/",
    "pack_threshold": 3,
}

pytestmark = pytest.mark.usefixtures("long_after")


def records(*ids: str, **more: Any) -> list[Record]:
    """Records of these ids."""
    return [Record({"n": n, **more}, id=id) for n, id in enumerate(ids)]


def use_all(db: S3Database, *, tagged: bool, in_parts: bool = True) -> None:
    """Every verb over both tiers."""
    assert db.batch_create(records("a", "b", "c", "d")) == ["a", "b", "c", "d"]
    assert len(db.batch_create([Record({"n": n}) for n in range(4)])) == 4
    db.create(Record({"n": 9}, {"team": "blue"}, id="hot"))
    if tagged:
        assert db.tags("hot")["team"] == "blue"  # type: ignore[index]
        assert db.tags("a").pack  # type: ignore[union-attr]
    assert db.update("a", Record({"n": 10}))
    assert db.batch_update([(id, Record({"n": 11})) for id in ("b", "c", "d")]) == [True] * 3
    assert (db.delete("b"), db.delete("hot")) == (True, True)
    noise = random.Random(1).randbytes(3 * 1024**2).hex() if in_parts else "noise"  # of which 3 MB are left, compressed
    db.create(Record({"text": noise}, id="large"))
    before = db.usage
    assert len(db.batch_create(records(*"efghij", text=noise))) == 6
    assert ("CreateMultipartUpload" in db.usage.since(before).requests) is in_parts
    assert sorted(found.id for found in db.search(Query().filter("n", ">", 9))) == ["a", "c", "d"]
    assert db.count() == 14
    assert db.compact(full=True, wait=True).dropped == 4
    assert db.vacuum(retention=timedelta(days=1)).dry_run is False
    assert db.read("large") is not None
    assert db.count() == 14


@pytest.mark.parametrize("over", [{}, {"tags": False}], ids=["tagged", "untagged"])
def test_an_identity_can_do_everything_with_both_tiers_and_nothing_beside_them(
    account: Account, over: dict[str, Any]
) -> None:
    owner = account.owner(**TIERED, **over)
    _, keys = account.user(owner.policy.identity("write"))
    db = account.open(keys, **TIERED, **over)
    until(lambda: not denied(db.count))
    use_all(db, tagged=over.get("tags", True))
    stranger = account.open(keys, **{**TIERED, "prefix": "other/"})
    for call in (lambda: stranger.read("a"), stranger.count, lambda: stranger.batch_create(records("a", "b", "c"))):
        assert denied(call), "the other prefix of the bucket"


def test_all_that_is_written_is_encrypted_where_that_is_required(account: Account) -> None:
    """Log, journals, tombstones and packs too. Nothing in parts: see PARTS_NOTE of the helper."""
    owner = account.owner(**TIERED, encryption="SSE-S3")
    arn, keys = account.user()
    plain, db = account.open(keys, **TIERED), account.open(keys, **TIERED, encryption="SSE-S3")
    owner.policy.grant(arn, "write")
    owner.policy.require_encryption()
    until(lambda: not denied(plain.count))
    until(lambda: denied(lambda: plain.create(Record({}))))
    use_all(db, tagged=True, in_parts=False)


NEEDED: dict[str, Callable[[S3Database], Any]] = {
    "s3:GetObject": lambda db: db.read("a"),
    "s3:ListBucket": lambda db: db.count(),
    "s3:PutObject": lambda db: db.delete("a"),
    "s3:DeleteObject": lambda db: db.compact(full=True, wait=True),
    "s3:GetObjectTagging": lambda db: db.tags("a"),
}


@pytest.mark.parametrize("action", NEEDED)
def test_each_action_of_an_identity_is_needed(account: Account, action: str) -> None:
    owner = account.owner(**TIERED)
    owner.batch_create(records("a", "b", "c"))
    owner.create(Record({}, id="hot"))
    _, keys = account.user(without(owner.policy.identity("write"), action))
    db = account.open(keys, **TIERED)
    until(lambda: "AccessDenied" in str(denied(lambda: NEEDED[action](db))))  # before, the key was not known
    error = denied(lambda: NEEDED[action](db))
    assert action.removeprefix("s3:").replace("GetObjectTagging", "Tagging") in str(error)


def test_a_reader_reads_both_tiers(account: Account) -> None:
    owner = account.owner(**TIERED)
    owner.batch_create(records("a", "b", "c"))
    owner.create(Record({"n": 9}, id="hot"))
    owner.delete("b")
    _, keys = account.user(owner.policy.identity("read"))
    db = account.open(keys, **TIERED)
    until(lambda: not denied(db.count))
    assert [found and found["n"] for found in db.batch_read(["a", "b", "c", "hot"])] == [0, None, 2, 9]
    assert (db.count(), sorted(found.id for found in db.search(Query()))) == (3, ["a", "c", "hot"])
    for call in (lambda: db.delete("a"), lambda: db.batch_create(records("x", "y", "z")), db.compact):
        with pytest.raises(DatabaseConnectionError):
            call()
