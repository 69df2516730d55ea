"""TCP ports on loopback."""

from __future__ import annotations

import random
import socket
import time

# Below Linux's ephemeral range (32768 and up): there, a port can be some client's source port tomorrow.
FIRST, LAST = 20000, 32000


def is_free(port: int) -> bool:
    """Whether a server could listen on 127.0.0.1:port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def becomes_free(port: int, *, patience: float = 5.0) -> bool:
    """The same, waiting for connections of a server that has just ended; not for one that still listens."""
    deadline = time.monotonic() + patience
    while not is_free(port):
        if answers(port) or time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def answers(port: int) -> bool:
    """Whether something listens on 127.0.0.1:port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def free_ports(count: int) -> list[int]:
    """Distinct ports that are free now. Another program may still win the race: starters try again."""
    chosen: list[int] = []
    while len(chosen) < count:
        port = random.SystemRandom().randrange(FIRST, LAST)
        if port not in chosen and is_free(port):
            chosen.append(port)
    return chosen
