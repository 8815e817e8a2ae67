"""`serve`: an S3 store on this machine, to try things on."""

from __future__ import annotations

import json as json_text
import shlex
import sys
import time
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from dataknobs_data.cli.exits import Exit
from dataknobs_data.cli.options import Debug
from dataknobs_data.cli.signals import ended_by_sigterm
from dataknobs_data.embedded import SeaweedServer
from dataknobs_data.exceptions import DatabaseConnectionError

POLL_SECONDS = 0.2
EXAMPLE = """
echo '{"hello": "world"}' | dataknobs-data create s3://try/records
dataknobs-data search s3://try/records"""

Port = Annotated[
    int | None,
    typer.Option(min=1, max=65535, metavar="PORT", help="Where to listen on 127.0.0.1 (default: a free port)."),
]
Directory = Annotated[
    Path | None,
    typer.Option(metavar="DIR", help="Keep the data here for the next time (default: it goes with the server)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print address and keys as one line of JSON.")]


def serve(port: Port = None, directory: Directory = None, json: Json = False, debug: Debug = False) -> int:
    """Run an S3 store on this machine until Ctrl-C."""
    server = SeaweedServer(port=port, directory=directory)
    try:
        with ended_by_sigterm(), server:
            (_announce_to_programs if json else _announce)(server)
            while server.running:
                time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        if not json:
            print("\nstopped")
        return Exit.OK
    raise DatabaseConnectionError(f"{server.name} ended by itself")


def _announce(server: SeaweedServer) -> None:
    console = Console(highlight=False)
    kept = f"its data in {server.directory}" if server.directory else "its data gone with it"
    console.print(Text(f"{server.name} listens at {server.endpoint}, {kept}. In another terminal:\n", "bold"))
    for name, value in server.environment().items():
        print(f"export {name}={shlex.quote(value)}")
    print(EXAMPLE)
    console.print(Text("\nCtrl-C stops it.", "dim"))
    sys.stdout.flush()


def _announce_to_programs(server: SeaweedServer) -> None:
    facts = {"endpoint_url": server.endpoint, "pid": server.pid, "environment": server.environment()}
    print(json_text.dumps(facts), flush=True)
