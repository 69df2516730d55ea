"""A proxy in front of a real S3 server that breaks chosen requests in the ways networks and services do.

::

    with FaultyS3Proxy(seaweedfs.endpoint_url) as proxy:
        client = s3_client(credential, endpoint_url=proxy.endpoint_url, read_timeout=1)
        proxy.plant(answer(503), method="PUT", times=2)

Faults are tried in the order they were planted; the first that matches is used, and counts down. Requests are
signed for the proxy's address and passed on with their Host, so the server checks the signature as always.
"""

from __future__ import annotations

import http.client
import socket
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from types import TracebackType

_BLOCK_BYTES = 64 * 1024


@dataclass(frozen=True)
class Request:
    """One request as it came in; ``path`` includes the query."""

    method: str
    path: str
    headers: dict[str, str]


Fault = Callable[["_Handler"], None]
"""Deals with the whole request, passing it on or not."""


def answer(status: int, code: str = "SlowDown") -> Fault:
    """Do not pass it on; answer with this status and S3 error code."""

    def act(handler: _Handler) -> None:
        handler.discard_body()
        body = f"<Error><Code>{code}</Code><Message>planted</Message></Error>".encode()
        handler.reply(status, {"Content-Type": "application/xml"}, body)

    return act


def cut_request(after_bytes: int) -> Fault:
    """Read so much of its body, then reset the connection; the server gets nothing."""

    def act(handler: _Handler) -> None:
        handler.rfile.read(min(after_bytes, handler.body_bytes))
        handler.reset()

    return act


def cut_answer(after_bytes: int) -> Fault:
    """Pass it on; reset the connection after so many bytes of the answer's body."""

    def act(handler: _Handler) -> None:
        handler.forward(cut_after=after_bytes)

    return act


def stall(seconds: float = 60.0, *, after_bytes: int | None = None) -> Fault:
    """Say nothing for so long (or until the proxy closes), then cut.

    With ``after_bytes`` the request is passed on, and the answer's body stops there.
    """

    def act(handler: _Handler) -> None:
        if after_bytes is not None:
            handler.forward(cut_after=after_bytes, stall_seconds=seconds)
        else:
            handler.proxy.closing.wait(seconds)
            handler.reset()

    return act


def delay(seconds: float) -> Fault:
    """Pass it on after so long, unless the proxy closes."""

    def act(handler: _Handler) -> None:
        handler.proxy.closing.wait(seconds)
        handler.forward()

    return act


def lose_acknowledgement() -> Fault:
    """Pass it on, let the server carry it out, and reset the connection instead of answering."""

    def act(handler: _Handler) -> None:
        handler.forward(drop_answer=True)

    return act


def damage_body() -> Fault:
    """Pass it on with one bit of its body turned over."""

    def act(handler: _Handler) -> None:
        handler.forward(damage=True)

    return act


@dataclass
class _Planted:
    fault: Fault
    method: str
    path: str
    query: str
    times: int | None
    used: int = 0

    def matches(self, request: Request) -> bool:
        path, _, query = request.path.partition("?")
        return (
            (self.times is None or self.used < self.times)
            and self.method in ("", request.method)
            and self.path in path
            and self.query in query
        )


class FaultyS3Proxy:
    """Listens on a free loopback port. Without faults it changes nothing.

    ``requests`` is everything that came in, ``carried_out`` what the server answered with success.
    """

    def __init__(self, upstream_url: str) -> None:
        self._upstream = urlsplit(upstream_url)
        self._planted: list[_Planted] = []
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self._connections: set[socket.socket] = set()
        self._port = 0
        self.closing = threading.Event()
        self.requests: list[Request] = []
        self.carried_out: list[Request] = []

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def plant(
        self, fault: Fault, *, method: str = "", path: str = "", query: str = "", times: int | None = 1
    ) -> None:
        """Break requests with this method whose path and query contain these; ``times=None``: all of them."""
        self._planted.append(_Planted(fault, method, path, query, times))

    def heal(self) -> None:
        """Forget all faults."""
        self._planted.clear()

    def refuse_connections(self) -> None:
        """As if the server were switched off: listening ends, open connections are reset."""
        self._stop()

    def accept_connections(self) -> None:
        """Listen again, on the same port."""
        self._start()

    def count(self, method: str, *, path: str = "", query: str = "") -> int:
        """How many such requests came in."""
        probe = _Planted(lambda _: None, method, path, query, None)
        with self._lock:
            return sum(probe.matches(request) for request in self.requests)

    def __enter__(self) -> FaultyS3Proxy:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._stop()

    # -- Inside ----------------------------------------------------------------------------------------------

    def _start(self) -> None:
        self._server = _Server(self)
        self._port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def _stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None
        with self._lock:
            connections, self._connections = self._connections, set()
        for connection in connections:
            _reset(connection)

    def open_upstream(self) -> http.client.HTTPConnection:
        assert self._upstream.hostname
        return http.client.HTTPConnection(self._upstream.hostname, self._upstream.port, timeout=60)

    def fault_for(self, request: Request) -> Fault | None:
        with self._lock:
            self.requests.append(request)
            for planted in self._planted:
                if planted.matches(request):
                    planted.used += 1
                    return planted.fault
        return None

    def remember(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.add(connection)

    def forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._connections.discard(connection)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def __init__(self, proxy: FaultyS3Proxy) -> None:
        self.proxy = proxy
        super().__init__(("127.0.0.1", proxy._port), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Broken connections are what we are for."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    @property
    def proxy(self) -> FaultyS3Proxy:
        return self.server.proxy

    def setup(self) -> None:
        super().setup()
        self.proxy.remember(self.connection)

    def finish(self) -> None:
        self.proxy.forget(self.connection)
        super().finish()

    def handle_any(self) -> None:
        self._left = self.body_bytes
        request = Request(self.command, self.path, dict(self.headers))
        fault = self.proxy.fault_for(request)
        if fault is None:
            self.forward()
        else:
            fault(self)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = handle_any

    @property
    def body_bytes(self) -> int:
        return int(self.headers.get("Content-Length") or 0)

    def discard_body(self) -> None:
        while self._read():
            pass

    def _read(self) -> bytes:
        block = self.rfile.read(min(_BLOCK_BYTES, self._left))
        self._left -= len(block)
        return block

    def forward(
        self,
        *,
        cut_after: int | None = None,
        stall_seconds: float = 0.0,
        drop_answer: bool = False,
        damage: bool = False,
    ) -> None:
        upstream = self.proxy.open_upstream()
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            for name, value in self.headers.items():
                if name.lower() not in ("connection", "expect"):
                    upstream.putheader(name, value)
            upstream.endheaders()
            while block := self._read():
                if damage:
                    block, damage = bytes([block[0] ^ 1]) + block[1:], False
                upstream.send(block)
            response = upstream.getresponse()
            if response.status < 300:
                self.proxy.carried_out.append(Request(self.command, self.path, dict(self.headers)))
            if drop_answer:
                response.read()
                self.reset()
            else:
                self._pass_back(response, cut_after, stall_seconds)
        finally:
            upstream.close()

    def _pass_back(
        self, response: http.client.HTTPResponse, cut_after: int | None, stall_seconds: float
    ) -> None:
        if response.headers.get("Content-Length") is None and self.command != "HEAD":
            self.reply(response.status, dict(response.headers), response.read())
            return
        self._head(response.status, dict(response.headers))
        sent = 0
        while block := response.read(_BLOCK_BYTES):
            if cut_after is not None and sent + len(block) > cut_after:
                self.wfile.write(block[: cut_after - sent])
                self.wfile.flush()
                # What was sent must arrive before the reset, which would overtake it.
                self.proxy.closing.wait(stall_seconds or 0.05)
                self.reset()
                return
            self.wfile.write(block)
            sent += len(block)

    def reply(self, status: int, headers: dict[str, str], body: bytes) -> None:
        headers = {name: value for name, value in headers.items() if name.lower() != "transfer-encoding"}
        self._head(status, headers | {"Content-Length": str(len(body))})
        if self.command != "HEAD":
            self.wfile.write(body)

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        for name, value in headers.items():
            if name.lower() != "connection":
                self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def reset(self) -> None:
        self.close_connection = True
        _reset(self.connection)

    def log_message(self, *_: object) -> None:
        """Tests read ``proxy.requests`` instead."""


def _reset(connection: socket.socket) -> None:
    """End with RST, as a crash or a firewall does."""
    try:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.shutdown(socket.SHUT_RD)
    except OSError:
        return
    finally:
        connection.close()


def wait_until(condition: Callable[[], bool], *, seconds: float = 10.0) -> None:
    """Fail unless the condition comes true in time."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.01)
