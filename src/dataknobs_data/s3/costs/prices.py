"""What S3 asks for requests, storage and restoring: a dated table, which is data and can be replaced."""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import timedelta
from importlib.resources import files
from pathlib import Path
from typing import Any

from dataknobs_data.exceptions import ConfigurationError
from dataknobs_data.spelling import did_you_mean

GB = 1024**3
"""Bytes that AWS bills as one GB; the examples of https://aws.amazon.com/s3/faqs/ reckon so."""

DAYS_OF_A_MONTH = 30

PRICES_VARIABLE = "DATAKNOBS_PRICES"
"""Names a file to be used instead of the table that comes with this package."""

RESTORED_FROM = ("GLACIER", "DEEP_ARCHIVE", "ARCHIVE_ACCESS", "DEEP_ARCHIVE_ACCESS")
"""Where objects lie that have to be restored: two classes, and two tiers of INTELLIGENT_TIERING."""

_WRITES = frozenset({"PutObject", "CopyObject", "CompleteMultipartUpload", "CreateMultipartUpload", "UploadPart"})
_STAGED = frozenset({"CreateMultipartUpload", "UploadPart"})
_READS = frozenset({"GetObject", "HeadObject"})
"""Requests whose price is that of the object's class; all others cost the same in all classes."""


@dataclass(frozen=True)
class ClassPrices:
    """One storage class. The fields are explained in prices.toml; `transition` None: no lifecycle rule moves objects there."""

    name: str
    storage: float
    write: float
    read: float
    transition: float | None = None
    retrieval: float = 0.0
    minimum_bytes: int = 0
    minimum_days: int = 0
    overhead_bytes: int = 0
    overhead_standard_bytes: int = 0
    monitoring_per_1000: float = 0.0
    monitored_from_bytes: int = 0
    staged_uploads: bool = False

    def per_request(self, operation: str) -> float | None:
        """Dollars for one request on an object of this class; None where the class does not matter."""
        if operation in _WRITES and not (self.staged_uploads and operation in _STAGED):
            return self.write / 1000
        return self.read / 1000 if operation in _READS else None


@dataclass(frozen=True)
class Tier:
    """One way to restore: dollars per GB and per 1,000 objects, and how long it takes."""

    dollars_per_gb: float
    dollars_per_1000: float
    shortest: timedelta
    longest: timedelta


@dataclass(frozen=True)
class Prices:
    """A price table. `dated` and `source` say where it comes from; `archives` is by class or archive tier, then by tier."""

    region: str
    dated: str
    source: str
    per_request: Mapping[str, float]
    classes: Mapping[str, ClassPrices]
    archives: Mapping[str, Mapping[str, Tier]]

    @classmethod
    def load(cls, path: str | Path) -> Prices:
        """From a file such as this package's prices.toml. Raises ConfigurationError saying what is wrong with it."""
        try:
            return _read(tomllib.loads(Path(path).read_text()))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise ConfigurationError(f"price table {str(path)!r} cannot be read: {error}", path=str(path)) from error
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise ConfigurationError(
                f"price table {str(path)!r} is not like the one it replaces (dataknobs_data/s3/costs/prices.toml): {error!r}",
                path=str(path),
            ) from error

    def dollars(self, requests: Mapping[str, int], storage_class: str = "STANDARD") -> float:
        """The price of these requests on objects of a class. Operations that the table does not name cost nothing."""
        return sum(self._per_request(operation, storage_class) * count for operation, count in requests.items())

    def _per_request(self, operation: str, storage_class: str) -> float:
        found = self.classes.get(storage_class)
        of_class = found.per_request(operation) if found else None
        return self.per_request.get(operation, 0.0) if of_class is None else of_class

    def storage_class(self, name: str) -> ClassPrices:
        """The prices of a class. Raises ConfigurationError naming the nearest where there are none."""
        found = self.classes.get(name.upper()) if isinstance(name, str) else None
        if found is None:
            raise ConfigurationError(
                f"the price table has no storage class {name!r}; {did_you_mean(name, map(str.lower, self.classes))}",
                storage_class=name,
            )
        return found

    def month(self, storage_class: str, size: int) -> float:
        """Dollars for keeping one object of `size` bytes for a month. A class without prices costs as STANDARD does."""
        standard = self.classes["STANDARD"]
        of = self.classes.get(storage_class, standard)
        billed = max(size, of.minimum_bytes) + of.overhead_bytes
        monitored = of.monitoring_per_1000 / 1000 if size >= of.monitored_from_bytes else 0.0
        return (billed * of.storage + of.overhead_standard_bytes * standard.storage) / GB + monitored

    def early(self, storage_class: str, size: int, age: timedelta) -> float:
        """Dollars for deleting an object of a class in which it has been so long: it is paid for `minimum_days` all the same."""
        of = self.classes.get(storage_class)
        left = (timedelta(days=of.minimum_days) - age) / timedelta(days=DAYS_OF_A_MONTH) if of else 0.0
        return self.month(storage_class, size) * max(left, 0.0)

    def __str__(self) -> str:
        return f"prices of {self.region}, {self.dated}"


def default_prices() -> Prices:
    """The price table that comes with this package, or the one that $DATAKNOBS_PRICES names."""
    return _loaded(os.environ.get(PRICES_VARIABLE) or str(files("dataknobs_data.s3.costs") / "prices.toml"))


@functools.cache
def _loaded(path: str) -> Prices:
    return Prices.load(path)


def _read(table: Mapping[str, Any]) -> Prices:
    known = {one.name for one in fields(ClassPrices)}
    for name, values in table["classes"].items():
        if unknown := values.keys() - known:
            raise ValueError(f"{name} has no {', '.join(sorted(unknown))}")
    classes = {name: ClassPrices(name, **values) for name, values in table["classes"].items()}
    if "STANDARD" not in classes:
        raise KeyError("classes.STANDARD")
    if missing := [where for where in RESTORED_FROM if where not in table["archives"]]:
        raise KeyError(f"archives.{missing[0]}")
    return Prices(
        region=table["region"],
        dated=str(table["dated"]),
        source=table["source"],
        per_request={
            operation: kind["dollars_per_1000"] / 1000
            for kind in table["requests"].values()
            for operation in kind["operations"]
        },
        classes=classes,
        archives={
            where: {name: _tier(values) for name, values in tiers.items()} for where, tiers in table["archives"].items()
        },
    )


def _tier(values: Mapping[str, Any]) -> Tier:
    shortest, longest = (timedelta(minutes=minutes) for minutes in values["minutes"])
    return Tier(values["dollars_per_gb"], values["dollars_per_1000"], shortest, longest)
