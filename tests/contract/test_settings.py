"""What every backend does with its settings."""

from __future__ import annotations

import re
from typing import Any

import pytest

from dataknobs_data.database import SyncDatabase
from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.records import Record
from dataknobs_data.registry import load_backend
from tests.contract.backends import Backend, Config

SECRETS = ("password", "secret_access_key", "session_token")


def from_config(backend: Backend, color: str, config: Any) -> Any:
    """A database object; nothing connects yet."""
    return load_backend(backend.registered, asynchronous=color == "async").from_config(config)


def test_an_unknown_setting_is_refused_naming_the_nearest(backend: Backend, color: str, config: Config) -> None:
    wrong, meant = backend.misspelled
    with pytest.raises(ConfigurationError, match=re.escape(repr(wrong))) as caught:
        from_config(backend, color, {**config, wrong: "x"})
    assert backend.registered in str(caught.value)
    if meant:
        assert f"did you mean {meant!r}?" in str(caught.value)


def test_settings_that_are_none_are_not_set(backend: Backend, color: str, config: Config) -> None:
    _, meant = backend.misspelled
    optional = {} if meant in (None, *config) else {meant: None}
    assert from_config(backend, color, {**config, **optional}) is not None


def test_the_caller_s_mapping_is_left_alone(backend: Backend, color: str, config: Config) -> None:
    before = dict(config)
    from_config(backend, color, config)
    assert config == before


def test_secrets_are_never_shown(backend: Backend, color: str, config: Config, db: SyncDatabase) -> None:
    db.create(Record({"n": 1}, id="a"))
    secrets = [config[key] for key in SECRETS if key in config]
    shown = [repr(db), str(db)]
    with pytest.raises(ConfigurationError) as caught:
        from_config(backend, color, {**config, backend.misspelled[0]: "x"})
    shown += [str(caught.value), repr(caught.value), repr(caught.value.context)]
    for text in shown:
        assert not any(secret in text for secret in secrets)


def test_a_repr_says_which_database_it_is(backend: Backend, color: str, db: SyncDatabase) -> None:
    assert load_backend(backend.registered, asynchronous=color == "async").__name__ in repr(db)
    assert " object at 0x" not in repr(db)
