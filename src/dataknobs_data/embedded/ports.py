"""Ports for servers on 127.0.0.1 that no other process is handed meanwhile.

Asking the kernel for "any free port" and closing it again races: the port comes from the ephemeral range, where any
outgoing connection may take it before the server does. A `PortBlock` is 16 consecutive ports *below* that range; its
first port stays bound for as long as the block is held, so another process that tries the same block is refused by
the kernel. One port that a user asks for is held in the same way by its number among the UDP ports, which a server over
TCP leaves alone: two servers that are started on it at once are not told of each other's answers as of their own.
Nothing is left behind when the holder dies. Programs that know nothing of this may still take a port, so whoever starts
a server tries again with another block.
"""

from __future__ import annotations

import random
import socket
from typing import Self

from dataknobs_data.exceptions import ConfigurationError

HOST = "127.0.0.1"
BLOCK_SIZE = 16
FIRST_BLOCK, LAST_BLOCK = 10_240, 20_224
#: SeaweedFS dials a peer's gRPC port at its HTTP port plus this, whatever the flags say.
GRPC_OFFSET = 10_000


class NoFreePortError(ConfigurationError):
    """Every block of ports, or the one port that was asked for, is taken."""


class PortBlock:
    """Fifteen free ports of 127.0.0.1 (`take()` hands out one after the other), reserved until `release()`.

    wanted: one port more that must be free, held as long; NoFreePortError where it is taken.
    """

    def __init__(self, wanted: int | None = None) -> None:
        self._guard, self._ports = _reserve()
        try:
            self._claim = _claim(wanted) if wanted else None
        except NoFreePortError:
            self._guard.close()
            raise

    def take(self) -> int:
        """The next port of the block."""
        if not self._ports:
            raise NoFreePortError(f"all {BLOCK_SIZE - 1} ports of this block are handed out")
        return self._ports.pop(0)

    def release(self) -> None:
        """Let others have the block. Harmless when repeated."""
        self._guard.close()
        if self._claim:
            self._claim.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.release()


def is_free(port: int) -> bool:
    """Whether a server could listen on this port of 127.0.0.1 now."""
    with socket.socket() as probe:
        # As servers do: a port whose last connections linger in TIME_WAIT counts as free, one with a listener does not.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True


def _claim(port: int) -> socket.socket:
    claim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        claim.bind((HOST, port))
    except OSError:
        free = False
    else:
        free = is_free(port)
    if not free:
        claim.close()
        raise NoFreePortError(f"port {port} of {HOST} is taken: stop its owner or choose another port")
    return claim


def _reserve() -> tuple[socket.socket, list[int]]:
    bases = list(range(FIRST_BLOCK, LAST_BLOCK, BLOCK_SIZE))
    random.SystemRandom().shuffle(bases)
    for base in bases:
        guard = socket.socket()
        ports = list(range(base + 1, base + BLOCK_SIZE))
        try:
            guard.bind((HOST, base))
        except OSError:
            guard.close()
            continue
        if all(is_free(port) and is_free(port + GRPC_OFFSET) for port in ports):
            return guard, ports
        guard.close()
    raise NoFreePortError(f"no {BLOCK_SIZE} consecutive free ports between {FIRST_BLOCK} and {LAST_BLOCK} on {HOST}")
