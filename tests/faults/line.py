"""A line to a server that carries nothing for a while, and tells neither side."""

from __future__ import annotations

import contextlib
import socket
import threading


class Line:
    """Listens on a free loopback port and passes everything on, until :meth:`hang`."""

    def __init__(self, host: str, port: int) -> None:
        self._to = host, port
        self._carries = threading.Event()
        self._carries.set()
        self._sockets: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def hang(self) -> None:
        self._carries.clear()

    def go_on(self) -> None:
        self._carries.set()

    def close(self) -> None:
        self.go_on()
        for one in [self._listener, *self._sockets]:
            _end(one)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(self._to)
                except OSError:
                    client.close()
                    continue
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := source.recv(256 * 1024):
                self._carries.wait()
                sink.sendall(block)
        self._carries.wait()
        for one in (source, sink):
            _end(one)


def _end(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
