"""A database inside another one's prefix: what compaction of the outer one leaves alone."""

from __future__ import annotations

from typing import Any

import pytest

from dataknobs_data.backends.s3 import S3Database
from dataknobs_data.records import Record
from dataknobs_data.s3.tiered.compaction import NESTED
from tests.servers import S3Server, make_config

TIERED: dict[str, Any] = {"layout": "tiered"}


@pytest.mark.usefixtures("long_after")
@pytest.mark.parametrize("inner_layout", ["tiered", "objects"])
def test_objects_of_a_database_inside_stay_its_own(s3_server: S3Server, bucket_name: str, inner_layout: str) -> None:
    s3_server.create_bucket(bucket_name)
    config = make_config(s3_server, bucket=bucket_name)
    with (
        S3Database({**config, **TIERED, "prefix": "outer/"}) as outer,
        S3Database({**config, **TIERED, "prefix": "outer/2024/", "layout": inner_layout}) as inner,
    ):
        inner.create(Record({"n": 1}, id="x"))
        inner.create(Record({"n": 2}, id="gone"))
        inner.delete("gone")
        outer.create(Record({"n": 3}, id="y"))
        assert outer.exists("y")
        report = outer.compact(full=True, wait=True)
        assert (report.folded, report.dropped) == (1, 1)
        assert report.left == {NESTED: 2 if inner_layout == "tiered" else 1}
        assert [record.data for record in inner.all()] == [{"n": 1}]
        found = inner.read("x")
        assert found is not None
        assert found.data == {"n": 1}
        assert outer.count() == 2
