"""What the relational backends need, and what they leave alone until they are used."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
sys.modules[{missing!r}] = None
from dataknobs_data.backends.{module} import {name}
from dataknobs_data.exceptions import BackendNotFoundError
try:
    {name}({{"path": "x"}} if {module!r} == "sqlite" else {{}})
except BackendNotFoundError as error:
    print(error)
"""


def run(program: str) -> str:
    """What a new interpreter prints."""
    return subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize(
    ("module", "name", "missing"),
    [
        ("sqlite", "SQLiteDatabase", "sqlalchemy"),
        ("postgres", "PostgresDatabase", "sqlalchemy"),
        ("postgres", "PostgresDatabase", "psycopg"),
    ],
)
def test_a_missing_driver_is_named_with_what_installs_it(module: str, name: str, missing: str) -> None:
    said = run(PROGRAM.format(module=module, name=name, missing=missing))
    assert said == f"the {module} backend needs {missing}, which is not installed: pip install '.[{module}]'"


@pytest.mark.parametrize("module", ["sqlite", "postgres"])
def test_a_backend_s_module_imports_no_driver(module: str) -> None:
    drivers = "{'sqlalchemy', 'psycopg'} & set(sys.modules)"
    assert run(f"import sys, dataknobs_data.backends.{module}; print({drivers})") == "set()"
