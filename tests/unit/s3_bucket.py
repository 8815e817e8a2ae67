"""A bucket's control plane as AWS documents it, where no server does it so: what stands in it is plain values."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from dataknobs_data.s3.admin.control import Control
from dataknobs_data.s3.fanout import FanOut
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Condition, Fault, Kind, Page, PutOptions
from tests.unit.s3_fakes import FakeWorld, caller, settings

AWS = "https://s3.us-east-1.amazonaws.com"


class FakeBucket:
    """Answers requests: `answers[operation]` is what it answers, a Fault to raise, or a function of the parameters."""

    def __init__(self, answers: Mapping[str, Any], prefix: str = "records/", endpoint: str = AWS, **over: Any) -> None:
        self.answers = dict(answers)
        self.sent: list[tuple[str, dict[str, Any]]] = []
        world = FakeWorld()
        place = Place("source", endpoint)
        given = settings(bucket="source", prefix=prefix, **over)
        many = FanOut(1, "test")
        self.control_plane = Control(
            caller(self, world, max_retries=0), place, Keys(prefix), given, world.runtime, many
        )

    def control(self, operation: str, **parameters: Any) -> dict[str, Any]:
        """See ObjectStore."""
        self.sent.append((operation, deepcopy(parameters)))
        answer = self.answers[operation]
        if isinstance(answer, Fault):
            raise answer
        found: dict[str, Any] = answer(parameters) if callable(answer) else deepcopy(answer)
        return found

    def put(self, key: str, body: bytes | memoryview, options: PutOptions, condition: Condition) -> str:
        """See ObjectStore."""
        self.sent.append(("PutObject", {"Key": key}))
        return '"1"'

    def head_bucket(self) -> None:
        """See ObjectStore."""
        self.control("HeadBucket")

    def list_page(self, prefix: str, *, token: str | None = None, start_after: str | None = None) -> Page:
        """See ObjectStore; the answer is the page."""
        self.sent.append(("ListObjectsV2", {"Prefix": prefix}))
        answer = self.answers.get("ListObjectsV2", denied())
        if isinstance(answer, Fault):
            raise answer
        page: Page = answer
        return page

    @property
    def operations(self) -> list[str]:
        """What was asked for, in order."""
        return [operation for operation, _ in self.sent]


def unset(code: str = "NoSuch") -> Fault:
    """There is no such configuration."""
    return Fault(Kind.UNSET, code, status=404, code=code)


def denied() -> Fault:
    """403."""
    return Fault(Kind.DENIED, "HTTP 403, AccessDenied", status=403, code="AccessDenied")
