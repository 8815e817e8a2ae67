"""Config files: what the requirement writes, what variables do, and what is wrong with everything else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.config import load_config, parse_config
from dataknobs_data.exceptions import BackendNotFoundError, ConfigurationError

REQUIREMENT = """
# config.yaml
databases:
  - name: archive
    class: dataknobs_data.backends.s3.S3Database
    bucket: ${S3_BUCKET}
    prefix: ${S3_PREFIX:data/}
    region: ${AWS_REGION:us-east-1}
    endpoint_url: ${S3_ENDPOINT:}  # Empty for AWS
    max_workers: ${S3_MAX_WORKERS:10}
"""


def settings_of(line: str, **environ: str) -> Any:
    """The settings of a memory database with this line."""
    text = f"databases:\n  - name: x\n    backend: memory\n    {line}\n"
    return parse_config(text, "here.yaml", environ)["x"].settings


def test_the_requirement_s_file_with_defaults() -> None:
    config = parse_config(REQUIREMENT, environ={"S3_BUCKET": "b"})
    assert list(config) == ["archive"]
    assert "archive" in config
    assert (config["archive"].name, config["archive"].backend) == ("archive", "s3")
    assert config["archive"].settings == {
        "bucket": "b",
        "prefix": "data/",
        "region": "us-east-1",
        "max_workers": "10",
    }


def test_the_requirement_s_file_with_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "config.yaml"
    path.write_text(REQUIREMENT)
    for name, value in {"S3_BUCKET": "b", "S3_PREFIX": "p/", "S3_ENDPOINT": "http://localhost:4566"}.items():
        monkeypatch.setenv(name, value)
    settings = load_config(path)["archive"].settings
    assert settings["prefix"] == "p/"
    assert settings["endpoint_url"] == "http://localhost:4566"


def test_a_missing_variable_is_named_with_file_and_database() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_config(REQUIREMENT, "prod.yaml", {})
    assert str(caught.value).startswith(
        "prod.yaml: database 1 ('archive'): 'bucket': the environment variable S3_BUCKET"
    )
    assert caught.value.context == {"variable": "S3_BUCKET"}


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("key: 10", "10"),
        ('key: "10"', "10"),
        ("key: 012345670123", "012345670123"),
        ("key: 1_000", "1_000"),
        ("key: 12:30:45", "12:30:45"),
        ("key: 2024-05-01", "2024-05-01"),
        ("key: no", "no"),
        ("key: true", "true"),
        ("key: 1e3", "1e3"),
        ("key: [1, a, {b: 2}]", ["1", "a", {"b": "2"}]),
        ("key: ${A}", "va"),
        ("key: x-${A}-${B:d}-${A}", "x-va-d-va"),
        ("key: ${B:http://localhost:4566/x}", "http://localhost:4566/x"),
        ("key: '${B: spaced }'", " spaced "),
        ("key: '${B:${A}'", "${A"),
        ("key: $A", "$A"),
        ("key: ${C}", "${A} # not: {read} again"),
        ("key: [x, '${A}', '${E}']", ["x", "va"]),
        ("key: {a: '${A}', e: '${E:}'}", {"a": "va"}),
    ],
)
def test_values_are_the_text_that_stands_there_with_variables_filled_in(written: str, read: Any) -> None:
    environ = {"A": "va", "C": "${A} # not: {read} again", "E": ""}
    assert settings_of(written, **environ)["key"] == read


@pytest.mark.parametrize("written", ["key: ${E}", "key: ${E:default}", "key: ${B:}", "key: ${E}${B:}"])
def test_an_empty_answer_is_as_if_the_line_were_not_there(written: str) -> None:
    assert settings_of(written, E="") == {}


def test_a_text_that_is_empty_by_itself_stays() -> None:
    assert settings_of('key: ""') == {"key": ""}


@pytest.mark.parametrize("written", ["key:", "key: null", "key: ~"])
def test_null_is_none(written: str) -> None:
    assert settings_of(written) == {"key": None}


@pytest.mark.parametrize("reference", ["${}", "${1A}", "${A-B}", "${A", "${ A}", "${A:-x"])
def test_what_is_no_variable_is_said(reference: str) -> None:
    with pytest.raises(ConfigurationError, match=r"here\.yaml: database 1 \('x'\): 'key': .* is no variable") as caught:
        settings_of(f"key: '{reference}'", A="secret")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "backend"),
    [
        ("dataknobs_data.backends.memory.MemoryDatabase", "memory"),
        ("dataknobs_data.backends.s3.SyncS3Database", "s3"),
        ("dataknobs_data.backends.s3.AsyncS3Database", "s3"),
        ("dataknobs_data.backends.postgres.PostgresDatabase", "postgres"),
    ],
)
def test_a_class_chooses_the_backend(path: str, backend: str) -> None:
    assert parse_config(f"databases: [{{name: x, class: {path}}}]")["x"].backend == backend


@pytest.mark.parametrize(("name", "backend"), [("S3", "s3"), ("pg", "postgres"), ("${B}", "sqlite")])
def test_a_backend_may_be_named(name: str, backend: str) -> None:
    assert (
        parse_config(f"databases: [{{name: x, backend: '{name}'}}]", environ={"B": "sqlite3"})["x"].backend == backend
    )


def test_a_class_that_is_no_database_is_refused_and_never_imported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "evil.py").write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    for path in (
        "evil.Database",
        "os.system",
        "dataknobs_data.records.Record",
        "dataknobs_data.backends.s3.S3Databse",
        "5",
    ):
        with pytest.raises(ConfigurationError, match="is no database of this package"):
            parse_config(f"databases: [{{name: x, class: {path}}}]")
    assert "evil" not in sys.modules
    with pytest.raises(ConfigurationError, match=r"did you mean 'dataknobs_data\.backends\.s3\.S3Database'"):
        parse_config("databases: [{name: x, class: dataknobs_data.backends.s3.S3Databse}]")


@pytest.mark.parametrize("tag", ["!!python/object/apply:os.system ['true']", "!!python/name:os.system", "!custom x"])
def test_yaml_that_makes_python_objects_is_refused(tag: str) -> None:
    with pytest.raises(ConfigurationError, match="could not determine a constructor"):
        parse_config(f"databases:\n  - name: x\n    backend: {tag}\n")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "it needs a list 'databases' at the top"),
        ("- name: x", "it needs a list 'databases'"),
        ("database: []", r"it needs a list 'databases' at the top \('database' is there\)"),
        ("databases:", "'databases' must be a list .* not nothing"),
        ("databases: {x: {backend: memory}}", "'databases' must be a list .* not a dict"),
        ("databases: [x]", "database 1: it must be an entry .* not a str"),
        ("databases: [{backend: memory}]", "database 1: it needs a 'name'"),
        ("databases: [{name: '', backend: memory}]", "database 1: it needs a 'name'"),
        ("databases: [{name: [x], backend: memory}]", "database 1: it needs a 'name'"),
        ("databases: [{name: x}]", r"database 1 \('x'\): it needs either 'class' or 'backend'"),
        ("databases: [{name: x, backend: s3, class: y}]", "it needs either 'class' or 'backend'"),
        ("databases: [{name: x, backend: s4}]", r"database 1 \('x'\): there is no backend 's4'; did you mean 's3'"),
        ("databases: [{name: x, backend: memory}, {name: x, backend: s3}]", "database 2: the name 'x' is taken"),
        ("databases:\n  - name: x\n    bucket: a\n    bucket: b\n", "line 4: 'bucket' stands there twice"),
        ("databases:\n  - name: x\n   backend: [\n", "line 3: "),
        ("databases: [\x00]", "not YAML"),
        ("databases:\n  - &a [*a]", "not a list"),
        ("a: " + "[" * 5000, "too deep"),
    ],
)
def test_a_wrong_file_is_explained(text: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message) as caught:
        parse_config(text, "here.yaml", {})
    assert str(caught.value).startswith("here.yaml")


def test_a_wrong_backend_is_a_backend_not_found_error() -> None:
    with pytest.raises(BackendNotFoundError):
        parse_config("databases: [{name: x, backend: elasticsearch}]")


def test_a_syntax_error_does_not_quote_the_line() -> None:
    with pytest.raises(ConfigurationError) as caught:
        parse_config("databases:\n  - name: x\n    password: hunter2: x\n")
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_merge_keys_and_anchors_work() -> None:
    config = parse_config(
        """
        shared: &shared {backend: s3, region: eu-central-1}
        databases:
          - {<<: *shared, name: a, bucket: x}
          - {<<: *shared, name: b, bucket: y, region: us-east-1}
        """
    )
    assert config["a"].settings == {"region": "eu-central-1", "bucket": "x"}
    assert config["b"].settings == {"region": "us-east-1", "bucket": "y"}


def test_an_unknown_name_names_the_nearest() -> None:
    config = parse_config(REQUIREMENT, "prod.yaml", {"S3_BUCKET": "b"})
    with pytest.raises(ConfigurationError, match=r"prod\.yaml: there is no database 'archiv'; did you mean 'archive'"):
        config["archiv"]


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"missing\.yaml cannot be read: No such file"):
        load_config(tmp_path / "missing.yaml")
    with pytest.raises(ConfigurationError, match="cannot be read: Is a directory"):
        load_config(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"databases: [\xe4]")
    with pytest.raises(ConfigurationError, match=r"latin\.yaml is not UTF-8"):
        load_config(tmp_path / "latin.yaml")


def test_settings_do_not_show_in_the_repr() -> None:
    config = parse_config("databases: [{name: x, backend: postgres, password: hunter2}]")
    assert "hunter2" not in repr(config)
    assert config["x"].settings == {"password": "hunter2"}
