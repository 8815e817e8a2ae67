"""From a plain mapping to checked settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.settings import read_settings, secret, unknown_key


@dataclass(frozen=True)
class Settings:
    """One field of each kind."""

    bucket: str
    workers: int = 10
    share: float = 0.5
    fast: bool = False
    region: str | None = None
    limit: int | None = None
    tags: bool | list[str] = True
    names: tuple[str, ...] = ()
    more: dict[str, int] = field(default_factory=dict)
    password: str | None = secret()
    pin: int | None = field(default=None, repr=False, metadata={"secret": True})


ALIASES = {"region_name": "region"}


def read(**config: Any) -> Settings:
    """Settings from keywords."""
    return read_settings(Settings, "test", {"bucket": "b", **config}, ALIASES)


@pytest.mark.parametrize(
    ("key", "given", "read_as"),
    [
        ("workers", 5, 5),
        ("workers", "5", 5),
        ("workers", " 5 ", 5),
        ("workers", None, 10),
        ("limit", "7", 7),
        ("limit", None, None),
        ("share", 1, 1.0),
        ("share", "0.25", 0.25),
        ("fast", True, True),
        ("fast", "yes", True),
        ("fast", "OFF", False),
        ("fast", "0", False),
        ("bucket", "123", "123"),
        ("bucket", 123, "123"),
        ("bucket", "", ""),
        ("bucket", " x ", " x "),
        ("region", 5, "5"),
        ("tags", "false", False),
        ("tags", ["a"], ["a"]),
        ("names", ("a",), ("a",)),
        ("more", {"a": 1}, {"a": 1}),
        ("password", "00123", "00123"),
    ],
)
def test_a_setting_says_what_its_value_is(key: str, given: Any, read_as: Any) -> None:
    value = getattr(read(**{key: given}), key)
    assert value == read_as
    assert type(value) is type(read_as)


@pytest.mark.parametrize(
    ("key", "given", "wanted"),
    [
        ("workers", "many", "'many' is no int"),
        ("workers", 1.5, "1.5 is no int"),
        ("workers", "1.5", "'1.5' is no int"),
        ("workers", True, "True is no int"),
        ("share", "half", "'half' is no float"),
        ("share", True, "True is no float"),
        ("fast", "maybe", "'maybe' is no bool"),
        ("fast", 2, "2 is no bool"),
        ("bucket", ["b"], r"\['b'\] is no str"),
        ("bucket", True, "True is no str"),
        ("tags", "x", "'x' is no bool or list"),
        ("more", "x", "'x' is no dict"),
        ("limit", "x", "'x' is no int"),
        ("bucket", Path("b"), "is no str"),
    ],
)
def test_a_value_of_the_wrong_kind_is_named(key: str, given: Any, wanted: str) -> None:
    with pytest.raises(ConfigurationError, match=f"test backend: setting {key!r}: .*{wanted}") as caught:
        read(**{key: given})
    assert caught.value.context == {"key": key}


@pytest.mark.parametrize(("key", "given"), [("password", ["hunter2"]), ("pin", "hunter2")])
def test_a_secret_of_the_wrong_kind_is_not_shown(key: str, given: Any) -> None:
    with pytest.raises(ConfigurationError, match=f"'{key}': its value is no") as caught:
        read(**{key: given})
    assert "hunter2" not in f"{caught.value!r} {caught.value.context}"


def test_secrets_are_not_in_the_repr() -> None:
    assert "hunter2" not in repr(read(password="hunter2"))
    assert read(password="hunter2").password == "hunter2"


def test_what_is_missing_unknown_or_twice_is_named() -> None:
    with pytest.raises(ConfigurationError, match="test backend requires 'bucket'"):
        read_settings(Settings, "test", {})
    with pytest.raises(ConfigurationError, match="test backend requires 'bucket'"):
        read_settings(Settings, "test", {"bucket": None})
    with pytest.raises(ConfigurationError, match="unknown setting 'wrokers'; did you mean 'workers'"):
        read(wrokers=5)
    with pytest.raises(ConfigurationError, match="did you mean 'region_name'"):
        read(regionname="x")
    with pytest.raises(ConfigurationError, match="'region_name' sets 'region' a second time"):
        read(region="a", region_name="b")


def test_an_alias_is_another_spelling() -> None:
    assert read(region_name="eu").region == "eu"


def test_keys_that_are_no_text_are_unknown() -> None:
    with pytest.raises(ConfigurationError, match="unknown setting 5"):
        read_settings(Settings, "test", {"bucket": "b", 5: 1})  # type: ignore[dict-item]


def test_where_nothing_is_near_everything_is_listed() -> None:
    assert "it is one of 'a', 'b'" in str(unknown_key("x", "zzzzzz", ["b", "a"]))
    assert "there are none" in str(unknown_key("x", "y", []))
