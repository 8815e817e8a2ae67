"""Plain GETs of a read endpoint, unsigned, by the HTTP client under boto3: proxies and certificates are found as boto3 does.

obstore's HTTPStore follows redirects to wherever they lead and keeps status and headers to itself.
"""

from __future__ import annotations

import os
from typing import Any
from urllib.parse import quote

import botocore.session
from botocore.awsrequest import AWSRequest
from botocore.exceptions import ConnectionError, HTTPClientError
from botocore.httpsession import URLLib3Session
from botocore.utils import get_environ_proxies

from dataknobs_data.s3.edge import Answer
from dataknobs_data.s3.settings import S3Settings
from dataknobs_data.s3.store import Fault, Kind
from dataknobs_data.s3.stores.connection import attempt_seconds

CONNECT_SECONDS_MAX, READ_SECONDS_MAX = 2.0, 5.0
"""Until a connection stands, and until the next bytes come: an edge that is slower than that is none."""

SAFE = "-_.~/"
"""What stands for itself in the path of an object's address; https://docs.aws.amazon.com/AmazonS3/latest/API/sig-v4-header-based-auth.html, UriEncode."""

HEADERS = {"Accept-Encoding": "identity", "User-Agent": "dataknobs-data"}


class EndpointWeb:
    """GETs of `{read_endpoint}/{key}`."""

    def __init__(self, settings: S3Settings) -> None:
        assert settings.read_endpoint
        self._base = settings.read_endpoint
        attempt = attempt_seconds(settings)
        core = botocore.session.Session(profile=settings.profile)
        how: dict[str, Any] = {  # the stubs know no file of certificates and one time for all
            "verify": core.get_config_variable("ca_bundle") or os.environ.get("REQUESTS_CA_BUNDLE") or True,
            "proxies": get_environ_proxies(self._base),
            "timeout": (min(CONNECT_SECONDS_MAX, attempt), min(READ_SECONDS_MAX, attempt)),
            "max_pool_connections": settings.max_workers,
        }
        self._http = URLLib3Session(**how)

    def get(self, key: str, *, unless_etag: str | None = None) -> Answer:
        condition = {"If-None-Match": unless_etag} if unless_etag else {}
        request = AWSRequest("GET", f"{self._base}/{quote(key, safe=SAFE)}", {**HEADERS, **condition})
        try:
            answer = self._http.send(request.prepare())
            body: bytes = answer.content
        except ConnectionError as error:  # no host, no way there, a proxy or a certificate that is none
            raise Fault(Kind.UNREACHABLE, str(error)) from error
        except HTTPClientError as error:
            raise Fault(Kind.NETWORK, str(error)) from error
        return Answer(answer.status_code, {name.lower(): value for name, value in answer.headers.items()}, body)

    def close(self) -> None:
        self._http.close()
