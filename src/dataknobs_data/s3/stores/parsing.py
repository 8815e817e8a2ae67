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
    """botocore's own parser, but for successful answers to ListObjectsV2: of those it reads what this package uses. What is no
    answer of a store (the page of a proxy) is an error, where botocore sees an empty listing, or success.
    """

    def parse(self, response: Mapping[str, Any], shape: Any) -> Any:
        """See botocore: the answer as a dict in the form of its service model."""
        name = shape.name if shape is not None and response["status_code"] == 200 else None
        if name == _DELETION:
            _check_root(response["body"], "DeleteResult")  # in which silence means success
        if name == _VERSIONS:
            root = _check_root(response["body"], "ListVersionsResult")
            lines = [tag for child in root if (tag := child.tag.rpartition("}")[2]) in ("Version", "DeleteMarker")]
            return {**super().parse(response, shape), "Lines": lines}  # botocore forgets in which order they came
        if name != _LISTING:
            return super().parse(response, shape)
        try:
            parsed = _listing(response["body"])
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


def _listing(body: bytes) -> dict[str, Any]:
    root = _check_root(body, "ListBucketResult")
    truncated = root.findtext("{*}IsTruncated")
    if truncated not in ("true", "false"):
        raise ValueError(f"a listing that does not say whether it is truncated: {truncated!r}")
    space = root.tag.partition("}")[0] + "}" if root.tag.startswith("{") else ""
    key, etag, size, storage_class = f"{space}Key", f"{space}ETag", f"{space}Size", f"{space}StorageClass"
    modified = f"{space}LastModified"
    parsed: dict[str, Any] = {
        "IsTruncated": truncated == "true",
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
    for name in ("NextContinuationToken", "EncodingType", "Prefix"):
        text = root.findtext(space + name)
        if text is not None:
            parsed[name] = text
    return parsed
