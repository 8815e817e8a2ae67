"""The config file: named databases in YAML, with values from the environment.

    databases:
      - name: archive
        class: dataknobs_data.backends.s3.S3Database     # or:  backend: s3
        bucket: ${S3_BUCKET}                             # an error when the variable is missing
        prefix: ${S3_PREFIX:data/}                       # a default
        endpoint_url: ${S3_ENDPOINT:}                    # an empty answer: as if the line were not there

Everything but `name`, `class` and `backend` is a setting of the backend. Values stay the text that stands there until the
setting says what it is: `10` and `"10"` are the number 10 for `max_workers` and the text 10 for an access key. `class` only
chooses among the databases of this package; nothing in a file is ever imported. Other top-level keys are other programs'.
"""

from __future__ import annotations

import os
import re
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from dataknobs_data.exceptions import BackendNotFoundError, ConfigurationError
from dataknobs_data.registry import BACKENDS, BackendInfo, find_backend
from dataknobs_data.spelling import did_you_mean

_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?P<default>:.*)?", re.DOTALL)
_UNSET = object()

_CLASSES = {path: info for info in BACKENDS for path in info.class_paths}


@dataclass(frozen=True)
class NamedDatabase:
    """One entry of a config file: which backend, and its settings (not shown: they hold secrets)."""

    name: str
    backend: str
    settings: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True)
class Config:
    """The databases of a config file by name; `where` is what errors call it."""

    databases: Mapping[str, NamedDatabase]
    where: str

    def __getitem__(self, name: str) -> NamedDatabase:
        """The database of that name. Raises ConfigurationError naming the nearest."""
        if name in self.databases:
            return self.databases[name]
        hint = did_you_mean(name, self.databases)
        raise ConfigurationError(f"{self.where}: there is no database {name!r}; {hint}", name=name)

    def __contains__(self, name: object) -> bool:
        return name in self.databases

    def __iter__(self) -> Iterator[str]:
        return iter(self.databases)


def load_config(path: str | os.PathLike[str], environ: Mapping[str, str] | None = None) -> Config:
    """The config file at `path`, with variables from `environ` (default: the process's).

    Raises ConfigurationError saying which file, which database and what is wrong.
    """
    try:
        text = Path(path).expanduser().read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"config file {os.fspath(path)} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"config file {os.fspath(path)} is not UTF-8: {error}") from error
    return parse_config(text, os.fspath(path), environ)


def parse_config(text: str, where: str = "config", environ: Mapping[str, str] | None = None) -> Config:
    """The same from text; `where` is what errors call it."""
    tree = _load_yaml(text, where)
    if not isinstance(tree, dict) or "databases" not in tree:
        keys = tree if isinstance(tree, dict) else ()
        near = next((f" ({key!r} is there)" for key in keys if str(key).lower().startswith("database")), "")
        raise ConfigurationError(f"{where}: it needs a list 'databases' at the top{near}")
    entries = tree["databases"]
    if not isinstance(entries, list):
        raise ConfigurationError(f"{where}: 'databases' must be a list of entries (- name: …), not {_kind(entries)}")
    environ = os.environ if environ is None else environ
    databases: dict[str, NamedDatabase] = {}
    for number, entry in enumerate(entries, start=1):
        database = _named_database(entry, f"{where}: database {number}", environ)
        if database.name in databases:
            raise ConfigurationError(
                f"{where}: database {number}: the name {database.name!r} is taken by an earlier one"
            )
        databases[database.name] = database
    return Config(databases, where)


# ---------------------------------------------------------------------------------------------- one entry
def _named_database(entry: Any, where: str, environ: Mapping[str, str]) -> NamedDatabase:
    if not isinstance(entry, dict):
        raise ConfigurationError(
            f"{where}: it must be an entry with 'name' and 'class' or 'backend', not {_kind(entry)}"
        )
    name = entry.get("name")
    if not isinstance(name, str) or not name:
        raise ConfigurationError(f"{where}: it needs a 'name'")
    where = f"{where} ({name!r})"
    values = {key: _substituted(value, f"{where}: {key!r}", environ) for key, value in entry.items() if key != "name"}
    settings = {key: value for key, value in values.items() if value is not _UNSET}
    info = _chosen_backend(settings.pop("class", None), settings.pop("backend", None), where)
    return NamedDatabase(name, info.name, settings)


def _chosen_backend(path: Any, backend: Any, where: str) -> BackendInfo:
    if (path is None) == (backend is None):
        raise ConfigurationError(f"{where}: it needs either 'class' or 'backend', for instance backend: s3")
    if backend is not None:
        try:
            return find_backend(backend)
        except BackendNotFoundError as error:
            raise BackendNotFoundError(f"{where}: {error}", **error.context) from None
    if isinstance(path, str) and path in _CLASSES:
        return _CLASSES[path]
    raise ConfigurationError(f"{where}: class {path!r} is no database of this package; {did_you_mean(path, _CLASSES)}")


# ---------------------------------------------------------------------------------------------- variables
def _substituted(value: Any, where: str, environ: Mapping[str, str]) -> Any:
    """`value` with its `${…}` replaced; _UNSET for a text of which nothing is left."""
    if isinstance(value, dict):
        items = {key: _substituted(item, where, environ) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not _UNSET}
    if isinstance(value, list):
        return [item for item in (_substituted(one, where, environ) for one in value) if item is not _UNSET]
    if not isinstance(value, str) or "${" not in value:
        return value
    return _REFERENCE.sub(lambda found: _resolved(found, where, environ), value) or _UNSET


def _resolved(reference: re.Match[str], where: str, environ: Mapping[str, str]) -> str:
    written = reference.group()
    parts = _VARIABLE.fullmatch(reference.group(1))
    if not parts or not written.endswith("}"):
        raise ConfigurationError(f"{where}: {written!r} is no variable; write ${{NAME}} or ${{NAME:default}}")
    name, default = parts["name"], parts["default"]
    if name in environ:
        return environ[name]
    if default is None:
        raise ConfigurationError(
            f"{where}: the environment variable {name} is not set; set it, or give a default: ${{{name}:…}}",
            variable=name,
        )
    return default[1:]


# ---------------------------------------------------------------------------------------------- YAML
class _TextLoader(yaml.SafeLoader):
    """Reads plain values as the text that stands there, null excepted, and refuses a key that stands there twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012  that is how PyYAML wants it
        first: [
            (tag, pattern) for tag, pattern in resolvers if tag in ("tag:yaml.org,2002:null", "tag:yaml.org,2002:merge")
        ]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands there twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def _load_yaml(text: str, where: str) -> Any:
    try:
        return yaml.load(text, Loader=_TextLoader)  # noqa: S506  a SafeLoader
    except yaml.MarkedYAMLError as error:
        line = f", line {error.problem_mark.line + 1}" if error.problem_mark else ""
        raise ConfigurationError(f"{where}{line}: {error.problem}") from None  # the original quotes lines with secrets
    except (yaml.YAMLError, RecursionError):
        raise ConfigurationError(
            f"{where}: not YAML: it holds a character that YAML does not know, or is too deep"
        ) from None


def _kind(value: Any) -> str:
    return "nothing" if value is None else f"a {type(value).__name__}"
