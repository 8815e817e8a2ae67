"""What lies below a prefix: one request for each 1,000 keys, control files and strangers left out."""

from __future__ import annotations

from collections.abc import Iterator

from dataknobs_data.s3.calls import Caller, Deadline
from dataknobs_data.s3.keys import Keys
from dataknobs_data.s3.store import Listed, Page

PAGE_KEYS = 1000
"""Keys in one page of a listing at most; https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html."""


class Lister:
    """Listings of one database. By boto3 wherever strangers may write: obstore 0.12 fails on a key that it cannot parse
    (`a//b`, a tab), takes no prefix that ends within a segment, and shows `x.json/` as `x.json`."""

    def __init__(self, caller: Caller, keys: Keys) -> None:
        self._caller = caller
        self._keys = keys

    def records(self, id_prefix: str = "", deadline: Deadline | None = None) -> dict[str, Listed]:
        """Every record whose id starts with `id_prefix`, by id, in the store's order. `deadline`: of all pages together."""
        if not _is_text(id_prefix):
            return {}
        pages = self.record_pages(self._keys.listing_prefix(id_prefix), deadline)
        found = ((self._keys.id(item.key), item) for page in pages for item in page.items)
        return {id: item for id, item in found if id is not None and id.startswith(id_prefix)}

    def records_and_nested(self) -> tuple[dict[str, Listed], tuple[str, ...]]:
        """As `records`, and what the keys of other databases begin with that lie inside this one."""
        records: dict[str, Listed] = {}
        nested: list[str] = []
        for page in self.record_pages(self._keys.prefix):
            for item in page.items:
                if (id := self._keys.id(item.key)) is not None:
                    records[id] = item
                elif inner := self._keys.nested_prefix(item.key):
                    nested.append(inner)
        return records, tuple(nested)

    def pages(
        self, key_prefix: str, start_after: str | None = None, deadline: Deadline | None = None
    ) -> Iterator[Page]:
        """All pages below a key prefix, from after a key where one is given. `deadline`: for all of them together."""
        token: str | None = None
        while True:
            page = self._page(key_prefix, token, None if token else start_after, deadline)
            yield page
            token = page.token
            if token is None:
                return

    def folder(self, folder: str, start_after: str, deadline: Deadline | None = None) -> Iterator[Page]:
        """As `pages`, of a folder of ours in which something is known to lie behind that key."""
        page = self._caller.send("ListObjectsV2", lambda store: store.list_folder(folder, start_after), deadline)
        if page is None:
            yield from self.pages(folder, start_after, deadline)
            return
        yield page
        if page.token is not None:
            yield from self.pages(folder, page.items[-1].key, deadline)

    def record_pages(self, key_prefix: str, deadline: Deadline | None = None) -> Iterator[Page]:
        """As `pages`, but does not go through all of this database's control files when it comes to them.

        The key to go on behind lies in their folder, for not every store lists in the order of bytes: SeaweedFS has what is
        in `_table/` before `_table-1`.
        """
        token: str | None = None
        start: str | None = None
        while True:
            page = self._page(key_prefix, token, start, deadline)
            yield page
            if page.token is None:
                return
            start = self._keys.behind_control(page.items[-1].key) if page.items else None
            token = None if start else page.token

    def _page(self, key_prefix: str, token: str | None, start_after: str | None, deadline: Deadline | None) -> Page:
        return self._caller.send(
            "ListObjectsV2", lambda store: store.list_page(key_prefix, token=token, start_after=start_after), deadline
        )


def _is_text(prefix: str) -> bool:
    """Whether a key can begin so: lone surrogates cannot be sent."""
    try:
        prefix.encode()
    except UnicodeEncodeError:
        return False
    return True
