"""What a document repeats in its object's user metadata, so that HEAD is enough to replace or delete an archived record."""

from __future__ import annotations

from dataknobs_data.documents import Document
from dataknobs_data.runtime import iso_utc
from dataknobs_data.s3.store import Head

BORN, REPLACES, REVISION, CREATED_AT = "born", "replaces", "revision", "created-at"


def headers_of(document: Document) -> dict[str, str]:
    """The user metadata of a document's object; all of it ASCII."""
    headers = {BORN: document.born, REVISION: document.revision, CREATED_AT: document.created_at}
    if document.replaces:
        headers[REPLACES] = " ".join(sorted(document.replaces))
    return headers


def outline(id: str, head: Head) -> Document:
    """A document without its content, from the headers of its object."""
    birth = "etag:" + head.etag.strip('"')
    modified = iso_utc(head.modified)
    return Document(
        id=id,
        data={},
        metadata={},
        created_at=head.metadata.get(CREATED_AT, modified),
        updated_at=modified,
        born=head.metadata.get(BORN, birth),
        revision=head.metadata.get(REVISION, birth),
        replaces=frozenset(head.metadata.get(REPLACES, "").split()),
    )
