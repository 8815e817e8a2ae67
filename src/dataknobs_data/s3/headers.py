"""What a document repeats in its object's user metadata, so that HEAD is enough to replace or delete an archived record."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import quote, unquote

from dataknobs_data.documents import Document
from dataknobs_data.exceptions import DataFormatError
from dataknobs_data.runtime import iso_utc
from dataknobs_data.s3.store import Head
from dataknobs_data.s3.tombstones import TOO_MANY, births_header, births_of

BORN, REPLACES, REVISION, CREATED_AT, AUTHOR = "born", "replaces", "revision", "created-at", "author"


def headers_of(document: Document, author: str | None = None) -> dict[str, str]:
    """The user metadata of a document's object; plain ASCII, whatever another writer's document had in these places.

    `author`: who writes it, for the history of versions.
    """
    headers = {BORN: document.born, REVISION: document.revision, CREATED_AT: document.created_at}
    headers = {name: _quoted(value) for name, value in headers.items()}
    if document.replaces:
        headers[REPLACES] = births_header(document.replaces)
    if author:
        headers[AUTHOR] = quote(author, safe=" @:")
    return headers


def author_of(metadata: Mapping[str, str]) -> str | None:
    """Who wrote the object with this user metadata, where the writer said."""
    return unquote(metadata[AUTHOR]) if AUTHOR in metadata else None


def _quoted(value: str) -> str:
    return quote(value, safe=":")


def outline(id: str, head: Head) -> Document:
    """A document without its content, from the headers of its object. Raises DataFormatError where they do not say enough."""
    replaces = head.metadata.get(REPLACES, "")
    if replaces == TOO_MANY:
        raise DataFormatError(
            f"record {id!r}: it replaces so many deleted ones that only its content names them, which cannot be read; "
            "restore it, and run compact()",
            id=id,
        )
    birth = "etag:" + head.etag.strip('"')
    modified = iso_utc(head.modified)
    return Document(
        id=id,
        data={},
        metadata={},
        created_at=unquote(head.metadata.get(CREATED_AT, modified)),
        updated_at=modified,
        born=unquote(head.metadata.get(BORN, birth)),
        revision=unquote(head.metadata.get(REVISION, birth)),
        replaces=births_of(replaces),
    )
