"""The command as a process: its entry point, pipes, Ctrl-C, and a server that leaves nothing behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import new_bucket_name

PROGRAM = str(Path(sys.executable).parent / "dataknobs-data")


@contextmanager
def started(*arguments: str, **options: object) -> Iterator[subprocess.Popen[str]]:
    """The command running, killed at the end if it still does."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([PROGRAM, *arguments], **{**pipes, **options}) as process:  # type: ignore[call-overload]
        try:
            yield process
        finally:
            process.kill()


def wait_until(true: Callable[[], bool]) -> None:
    """Returns when it is; fails after ten seconds."""
    deadline = time.monotonic() + 10
    while not true():
        assert time.monotonic() < deadline, "it did not happen within ten seconds"
        time.sleep(0.02)


def test_a_copy_through_a_pipe(inherited_environment: dict[str, str]) -> None:
    source, target = (f"s3://{new_bucket_name()}/records" for _ in range(2))
    subprocess.run(
        [PROGRAM, "create", source], input='{"n": 1}\n{"n": 2}', env=inherited_environment, text=True, check=True,
        capture_output=True,
    )  # fmt: skip
    copied = subprocess.run(
        ["bash", "-c", f"{PROGRAM} search {source} --metadata | {PROGRAM} create {target}"],
        env=inherited_environment,
        check=True,
        capture_output=True,
        text=True,
    )
    found = subprocess.run(
        [PROGRAM, "search", target, "-m"], env=inherited_environment, check=True, capture_output=True, text=True
    )
    assert [json.loads(line)["_id"] for line in found.stdout.splitlines()] == sorted(copied.stdout.split())


def test_a_pipe_that_is_closed_early_is_no_trouble(tmp_path: Path) -> None:
    source = tmp_path / "x.jsonl"
    url = f"file:{source}"
    lines = "\n".join(json.dumps({"id": f"{n:05}", "text": "x" * 1000}) for n in range(3000))
    subprocess.run([PROGRAM, "create", "-q", url], input=lines, text=True, check=True)
    with started("search", url) as process:
        assert process.stdout and process.stderr  # noqa: PT018  for the type checker
        assert process.stdout.readline()
        process.stdout.close()
        assert process.wait(20) == 141
        assert process.stderr.read() == ""


def test_ctrl_c_while_it_reads(tmp_path: Path) -> None:
    url = f"file:{tmp_path / 'x.jsonl'}"
    with started("create", url) as process:
        assert process.stdin and process.stdout and process.stderr  # noqa: PT018
        process.stdin.write("".join(f'{{"id": "{n:04}"}}\n' for n in range(1000)))
        process.stdin.flush()
        assert process.stdout.readline() == "0000\n"  # the first batch is in, it waits for more
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
        assert process.stderr.read().splitlines() == [
            "stopped: 1,000 written",
            "interrupted",
        ]
    counted = subprocess.run([PROGRAM, "count", url], capture_output=True, text=True, check=True)
    assert counted.stdout == "1000\n"


@pytest.mark.server
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serve_tells_people_what_to_type_and_ends_with_a_signal(number: signal.Signals, tmp_path: Path) -> None:
    environment = {**os.environ, "TMPDIR": str(tmp_path), "COLUMNS": "80"}
    with started("serve", env=environment) as process:
        assert process.stdout and process.stderr  # noqa: PT018
        shown = ""
        while "Ctrl-C stops it." not in shown:
            shown += process.stdout.readline()
        exports = dict(re.findall(r"^export (\w+)=(\S+)$", shown, re.MULTILINE))
        commands = [line for line in shown.splitlines() if "dataknobs-data create" in line or "data search" in line]
        found = subprocess.run(
            ["bash", "-c", "\n".join(commands)],
            env={**environment, **exports, "PATH": f"{Path(PROGRAM).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
        assert '{"hello":"world"}' in found.stdout
        process.send_signal(number)
        assert process.wait(20) == 0
        assert process.stderr.read() == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.server
def test_serve_tells_programs_and_keeps_a_folder(tmp_path: Path) -> None:
    folder = tmp_path / "kept"
    for expected in ("0\n", "1\n"):
        with started("serve", "--json", "--directory", str(folder)) as process:
            assert process.stdout
            facts = json.loads(process.stdout.readline())
            environment = {**os.environ, **facts["environment"]}
            counted = subprocess.run(
                [PROGRAM, "count", "s3://kept/records"], env=environment, capture_output=True, text=True, check=True
            )
            assert counted.stdout == expected
            if expected == "0\n":
                subprocess.run(
                    [PROGRAM, "create", "-q", "s3://kept/records"], input="{}", env=environment, text=True, check=True
                )
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0
            assert process.stdout.read() == ""
        wait_until(lambda pid=facts["pid"]: not Path(f"/proc/{pid}").exists())  # type: ignore[misc]


@pytest.mark.server
def test_serve_says_when_the_port_is_taken_and_when_the_server_dies() -> None:
    with started("serve", "--json") as process:
        assert process.stdout and process.stderr  # noqa: PT018
        facts = json.loads(process.stdout.readline())
        port = facts["endpoint_url"].rpartition(":")[2]
        second = subprocess.run([PROGRAM, "serve", "--port", port], capture_output=True, text=True, check=False)
        assert second.returncode == 2
        assert f"port {port}" in second.stderr
        os.kill(facts["pid"], signal.SIGKILL)
        assert process.wait(20) == 3
        assert process.stderr.read() == "error: SeaweedFS ended by itself\n"


def test_it_starts_without_an_sdk(tmp_path: Path) -> None:
    """The SDKs take a second to import: only a command that talks to S3 pays for that."""
    code = "import sys; import dataknobs_data.cli; sys.exit(bool({'boto3', 'obstore', 'sqlalchemy', 'pyarrow'} & set(sys.modules)))"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=tempfile.gettempdir())
