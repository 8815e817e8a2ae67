"""For how long a version may be locked, and what may become of a lock: pure.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from dataknobs_data.exceptions import ConfigurationError, DatabaseOperationError
from dataknobs_data.spelling import did_you_mean

GOVERNANCE, COMPLIANCE = "GOVERNANCE", "COMPLIANCE"

YEARS_MAX = 100
DAYS_MAX = 36_500
"""https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-lock-managing.html#object-lock-managing-retention-limits"""


def check_mode(mode: str) -> None:
    """Raises ConfigurationError for what is none of S3's two."""
    if mode not in (GOVERNANCE, COMPLIANCE):
        raise ConfigurationError(f"unknown mode {mode!r}; {did_you_mean(mode, (GOVERNANCE, COMPLIANCE))}", key="mode")


def check_default(mode: str | None, days: int | None, years: int | None) -> None:
    """Raises ConfigurationError unless it is a mode with days or years, or none of them."""
    if mode is None:
        if days is not None or years is not None:
            raise ConfigurationError("days and years are for a default retention: give its mode too", key="mode")
        return
    check_mode(mode)
    if (days is None) == (years is None):
        raise ConfigurationError("a default retention takes either days or years", key="days")
    if days is not None:
        _check_count("days", days, DAYS_MAX)
    else:
        _check_count("years", years, YEARS_MAX)


def _check_count(name: str, value: int | None, most: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= most:
        raise ConfigurationError(f"{name} must be a whole number from 1 to {most:,}, not {value!r}", key=name)


def end_of(until: datetime | timedelta | int, now: datetime) -> datetime:
    """When a retention ends, in UTC and whole seconds: an instant (without a zone: UTC), a duration from now, or days."""
    if isinstance(until, datetime):
        end = until.astimezone(UTC) if until.tzinfo else until.replace(tzinfo=UTC)
    elif isinstance(until, timedelta):
        end = _later(now, until)
    else:
        _check_count("until, in days,", until, DAYS_MAX)
        end = _later(now, timedelta(days=until))
    if end < now + timedelta(seconds=1):
        raise ConfigurationError(f"until must be in the future, not {end.isoformat()}", key="until")
    if end - now > timedelta(days=DAYS_MAX + 1):
        raise ConfigurationError(f"until is {end.isoformat()}: S3 locks for {YEARS_MAX} years at most", key="until")
    return end.replace(microsecond=0)


def _later(now: datetime, duration: timedelta) -> datetime:
    try:
        return now + duration
    except OverflowError:
        raise ConfigurationError(f"until is {duration} from now: S3 locks for {YEARS_MAX} years at most") from None


def check_longer(
    id: str, mode: str | None, until: datetime | None, new_mode: str, new_until: datetime, *, bypass: bool
) -> None:
    """Raises DatabaseOperationError for what S3 would refuse as if a permission were missing: making a lock weaker."""
    if mode is None or until is None:
        return
    weaker = new_until < until or (mode == COMPLIANCE and new_mode != COMPLIANCE)
    if mode == COMPLIANCE and weaker:
        raise DatabaseOperationError(
            f"record {id!r} is locked in COMPLIANCE mode until {until.isoformat()}: nobody can shorten or loosen that",
            id=id,
        )
    if weaker and not bypass:
        raise DatabaseOperationError(
            f"record {id!r} is locked until {until.isoformat()}, longer than {new_until.isoformat()}; to shorten that, say "
            "bypass=True (--bypass; it takes s3:BypassGovernanceRetention)",
            id=id,
        )
