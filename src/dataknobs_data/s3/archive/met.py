"""What to tell somebody whose read has met archived packs: which, how much that is, what restoring it costs and takes. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dataknobs_data.exceptions import RecordArchivedError
from dataknobs_data.s3.archive.states import RestoreState, RestoreStatus
from dataknobs_data.s3.costs.estimate import counted, size
from dataknobs_data.s3.costs.prices import Prices
from dataknobs_data.s3.costs.restoring import RestoreEstimate, RestoreWork, restore_estimate
from dataknobs_data.s3.store import Listed

NAMED = 3
"""Packs and records that a message names."""

DAYS, TIER = 7, "Standard"
"""What `restore` takes where nobody says otherwise."""


@dataclass(frozen=True)
class ArchivedPack:
    """A pack that cannot be read now. `records`: how many it has at most; None: the log does not say."""

    status: RestoreStatus
    records: int | None


def archived_error(
    doing: str, packs: Sequence[ArchivedPack], of: int, objects: Mapping[str, Listed], prices: Prices, **context: object
) -> RecordArchivedError:
    """The error of a read that needs these `packs`, of so many that it reads, and these objects of records, by id."""
    estimate = _estimate(packs, objects, prices)
    keys = [pack.status.pack for pack in packs]
    waiting = [pack.status.pack for pack in packs if pack.status.state is RestoreState.IN_PROGRESS]
    what = [_packs_in_words(packs, of)] if packs else []
    what += (
        [f"{counted(len(objects), 'record')} with an object of its own ({_some(map(repr, objects))})"]
        if objects
        else []
    )
    under_way = f"; {counted(len(waiting), 'pack')} of these on the way already" if waiting else ""
    return RecordArchivedError(
        f"{doing}: {' and '.join(what)} lie in an archive storage class. Restoring that for {DAYS} days: "
        f"{'; '.join(map(str, estimate.offers)) or 'nothing is left to be asked for'} ({estimate.prices}){under_way}. "
        "db.restore(error), with this error, asks for it, and db.restore(query) for all that a query may need; "
        "archived='skip' goes on without",
        packs=keys,
        ids=list(objects),
        bytes=sum(pack.status.size_bytes for pack in packs) + sum(line.size for line in objects.values()),
        records=_records(packs),
        in_progress=waiting,
        estimate=estimate,
        **context,
    )


def _packs_in_words(packs: Sequence[ArchivedPack], of: int) -> str:
    total, records = size(sum(pack.status.size_bytes for pack in packs)), _records(packs)
    most = "" if records is None else f" with {records:,} rows"
    return f"{len(packs):,} of {counted(of, 'pack')} ({_some(str(pack.status.pack) for pack in packs)}; {total}{most})"


def _some(names: Iterable[str]) -> str:
    every = list(names)
    more = f" and {len(every) - NAMED:,} more" if len(every) > NAMED else ""
    return f"{', '.join(every[:NAMED])}{more}"


def _records(packs: Iterable[ArchivedPack]) -> int | None:
    numbers = [pack.records for pack in packs]
    known = [number for number in numbers if number is not None]
    return sum(known) if len(known) == len(numbers) else None


def _estimate(packs: Iterable[ArchivedPack], objects: Mapping[str, Listed], prices: Prices) -> RestoreEstimate:
    work = RestoreWork()
    for pack in packs:
        if pack.status.state is RestoreState.ARCHIVED and pack.status.archive:
            work.add(pack.status.archive, pack.status.size_bytes, extends=False)
    for line in objects.values():
        work.add(line.storage_class, line.size, extends=False)
    return restore_estimate(prices, work, days=DAYS, tier=TIER)
