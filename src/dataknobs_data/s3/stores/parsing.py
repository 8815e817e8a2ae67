"""Reading listings fast. botocore walks its service model for every element of every line of a listing, and parses
1,000 dates a page that nobody reads; a listing is what search and count spend their time on, so it gets a parser of its own.

Measured with botocore 1.44: see docs/decisions/0002.
"""

from __future__ import annotations

from collections.abc import Mapping
from sys import intern
from typing import Any
from xml.etree import ElementTree

from botocore.parsers import ResponseParserError, ResponseParserFactory, RestXMLParser

_LISTING, _DELETION, _VERSIONS = "ListObjectsV2Output", "DeleteObjectsOutput", "ListObjectVersionsOutput"


class ListingParserFactory(ResponseParserFactory):
    """Makes botocore's parsers, with `ListingParser` for S3's protocol. Timestamps stay text."""

    def __init__(self) -> None:
        super().__init__()
        self.set_parser_defaults(timestamp_parser=str)

    def create_parser(self, protocol_name: str) -> Any:
        """See botocore."""
        return (
            ListingParser(timestamp_parser=str) if protocol_name == "rest-xml" else super().create_parser(protocol_name)
        )


class ListingParser(RestXMLParser):
    """botocore's own parser, but for successful answers to ListObjectsV2 and ListObjectVersions: of those it reads what this
    package uses. What is no answer of a store (the page of a proxy) is an error, where botocore sees an empty listing, or success.
    """

    def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        """See botocore: the answer as a dict in the form of its service model."""
        name = shape.name if shape is not None and response["status_code"] == 200 else None
        if name == _DELETION:
            _check_root(response["body"], "DeleteResult")  # in which silence means success
        read = {_LISTING: _listing, _VERSIONS: _versions}.get(name or "")
        if read is None:
            return super().parse(response, shape)
        try:
            parsed = read(response["body"])
        except (TypeError, ValueError) as error:
            raise ResponseParserError(f"no listing: {error}") from error
        parsed["ResponseMetadata"] = {"HTTPStatusCode": 200, "HTTPHeaders": dict(response["headers"])}
        return parsed


def _check_root(body: bytes, wanted: str) -> ElementTree.Element:
    try:
        root = ElementTree.fromstring(body)
    except ElementTree.ParseError as error:
        raise ResponseParserError(f"no XML, but a {wanted} was to come: {error}") from error
    if root.tag.rpartition("}")[2] != wanted:
        raise ResponseParserError(f"a {wanted} was to come, not {root.tag!r}")
    return root


def _top(root: ElementTree.Element, space: str, names: tuple[str, ...]) -> dict[str, Any]:
    """What a listing says of itself."""
    truncated = root.findtext("{*}IsTruncated")
    if truncated not in ("true", "false"):
        raise ValueError(f"a listing that does not say whether it is truncated: {truncated!r}")
    texts = ((name, root.findtext(space + name)) for name in names)
    return {"IsTruncated": truncated == "true", **{name: text for name, text in texts if text is not None}}


def _space(root: ElementTree.Element) -> str:
    return root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""


def _versions(body: bytes) -> dict[str, Any]:
    """With `Lines`: of which kind each is; botocore forgets in which order they came."""
    root = _check_root(body, "ListVersionsResult")
    space = _space(root)
    found: dict[str, list[dict[str, Any]]] = {f"{space}Version": [], f"{space}DeleteMarker": []}
    lines = []
    for child in root:
        if (of_kind := found.get(child.tag)) is not None:
            lines.append(child.tag[len(space) :])
            of_kind.append(_version({part.tag[len(space) :]: part for part in child}, space))
    versions, markers = found.values()
    names = ("NextKeyMarker", "NextVersionIdMarker", "EncodingType", "Prefix", "KeyMarker")
    return {**_top(root, space, names), "Lines": lines, "Versions": versions, "DeleteMarkers": markers}


def _version(parts: Mapping[str, ElementTree.Element], space: str) -> dict[str, Any]:
    texts = {name: part.text or "" for name, part in parts.items() if name != "Owner"}
    if texts.get("IsLatest") not in ("true", "false") or not {"Key", "VersionId", "LastModified"} <= texts.keys():
        raise ValueError(f"a version without key, id, time or IsLatest: {texts}")
    line: dict[str, Any] = {**texts, "IsLatest": texts["IsLatest"] == "true"}
    if "Size" in texts:
        line["Size"] = int(texts["Size"])
    if "Owner" in parts:
        line["Owner"] = {part.tag[len(space) :]: part.text or "" for part in parts["Owner"]}
    return line


def _listing(body: bytes) -> dict[str, Any]:
    root = _check_root(body, "ListBucketResult")
    space = _space(root)
    key, etag, size, storage_class = f"{space}Key", f"{space}ETag", f"{space}Size", f"{space}StorageClass"
    modified = f"{space}LastModified"
    return {
        **_top(root, space, ("NextContinuationToken", "EncodingType", "Prefix")),
        "Contents": [
            {
                "Key": line.findtext(key),
                "ETag": line.findtext(etag),
                "Size": int(line.findtext(size, "")),
                "StorageClass": intern(line.findtext(storage_class) or "STANDARD"),  # the same for many
                "LastModified": intern(line.findtext(modified) or ""),
            }
            for line in root.iterfind(f"{space}Contents")
        ],
    }
