"""A way from containers to a server that listens on this machine's loopback alone."""

from __future__ import annotations

import json
import socket
import socketserver
import subprocess
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_CHUNK_BYTES = 65536


@contextmanager
def host_door(port: int) -> Iterator[str]:
    """Passes on what comes to the engine's own address on this machine. :returns: its URL."""

    class Pass(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as server:
                back = threading.Thread(target=_copy, args=(server, self.request), daemon=True)
                back.start()
                _copy(self.request, server)
                back.join()

    class Door(socketserver.ThreadingTCPServer):
        daemon_threads = True
        request_queue_size = 64

    with Door((_engine_address(), 0), Pass) as door:
        threading.Thread(target=door.serve_forever, daemon=True).start()
        host, opened = door.server_address[:2]
        try:
            yield f"http://{host!s}:{opened}"
        finally:
            door.shutdown()


def _engine_address() -> str:
    """Where containers find the machine that they run on."""
    found = subprocess.run(
        ["docker", "network", "inspect", "bridge"], capture_output=True, text=True, check=True
    )
    return str(json.loads(found.stdout)[0]["IPAM"]["Config"][0]["Gateway"])


def _copy(source: socket.socket, destination: socket.socket) -> None:
    try:
        while chunk := source.recv(_CHUNK_BYTES):
            destination.sendall(chunk)
        destination.shutdown(socket.SHUT_WR)
    except OSError:
        # One side has gone: so does the other.
        for one in (source, destination):
            one.close()
