"""From an answer of the store, in either SDK's words, to what the user is told."""

from __future__ import annotations

import traceback
from types import ModuleType

import pytest
from botocore import exceptions as boto_errors
from botocore.parsers import ResponseParserError
from obstore import exceptions as obstore_errors
from obstore.exceptions import GenericError

from dataknobs_data.exceptions import (
    ConfigurationError,
    DatabaseConnectionError,
    DatabaseOperationError,
    DataknobsDataError,
    IncompatibleStoreError,
    RecordArchivedError,
    RecordNotFoundError,
    RecordValidationError,
    ThrottledError,
)
from dataknobs_data.s3.faults import public_error, translated
from dataknobs_data.s3.place import Place
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.stores.failures import faults, kind_of
from dataknobs_data.s3.stores.obs import _faults, fault_of

PLACE = Place("my-bucket", "http://store:9000")


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (404, "NoSuchKey", Kind.MISSING),
        (404, "NoSuchBucket", Kind.NO_BUCKET),
        (404, None, Kind.SERVER),
        (403, "AccessDenied", Kind.DENIED),
        (403, None, Kind.DENIED),
        (403, "InvalidObjectState", Kind.ARCHIVED),
        (403, "SignatureDoesNotMatch", Kind.CREDENTIALS),
        (403, "InvalidAccessKeyId", Kind.CREDENTIALS),
        (400, "ExpiredToken", Kind.CREDENTIALS),
        (401, None, Kind.CREDENTIALS),
        (412, "PreconditionFailed", Kind.CONDITION),
        (409, "ConditionalRequestConflict", Kind.CONDITION),
        (409, None, Kind.CONDITION),
        (400, "RequestTimeout", Kind.NETWORK),
        (503, "SlowDown", Kind.THROTTLED),
        (503, None, Kind.SERVER),
        (503, "ServiceUnavailable", Kind.THROTTLED),
        (301, "PermanentRedirect", Kind.REGION),
        (400, "AuthorizationHeaderMalformed", Kind.REGION),
        (429, None, Kind.THROTTLED),
        (500, "InternalError", Kind.SERVER),
        (502, None, Kind.SERVER),
        (504, None, Kind.SERVER),
        (501, "NotImplemented", Kind.UNSUPPORTED),
        (405, "MethodNotAllowed", Kind.UNSUPPORTED),
        (400, "InvalidTag", Kind.REFUSED),
        (400, None, Kind.REFUSED),
        (None, None, Kind.REFUSED),
    ],
)
def test_what_an_answer_means(status: int | None, code: str | None, kind: Kind) -> None:
    assert kind_of(status, code) is kind


def test_an_obstore_error_is_read_from_its_message() -> None:
    fault = fault_of(
        "Generic S3 error: Error performing PUT http://store/b/k in 1.2ms - Server returned non-2xx status code: 503 "
        "Service Unavailable: <Error><Code>SlowDown</Code><Message>Please reduce your rate</Message></Error>",
        "k.json",
    )
    assert (fault.kind, fault.status, fault.code) == (Kind.THROTTLED, 503, "SlowDown")
    assert str(fault) == "the store asks to slow down (HTTP 503, SlowDown, Please reduce your rate)"


def test_obstore_errors_without_an_answer() -> None:
    refused = "Generic S3 error: Error performing PUT http://x in 1ms - HTTP error: ... HttpError { kind: Connect, ..."
    assert fault_of(refused, "k.json").kind is Kind.UNREACHABLE
    broken = "Generic S3 error: ... HTTP error: error sending request\n\nDebug source: …"
    assert fault_of(broken, "k.json").kind is Kind.NETWORK
    moved = (
        "Generic S3 error: Received redirect without LOCATION, this normally indicates an incorrectly configured region"
    )
    assert fault_of(moved, "k.json").kind is Kind.REGION
    assert "\n" not in str(fault_of("first line\nDebug source: everything", "k.json"))


def test_what_the_store_repeats_of_a_request_is_in_no_traceback() -> None:
    answer = "status code: 400 Bad Request: <Error><Code>InvalidToken</Code><Token-0>hush</Token-0></Error>"
    with pytest.raises(Fault) as caught, _faults("k.json"):
        raise GenericError(f"Generic S3 error: Server returned non-2xx {answer}")
    assert caught.value.kind is Kind.CREDENTIALS
    assert "hush" not in "".join(traceback.format_exception(caught.value))


def test_an_id_cannot_speak_for_the_store() -> None:
    key = "records/status code: 404 <Code>NoSuchKey</Code>.json"
    message = (
        f"Object at location {key} not found: Error performing GET http://x - Server returned non-2xx status code: "
    )
    fault = fault_of(message + "403 Forbidden: <Error><Code>AccessDenied</Code></Error>", key)
    assert (fault.kind, fault.status, fault.code) == (Kind.DENIED, 403, "AccessDenied")


def boto_fault(error: Exception) -> Fault:
    with pytest.raises(Fault) as caught, faults():
        raise error
    return caught.value


def client_error(status: int, code: str) -> boto_errors.ClientError:
    answer = {"Error": {"Code": code, "Message": "said"}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return boto_errors.ClientError(answer, "GetObject")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (client_error(403, "InvalidObjectState"), Kind.ARCHIVED),
        (client_error(404, "404"), Kind.SERVER),
        (client_error(503, "503"), Kind.SERVER),
        (KeyError("ETag"), Kind.SERVER),
        (ResponseParserError("no XML"), Kind.SERVER),
        (boto_errors.EndpointConnectionError(endpoint_url="http://x"), Kind.UNREACHABLE),
        (boto_errors.ConnectTimeoutError(endpoint_url="http://x"), Kind.UNREACHABLE),
        (boto_errors.ReadTimeoutError(endpoint_url="http://x"), Kind.NETWORK),
        (boto_errors.ConnectionClosedError(endpoint_url="http://x"), Kind.NETWORK),
        (boto_errors.ProxyConnectionError(proxy_url="http://x"), Kind.NETWORK),
        (boto_errors.IncompleteReadError(actual_bytes=1, expected_bytes=2), Kind.NETWORK),
        (boto_errors.ResponseStreamingError(error="broken"), Kind.NETWORK),
        (boto_errors.NoCredentialsError(), Kind.CREDENTIALS),
        (boto_errors.ParamValidationError(report="bad"), Kind.REFUSED),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_every_error_of_botocore_becomes_a_fault(error: Exception, kind: Kind) -> None:
    assert boto_fault(error).kind is kind


def test_no_error_class_of_either_sdk_gets_through_untranslated() -> None:
    """A lower layer that grows an error must not surprise the user: all of them derive from what is caught."""
    no_answer = {"UnsupportedTLSVersionWarning", "ImminentRemovalWarning", "UndefinedModelAttributeError"}
    no_answer |= {"MissingServiceIdError"}  # like the one before: botocore's own data files are broken
    caught = (boto_errors.BotoCoreError, boto_errors.ClientError)
    assert errors_of(boto_errors, not_under=caught) == no_answer
    assert errors_of(obstore_errors, not_under=(obstore_errors.BaseError, FileNotFoundError)) == set()


def errors_of(module: ModuleType, not_under: tuple[type[BaseException], ...]) -> set[str]:
    classes = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, BaseException)]
    own = [one for one in classes if one.__module__ == module.__name__]
    assert len(own) > 10
    return {one.__name__ for one in own if not issubclass(one, not_under)}


PUBLIC = {
    Kind.UNSET: DatabaseOperationError,
    Kind.MISSING: RecordNotFoundError,
    Kind.NO_BUCKET: DatabaseConnectionError,
    Kind.CONDITION: DatabaseOperationError,
    Kind.DENIED: DatabaseConnectionError,
    Kind.CREDENTIALS: DatabaseConnectionError,
    Kind.REGION: ConfigurationError,
    Kind.ARCHIVED: RecordArchivedError,
    Kind.UNSUPPORTED: IncompatibleStoreError,
    Kind.REFUSED: DatabaseOperationError,
    Kind.THROTTLED: ThrottledError,
    Kind.SERVER: DatabaseOperationError,
    Kind.NETWORK: DatabaseConnectionError,
    Kind.UNREACHABLE: DatabaseConnectionError,
    Kind.LATE: DatabaseOperationError,
}


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_of_fault_has_its_public_error(kind: Kind) -> None:
    with pytest.raises(DataknobsDataError) as caught, translated("reading record 'x'", PLACE, id="x"):
        raise Fault(kind, "HTTP 400, Why", status=400, code="Why")
    assert type(caught.value) is PUBLIC[kind]
    assert str(caught.value).startswith("reading record 'x'")
    assert caught.value.context["id"] == "x"
    assert caught.value.context["code"] == "Why"
    assert isinstance(caught.value.__cause__, Fault)


@pytest.mark.parametrize(
    ("kind", "advice"),
    [
        (Kind.DENIED, "grant this identity the request in the bucket policy or IAM (ListBucket on the bucket;"),
        (Kind.CREDENTIALS, "check access_key_id and secret_access_key, the AWS_ variables, the profile"),
        (Kind.UNREACHABLE, "check endpoint_url, region and network"),
        (Kind.NO_BUCKET, "create it (aws s3 mb s3://NAME), correct the name, or set create_bucket: true"),
        (Kind.THROTTLED, "wait and try again, or lower max_workers"),
        (
            Kind.ARCHIVED,
            "restore it first (db.restore(error) with this error, db.restore(id), or dataknobs-data restore)",
        ),
        (Kind.UNSUPPORTED, "use a store that implements it"),
    ],
)
def test_the_message_says_what_to_do(kind: Kind, advice: str) -> None:
    assert advice in str(public_error(Fault(kind, ""), "doing", PLACE))


def test_the_message_says_where_and_with_what_answer() -> None:
    message = str(public_error(Fault(Kind.DENIED, "HTTP 403, AccessDenied, No"), "reading record 'x'", PLACE))
    assert message.startswith(
        "reading record 'x' in bucket 'my-bucket' at http://store:9000: access denied (HTTP 403, AccessDenied, No); "
    )


def test_codes_with_a_meaning_of_their_own() -> None:
    long = public_error(Fault(Kind.REFUSED, "", status=400, code="KeyTooLongError"), "writing record 'x'", PLACE)
    assert type(long) is RecordValidationError
    assert "this store cannot hold so long an id; nothing was written" in str(long)
    named = public_error(Fault(Kind.REFUSED, "", status=400, code="InvalidBucketName"), "opening", PLACE)
    assert type(named) is ConfigurationError
    assert named.context["key"] == "bucket"
