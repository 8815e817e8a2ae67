"""LocalStack on loopback only: `PYTHON tests/parity/start_localstack.py`, PYTHON being that of .venv-localstack.

By itself it listens on all addresses, whatever GATEWAY_LISTEN says.
"""

from __future__ import annotations

from functools import partial

from twisted.internet import endpoints

endpoints.TCP4ServerEndpoint = partial(endpoints.TCP4ServerEndpoint, interface="127.0.0.1")

from localstack.runtime.main import main  # noqa: E402  it looks up the endpoint when it is imported

main()
