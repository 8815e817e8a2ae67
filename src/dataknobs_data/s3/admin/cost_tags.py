"""Tags of the bucket, by which AWS splits the bill, and what the records of each department, project, … cost.

AWS's bill knows the tags of *buckets* only, not those of objects:
https://docs.aws.amazon.com/AmazonS3/latest/userguide/CostAllocTagging.html. What `split` says is reckoned here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Any

from dataknobs_data.exceptions import ConfigurationError, DataknobsDataError
from dataknobs_data.query import Query
from dataknobs_data.s3.admin.control import PERMISSIONS
from dataknobs_data.s3.admin.plan import Configuration, Plan
from dataknobs_data.s3.costs.prices import Prices, default_prices
from dataknobs_data.s3.engine import S3Engine
from dataknobs_data.s3.faults import translated
from dataknobs_data.s3.store import Fault, Kind, Listed
from dataknobs_data.s3.tags import refusal, tag_text
from dataknobs_data.spelling import did_you_mean

TAGS_MAX = 50
"""Of a bucket, AWS's own not counted; https://docs.aws.amazon.com/AmazonS3/latest/userguide/CostAllocTagging.html."""

SYSTEM = "aws:"
"""Tags of AWS's own, such as CloudFormation's. GetBucketTagging shows them, and PutBucketTagging must send them back as they are,
else it answers "System Tags cannot be removed by requester": https://github.com/cloud-custodian/cloud-custodian/issues/2834."""

ACTIVATE_NOTE = (
    "AWS splits the bill by these tags once they are activated in the Billing console (Cost allocation tags): it takes up to "
    "24 hours until they appear there, and up to 24 more until they are active "
    "(https://docs.aws.amazon.com/awsaccountbilling/latest/aboutv2/activating-tags.html)"
)
WHOLE_BUCKET_NOTE = "they are for the bucket as a whole; cost_tags.split() says what the records of each … cost"

Tags = dict[str, str]


class _Unknown(Enum):
    """The value of a record that shows neither its content nor its tags."""

    UNKNOWN = "unknown"


_UNKNOWN = _Unknown.UNKNOWN
_Value = str | None | _Unknown


@dataclass(frozen=True)
class CostShare:
    """What the records with one value of a metadata name cost.

    value              the value as text; None: records without one, or with one that is no single value
    records            how many
    bytes              of their documents, and their part of the packs
    dollars_per_month  for keeping them, in their storage classes
    known              False: the store shows neither content nor tags of these records (and `value` is None)
    """

    value: str | None
    records: int
    bytes: int
    dollars_per_month: float
    known: bool = True


class CostTags(Configuration):
    """Tags of the bucket, by which AWS splits the bill. Those of others stay.

    In a bucket with attribute-based access control AWS takes them by TagResource only, and refuses what is done here:
    https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutBucketTagging.html.
    """

    what = "cost allocation tags"

    def __init__(self, engine: S3Engine) -> None:
        super().__init__(engine.control)
        self._engine = engine

    def get(self) -> Tags:
        """The bucket's tags, AWS's own (`aws:…`) among them."""
        return self._read() or {}

    def set(self, tags: Mapping[str, str], *, dry_run: bool = False) -> Plan:
        """Adds these tags to the bucket's, or changes their values. All others stay.

        Raises ConfigurationError for what cannot be a tag.
        """
        return self.change(tags, dry_run=dry_run)

    def remove(self, *names: str, dry_run: bool = False) -> Plan:
        """Takes the tags of these names away. All others stay."""
        return self.change(unset=names, dry_run=dry_run)

    def change(
        self, tags: Mapping[str, str] | None = None, unset: tuple[str, ...] = (), *, dry_run: bool = False
    ) -> Plan:
        """`set` and `remove` in one step."""
        given = dict(tags or {})
        check_tags(given, unset)
        return self._change(partial(decided, given, unset), dry_run=dry_run)

    def _read(self) -> Tags | None:
        answer = self._control.look("GetBucketTagging", "reading the bucket's tags")
        found = {tag["Key"]: tag.get("Value", "") for tag in answer["TagSet"]} if answer else {}
        return found or None

    def _write(self, value: Any) -> None:
        if value is None:
            self._control.send("DeleteBucketTagging", "removing the bucket's tags")
        else:
            pairs = [{"Key": key, "Value": text} for key, text in value.items()]
            self._control.send("PutBucketTagging", "setting the bucket's tags", Tagging={"TagSet": pairs})

    # ------------------------------------------------------------------ who costs what
    def split(self, by: str, prices: Prices | None = None) -> list[CostShare]:
        """What keeping the records costs, for each value of their metadata `by`; the dearest first.

        It looks at every record: one listing more than a search of all, and the tags of those whose content lies in an
        archive or is damaged. Older versions and requests are not in it. Records in packs pay for equal parts of all packs.
        """
        table = prices or default_prices()
        with translated("listing the records", self._control.place, needs=PERMISSIONS["ListObjectsV2"]):
            listed = self._control.packed.documents(self._control.lister.records())
            files = self._control.packed.files()
        groups: defaultdict[_Value, list[Listed]] = defaultdict(list)
        packed: Counter[_Value] = Counter()
        for id, value in self._values(by, listed).items():
            if id in listed:
                groups[value].append(listed[id])
            else:
                packed[value] += 1
        lines = [file.line for file in files]
        shares = [
            share_of(value, groups[value], table, lines, packed[value], packed.total())
            for value in dict.fromkeys([*groups, *packed])
        ]
        return sorted(shares, key=lambda share: (-share.dollars_per_month, share.value or ""))

    def _values(self, by: str, listed: Mapping[str, Listed]) -> dict[str, _Value]:
        unread: list[str] = []

        def note(error: DataknobsDataError) -> None:
            unread.append(error.context["id"])

        documents = self._engine.scan(Query(), note)
        values: dict[str, _Value] = {
            found.id: tag_text(found.metadata.get(by))
            for found in documents
            if found.id in listed or self._control.packed.exists
        }
        known = [id for id in unread if id in listed]
        return {**values, **dict(zip(known, self._control.many.map(partial(self._tagged, by), known), strict=True))}

    def _tagged(self, by: str, id: str) -> _Value:
        """The value as the object's tags have it, which AWS shows of archived objects, too; moto 5.2 does not."""
        key = self._control.keys.record(id)
        try:
            return self._control.caller.send("GetObjectTagging", lambda store: store.get_tags(key)).get(by)
        except Fault as fault:
            if fault.kind is Kind.MISSING:
                return None
            if fault.kind is Kind.ARCHIVED:
                return _UNKNOWN
            raise self._control.error("GetObjectTagging", f"reading the tags of record {id!r}", fault) from fault


def check_tags(tags: Tags, unset: tuple[str, ...] = ()) -> None:
    """Raises ConfigurationError for the first that cannot be a bucket's tag."""
    for name, value in tags.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise ConfigurationError(f"cost tag {name!r}: {value!r}: names and values are text")
        reason = refusal(name, value, value)
        if reason:
            raise ConfigurationError(f"cost tag {name!r}: {value!r} cannot be set: {reason}")
    for name in unset:
        if name.lower().startswith(SYSTEM):
            raise ConfigurationError(f"cost tag {name!r} is AWS's own and cannot be removed")
        if name in tags:
            raise ConfigurationError(f"cost tag {name!r} is to be set and to be removed")


def decided(tags: Tags, unset: tuple[str, ...], before: Tags | None) -> tuple[Tags | None, list[str]]:
    """The bucket's tags after the change; None: there are none left."""
    present = before or {}
    absent = [f"there is no tag {name!r}; {did_you_mean(name, present)}" for name in unset if name not in present]
    after = {name: value for name, value in {**present, **tags}.items() if name not in unset}
    own = [name for name in after if not name.lower().startswith(SYSTEM)]
    if len(own) > TAGS_MAX:
        raise ConfigurationError(
            f"the bucket would have {len(own)} tags, and S3 allows {TAGS_MAX}; remove some first", tags=own
        )
    return after or None, [*absent, *([ACTIVATE_NOTE, WHOLE_BUCKET_NOTE] if tags else [])]


def share_of(
    value: _Value,
    lines: Sequence[Listed],
    prices: Prices,
    packs: Sequence[Listed] = (),
    packed: int = 0,
    packed_of_all: int = 0,
) -> CostShare:
    """The share of these objects, and of `packed` among all records that lie in packs."""
    known = value is not _UNKNOWN
    part = packed / packed_of_all if packed else 0.0
    size, dollars = _kept(lines, prices)
    packs_size, packs_dollars = _kept(packs, prices)
    text = value if isinstance(value, str) else None
    return CostShare(text, len(lines) + packed, size + round(part * packs_size), dollars + part * packs_dollars, known)


def _kept(lines: Sequence[Listed], prices: Prices) -> tuple[int, float]:
    """Their bytes, and dollars a month."""
    return sum(line.size for line in lines), sum(prices.month(line.storage_class, line.size) for line in lines)
