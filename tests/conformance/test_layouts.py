"""Which layout a prefix has: the one that is there, else the one that is asked for, else what can be used on this machine."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError

import pytest

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.records import Record
from dataknobs_data.s3.layouts import PYARROW
from tests.s3_bench import S3Bench

OLD = [None, "17.0.0", f"{PYARROW - 1}.9.9", "unknown"]
NEW = [f"{PYARROW}.0.0", f"{PYARROW + 1}.0.1", "100.0.0.dev3"]


def pretend(monkeypatch: pytest.MonkeyPatch, installed: str | None) -> None:
    """This pyarrow is installed, or none."""

    def version(name: str) -> str:
        assert name == "pyarrow"
        if installed is None:
            raise PackageNotFoundError(name)
        return installed

    monkeypatch.setattr("dataknobs_data.s3.layouts.version", version)


def load(bench: S3Bench) -> list[str]:
    """The folders with something in them after as many records as make a pack."""
    with bench.connect(layout=None) as db:
        db.batch_create(Record({"n": number}, id=f"r{number}") for number in range(200))
        assert db.count() == 200
    return sorted({path.rpartition("/")[0] for path in bench.paths()})


@pytest.mark.parametrize("installed", OLD)
def test_a_new_prefix_has_the_objects_layout_where_the_extra_is_missing(
    bench: S3Bench, monkeypatch: pytest.MonkeyPatch, installed: str | None
) -> None:
    pretend(monkeypatch, installed)
    assert load(bench) == ["", "_jobs"]


@pytest.mark.parametrize("installed", NEW)
def test_a_new_prefix_is_tiered_where_it_is_there(
    bench: S3Bench, monkeypatch: pytest.MonkeyPatch, installed: str
) -> None:
    pretend(monkeypatch, installed)
    assert load(bench) == ["_jobs", "_jobs/loads", "_table/_delta_log", "_table/packs"]


def test_what_is_there_decides(bench: S3Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.open(layout="objects")
    pretend(monkeypatch, NEW[0])
    assert load(bench) == ["", "_jobs"]


@pytest.mark.parametrize("installed", OLD)
def test_a_tiered_prefix_says_what_it_needs(
    bench: S3Bench, monkeypatch: pytest.MonkeyPatch, installed: str | None
) -> None:
    bench.open(layout="tiered").create(Record({}, id="x"))
    pretend(monkeypatch, installed)
    with pytest.raises(
        ConfigurationError, match=r"'tiered', which needs pyarrow 25 or newer.*pip install '.\[table\]'"
    ) as no:
        bench.connect(layout=None)
    assert bench.prefix in str(no.value)
    assert (installed or "pyarrow") in str(no.value)
    with pytest.raises(ConfigurationError, match=r"pip install '.\[table\]'"):
        bench.connect(prefix=f"{bench.prefix}new/", layout="tiered")
