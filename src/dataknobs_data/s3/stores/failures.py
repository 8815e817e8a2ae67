"""How requests fail: botocore's errors and S3's error codes as Faults."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    ResponseStreamingError,
    SSOError,
    TokenRetrievalError,
)
from botocore.parsers import ResponseParserError

from dataknobs_data.s3.store import Fault, Kind

_BY_CODE = {
    "NoSuchBucket": Kind.NO_BUCKET,
    "NoSuchKey": Kind.MISSING,
    "NoSuchVersion": Kind.MISSING,
    "NoSuchUpload": Kind.MISSING,
    "NoSuchObjectLockConfiguration": Kind.UNSET,
    "NoSuchLifecycleConfiguration": Kind.UNSET,
    "NoSuchBucketPolicy": Kind.UNSET,
    "NoSuchPublicAccessBlockConfiguration": Kind.UNSET,
    "NoSuchTagSet": Kind.UNSET,
    "ObjectLockConfigurationNotFoundError": Kind.UNSET,
    "ReplicationConfigurationNotFoundError": Kind.UNSET,
    "ServerSideEncryptionConfigurationNotFoundError": Kind.UNSET,
    "InvalidBucketState": Kind.REFUSED,
    "RestoreAlreadyInProgress": Kind.REFUSED,
    "ObjectAlreadyInActiveTierError": Kind.REFUSED,
    "GlacierExpeditedRetrievalNotAvailable": Kind.REFUSED,
    "OperationAborted": Kind.THROTTLED,
    "MethodNotAllowed": Kind.UNSUPPORTED,
    "InvalidObjectState": Kind.ARCHIVED,
    "InvalidAccessKeyId": Kind.CREDENTIALS,
    "SignatureDoesNotMatch": Kind.CREDENTIALS,
    "ExpiredToken": Kind.CREDENTIALS,
    "InvalidToken": Kind.CREDENTIALS,
    "TokenRefreshRequired": Kind.CREDENTIALS,
    "AuthorizationHeaderMalformed": Kind.REGION,
    "PermanentRedirect": Kind.REGION,
    "TemporaryRedirect": Kind.REGION,
    "IllegalLocationConstraintException": Kind.REGION,
    "SlowDown": Kind.THROTTLED,
    "ServiceUnavailable": Kind.THROTTLED,
    "Throttling": Kind.THROTTLED,
    "RequestLimitExceeded": Kind.THROTTLED,
    "TooManyRequests": Kind.THROTTLED,
    "RequestTimeout": Kind.NETWORK,
    "BadDigest": Kind.NETWORK,
    "IncompleteBody": Kind.NETWORK,
    "NotImplemented": Kind.UNSUPPORTED,
    "PreconditionFailed": Kind.CONDITION,
    "ConditionalRequestConflict": Kind.CONDITION,
    "InternalError": Kind.SERVER,
    "AccessDenied": Kind.DENIED,
}
"""https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html"""

_BY_STATUS = {
    301: Kind.REGION, 307: Kind.REGION, 401: Kind.CREDENTIALS, 403: Kind.DENIED, 404: Kind.SERVER, 405: Kind.UNSUPPORTED,
    408: Kind.NETWORK, 409: Kind.CONDITION, 412: Kind.CONDITION, 429: Kind.THROTTLED, 501: Kind.UNSUPPORTED,
}  # fmt: skip
"""Where there is no code of S3's, something else may have answered: a 404 then says nothing about the object, and after a
503 the request may have been applied."""


def kind_of(status: int | None, code: str | None) -> Kind:
    """What a failed answer means, by S3's error code, else by HTTP status."""
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    return Kind.SERVER if status is not None and status >= 500 else Kind.REFUSED


def fault_of_answer(status: int | None, code: str | None, message: str, bare_404: Kind = Kind.SERVER) -> Fault:
    """The Fault behind an answer that says it failed. `bare_404`: what a 404 without a code means."""
    detail = ", ".join(part for part in (f"HTTP {status}" if status else "", code or "", message) if part)
    kind = bare_404 if status == 404 and not code else kind_of(status, code)
    return Fault(kind, detail, status=status, code=code)


def status_of(error: ClientError) -> int | None:
    """The HTTP status of a failed answer."""
    return error.response.get("ResponseMetadata", {}).get("HTTPStatusCode")


@contextmanager
def faults(bare_404: Kind = Kind.SERVER) -> Iterator[None]:
    """Turns every error of botocore into a Fault. `bare_404`: what a 404 without a code means (answers to HEAD)."""
    try:
        yield
    except ClientError as error:
        answer = error.response.get("Error", {})
        code = answer.get("Code") or ""
        raise fault_of_answer(
            status_of(error), None if code.isdigit() else code, answer.get("Message", ""), bare_404
        ) from error
    except (EndpointConnectionError, ConnectTimeoutError) as error:
        raise Fault(Kind.UNREACHABLE, str(error)) from error
    except (ConnectionError, HTTPClientError, IncompleteReadError, ResponseStreamingError) as error:
        raise Fault(Kind.NETWORK, str(error)) from error
    except (NoCredentialsError, CredentialRetrievalError, TokenRetrievalError, SSOError) as error:
        raise Fault(Kind.CREDENTIALS, str(error)) from error
    except BotoCoreError as error:
        raise Fault(Kind.REFUSED, str(error)) from error
    except (KeyError, ValueError, ResponseParserError) as error:
        raise Fault(Kind.SERVER, f"its answer is none that S3 gives: {error!r}") from error
