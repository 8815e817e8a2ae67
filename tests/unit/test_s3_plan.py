"""Changing a bucket's configuration: what is shown, what is written, and what is said when the store keeps something else."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from dataknobs_data.exceptions import DatabaseConnectionError, DatabaseOperationError, IncompatibleStoreError
from dataknobs_data.s3.admin.control import PERMISSIONS, Control
from dataknobs_data.s3.admin.plan import LOOKS, Configuration, Plan
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Fault, Kind
from tests.unit.s3_fakes import FakeWorld, caller, settings


class BucketStore:
    """One configuration of a bucket. `keeps` is what it makes of what it is sent; `faults` come first."""

    def __init__(self, value: Any = None, *faults: Fault) -> None:
        self.value = value
        self.keeps: Callable[[Any], Any] = lambda value: value
        self.faults = list(faults)
        self.sent: list[tuple[str, dict[str, Any]]] = []

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        self.sent.append((operation, parameters))
        if self.faults:
            raise self.faults.pop(0)
        if operation.startswith("Put"):
            self.value = self.keeps(parameters["Value"])
        elif self.value is None:
            raise Fault(Kind.UNSET, "HTTP 404", status=404, code="NoSuchTagSet")
        return {"Value": self.value}


class Tags(Configuration):
    """The bucket's tags as one value."""

    what = "the tags"

    def _read(self) -> Any:
        answer = self._control.look("GetBucketTagging", "reading the tags")
        return answer and answer["Value"]

    def _write(self, value: Any) -> None:
        self._control.send("PutBucketTagging", "writing the tags", Value=value)

    def add(self, tag: str, notes: Sequence[str] = (), dry_run: bool = False) -> Plan:
        return self._change(lambda before: (sorted({*(before or ()), tag}), notes), dry_run=dry_run)


def made(store: BucketStore, world: FakeWorld | None = None) -> tuple[Tags, FakeWorld]:
    """The configuration and its world."""
    world = world or FakeWorld()
    control = Control(
        caller(store, world), Place("b", "http://localhost"), Keys("p/"), settings(), world.runtime, FanOut(1, "t")
    )
    return Tags(control), world


def operations(store: BucketStore) -> list[str]:
    return [operation for operation, _ in store.sent]


# ---------------------------------------------------------------------------------------------- plans
def test_a_plan_shows_the_change_line_by_line() -> None:
    plan = Plan("the tags of bucket 'b'", ["a"], ["a", "b"], ("mind the gap",))
    assert plan.changes
    assert plan.diff().splitlines() == [
        "--- the tags of bucket 'b', now",
        "+++ the tags of bucket 'b', then",
        "@@ -1,3 +1,4 @@",
        " [",
        '-  "a"',
        '+  "a",',
        '+  "b"',
        " ]",
    ]
    assert str(plan).splitlines()[:2] == ["the tags of bucket 'b': to be changed", "note: mind the gap"]


def test_a_plan_without_a_change_says_so() -> None:
    plan = Plan("the tags", {"a": 1}, {"a": 1})
    assert (plan.changes, plan.diff(), str(plan)) == (False, "", "the tags: nothing to change")


def test_configurations_that_come_or_go_are_all_plus_or_all_minus() -> None:
    assert [line[0] for line in Plan("x", None, ["a"]).diff().splitlines()[3:]] == ["+"] * 3
    assert [line[0] for line in Plan("x", ["a"], None).diff().splitlines()[3:]] == ["-"] * 3


# ---------------------------------------------------------------------------------------------- changes
def test_a_change_reads_writes_and_looks() -> None:
    store = BucketStore(["others"])
    tags, _ = made(store)
    plan = tags.add("ours", ["note"])
    assert (plan.before, plan.after, plan.applied) == (["others"], ["others", "ours"], True)
    assert plan.notes == ("note",)
    assert plan.what == "the tags of bucket 'b'"
    assert operations(store) == ["GetBucketTagging", "PutBucketTagging", "GetBucketTagging"]


def test_a_dry_run_and_a_change_of_nothing_write_nothing() -> None:
    store = BucketStore(["ours"])
    tags, _ = made(store)
    assert not tags.add("more", dry_run=True).applied
    assert not tags.add("ours").applied
    assert operations(store) == ["GetBucketTagging"] * 2


def test_what_was_not_configured_is_none() -> None:
    tags, _ = made(store := BucketStore())
    plan = tags.add("ours")
    assert (plan.before, store.value) == (None, ["ours"])


def test_a_store_that_keeps_something_else_is_found_out(caplog: pytest.LogCaptureFixture) -> None:
    store = BucketStore([])
    store.keeps = lambda value: []
    tags, world = made(store)
    with caplog.at_level(logging.WARNING):
        plan = tags.add("ours", ["first"])
    assert plan.applied
    assert plan.notes[0] == "first"
    assert "kept something else" in plan.notes[1]
    assert '-  "ours"' in plan.notes[1]
    assert "kept something else" in caplog.text
    assert operations(store) == ["GetBucketTagging", "PutBucketTagging", *["GetBucketTagging"] * LOOKS]
    assert sum(world.slept) > 0.5, "it had time to settle"


def test_a_store_that_takes_its_time_is_waited_for() -> None:
    store = BucketStore([])
    late = iter([[], [], ["ours"]])

    class Late(Tags):
        def _read(self) -> Any:
            return next(late)

    tags = Late(made(store)[0]._control)
    assert tags.add("ours").notes == ()


def test_a_written_change_that_cannot_be_looked_at_is_said_to_be_written() -> None:
    class Shy(Tags):
        def _read(self) -> Any:
            if operations(store)[-1:] == ["PutBucketTagging"]:
                store.faults = [Fault(Kind.DENIED, "HTTP 403", status=403)]
            return super()._read()

    store = BucketStore([])
    plan = Shy(made(store)[0]._control).add("ours")
    assert plan.applied
    assert "it was written, but cannot be read back" in plan.notes[0]


# ---------------------------------------------------------------------------------------------- control
@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        (Kind.DENIED, DatabaseConnectionError, "grant this identity s3:PutBucketTagging"),
        (Kind.UNSUPPORTED, IncompatibleStoreError, "use a store that implements it"),
        (Kind.REFUSED, DatabaseOperationError, "writing the tags in bucket 'b'"),
        (Kind.UNSET, DatabaseOperationError, "no such configuration"),
    ],
)
def test_a_request_that_fails_says_what_for_and_what_to_do(kind: Kind, error: type[Exception], words: str) -> None:
    tags, _ = made(BucketStore(None, Fault(kind, "HTTP 4xx", status=400)))
    with pytest.raises(error, match="writing the tags") as caught:
        tags._write(["x"])
    assert words in str(caught.value)


def test_control_requests_are_sent_again_when_the_store_stumbles() -> None:
    store = BucketStore(["a"], Fault(Kind.SERVER, "HTTP 500", status=500), Fault(Kind.NETWORK, "lost"))
    tags, world = made(store)
    assert tags._read() == ["a"]
    assert len(world.slept) == 2


def test_permissions_are_named_by_iam_actions() -> None:
    assert all(part.startswith(("s3:", "iam:")) for text in PERMISSIONS.values() for part in text.split(" and "))
