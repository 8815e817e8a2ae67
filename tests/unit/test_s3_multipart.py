"""Parts: how large, how many, one condition at the end, nothing left behind by a failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.multipart import OBJECT_BYTES_MAX, PARTS_MAX, Uploader, part_bytes
from dataknobs_data.s3.settings import MIB, S3Settings
from dataknobs_data.s3.store import ABSENT, Blob, Condition, Fault, Head, Kind, PutOptions
from tests.unit.s3_fakes import DictStore, FakeWorld, caller

WANTED = 5 * MIB


@pytest.mark.parametrize(
    ("total", "parts", "size"),
    [
        (1, 1, WANTED),
        (WANTED, 1, WANTED),
        (WANTED + 1, 2, WANTED),
        (WANTED * PARTS_MAX, PARTS_MAX, WANTED),
        (WANTED * PARTS_MAX + 1, 8334, 6 * MIB),
        (5 * 1000**4, 9997, 477 * MIB),
        (OBJECT_BYTES_MAX, 9999, 4769 * MIB),
    ],
)
def test_parts_are_as_wanted_until_there_would_be_too_many(total: int, parts: int, size: int) -> None:
    found = part_bytes(total, WANTED)
    assert found == size
    assert -(-total // found) == parts <= PARTS_MAX


def test_no_part_is_larger_than_s3_allows() -> None:
    assert part_bytes(OBJECT_BYTES_MAX, WANTED) <= 5 * 1024**3


@dataclass
class PartStore:
    """Takes uploads; `failing` maps an operation to what it raises."""

    failing: dict[str, Callable[[], Fault | None]] = field(default_factory=dict)
    parts: dict[int, bytes] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    completed: tuple[list[str], Condition] | None = None
    options: PutOptions | None = None

    def _note(self, operation: str) -> None:
        self.log.append(operation)
        if fault := self.failing.get(operation, lambda: None)():
            raise fault

    def create_upload(self, key: str, options: PutOptions) -> str:
        self._note("create")
        self.options = options
        return "upload-1"

    def upload_part(self, key: str, upload_id: str, number: int, body: memoryview) -> str:
        self._note(f"part {number}")
        self.parts[number] = bytes(body)
        return f'"etag-{number}"'

    def complete_upload(self, key: str, upload_id: str, etags: Sequence[str], condition: Condition) -> str:
        self.completed = list(etags), condition
        self._note("complete")
        return '"whole"'

    def abort_upload(self, key: str, upload_id: str) -> None:
        self._note("abort")


def send(store: PartStore, body: bytes = b"abcdefghij") -> str:
    options = PutOptions({"born": "b"}, {"id": "x"}, "GLACIER")
    world = FakeWorld()
    settings = S3Settings(bucket="bucket", multipart_chunksize=4)
    uploader = Uploader(caller(store, world), Keys(""), settings, world.runtime, guarded=False)
    try:
        return uploader.upload("key", body, options, ABSENT)
    finally:
        uploader.close()


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes instead of mebibytes."""
    monkeypatch.setattr("dataknobs_data.s3.multipart.MIB", 1)


@pytest.mark.usefixtures("small_parts")
def test_parts_are_sent_once_and_completed_in_order_under_the_condition() -> None:
    store = PartStore()
    assert send(store) == '"whole"'
    assert store.parts == {1: b"abcd", 2: b"efgh", 3: b"ij"}
    assert store.completed == (['"etag-1"', '"etag-2"', '"etag-3"'], ABSENT)
    assert store.options == PutOptions({"born": "b"}, {"id": "x"}, "GLACIER")
    assert sorted(store.log) == ["complete", "create", "part 1", "part 2", "part 3"]


@pytest.mark.parametrize("operation", ["part 2", "complete"])
@pytest.mark.usefixtures("small_parts")
def test_what_fails_is_thrown_away_and_its_fault_raised(operation: str) -> None:
    store = PartStore({operation: lambda: Fault(Kind.DENIED, "injected")})
    with pytest.raises(Fault, match="injected"):
        send(store)
    assert store.log[-1] == "abort"
    assert store.log.count("abort") == 1


@pytest.mark.usefixtures("small_parts")
def test_the_fault_of_an_abort_does_not_hide_the_reason() -> None:
    store = PartStore({
        "part 1": lambda: Fault(Kind.DENIED, "the reason"),
        "abort": lambda: Fault(Kind.DENIED, "abort too"),
    })  # fmt: skip
    with pytest.raises(Fault, match="the reason"):
        send(store)


@pytest.mark.usefixtures("small_parts")
def test_nothing_is_thrown_away_where_nothing_was_begun() -> None:
    store = PartStore({"create": lambda: Fault(Kind.DENIED, "injected")})
    with pytest.raises(Fault):
        send(store)
    assert store.log == ["create"]


@pytest.mark.usefixtures("small_parts")
def test_a_part_that_fails_in_passing_is_sent_again() -> None:
    faults = iter([Fault(Kind.SERVER, "once")])
    store = PartStore({"part 2": lambda: next(faults, None)})
    assert send(store) == '"whole"'
    assert store.log.count("part 2") == 2


@pytest.mark.usefixtures("small_parts")
def test_a_completion_whose_answer_was_lost_means_look_again() -> None:
    """The retry finds no such upload: either it was completed, or somebody aborted it."""
    faults = iter([Fault(Kind.NETWORK, "lost"), Fault(Kind.MISSING, "", status=404, code="NoSuchUpload")])
    store = PartStore({"complete": lambda: next(faults, None)})
    with pytest.raises(Fault) as caught:
        send(store)
    assert caught.value.kind is Kind.CONDITION
    assert caught.value.answer_lost


@pytest.mark.usefixtures("small_parts")
def test_an_upload_that_somebody_aborted_is_no_condition() -> None:
    store = PartStore({"complete": lambda: Fault(Kind.MISSING, "", status=404, code="NoSuchUpload")})
    with pytest.raises(Fault) as caught:
        send(store)
    assert caught.value.kind is Kind.MISSING


class LockedStore(PartStore, DictStore):
    """Takes uploads, and has objects; an answer to the operation `slow` takes `seconds`."""

    def __init__(self, world: FakeWorld, slow: str, seconds: float) -> None:
        PartStore.__init__(self)
        DictStore.__init__(self)
        self._world, self._slow, self._seconds = world, slow, seconds
        self.objects[Keys("").lock("key")] = (b"SOMEBODY 60.0", '"theirs"', PutOptions())

    def get(self, key: str, *, unless_etag: str | None = None, version_id: str | None = None) -> Blob | None:
        self._pass("get")
        return super().get(key, unless_etag=unless_etag, version_id=version_id)

    def head(self, key: str) -> Head:
        self._pass("head")
        return super().head(key)

    def put(self, key: str, body: bytes, options: PutOptions, condition: Condition) -> str:
        self._pass("put")
        return super().put(key, body, options, condition)

    def _pass(self, operation: str) -> None:
        if operation == self._slow:
            self._world.seconds += self._seconds


@pytest.mark.parametrize("slow", ["put", "head", "get", "nothing"])
@pytest.mark.usefixtures("small_parts")
def test_whoever_waits_for_a_lock_hears_of_it_wherever_the_deadline_ends(slow: str) -> None:
    world = FakeWorld()
    settings = S3Settings(bucket="bucket", multipart_chunksize=4)
    store = LockedStore(world, slow, settings.deadline)
    uploader = Uploader(caller(store, world), Keys(""), settings, world.runtime, guarded=True)
    with pytest.raises(Fault, match=r"_jobs/lock-\w+ is held by another writer of this record, or one") as caught:
        uploader.upload("key", b"abcdefghij", PutOptions(), ABSENT)
    uploader.close()
    assert caught.value.kind is Kind.LATE
    assert store.log[-1] == "abort"
