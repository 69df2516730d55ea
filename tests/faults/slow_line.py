"""A line to a PostgreSQL server that holds still half-way, so that a test can do something at that moment."""

from __future__ import annotations

import contextlib
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from backstop.postgres.connection import ClusterConnection

_BLOCK_BYTES = 64 * 1024


class SlowLine:
    """Listens on a free loopback port and passes everything on, until a connection has carried too much.

    Then ``stalled`` is set and that connection waits for :meth:`release`. Others go on.

    :param after_bytes: how much of one direction of one connection goes through first.
    """

    def __init__(self, server: ClusterConnection, *, after_bytes: int) -> None:
        self._server = server
        self._after_bytes = after_bytes
        self._released = threading.Event()
        self._sockets: list[socket.socket] = []
        self.stalled = threading.Event()

    @property
    def connection(self) -> ClusterConnection:
        """The same server and database through this line."""
        host, port = self._listener.getsockname()
        return replace(self._server, host=host, port=port)

    def release(self) -> None:
        """Let everything through from now on."""
        self._released.set()

    def __enter__(self) -> SlowLine:
        self._listener = socket.create_server(("127.0.0.1", 0))
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
        for one in [self._listener, *self._sockets]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection((self._server.host, self._server.port))
                self._sockets += [client, server]
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self._carry, args=pair, daemon=True).start()

    def _carry(self, source: socket.socket, sink: socket.socket) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while block := source.recv(_BLOCK_BYTES):
                carried += len(block)
                if carried > self._after_bytes and not self._released.is_set():
                    self.stalled.set()
                    self._released.wait()
                sink.sendall(block)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
