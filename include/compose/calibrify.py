"""A stand-in for Calibrify: a web application that reads and writes the protected database.

    GET  /health            200 when the database answers, else 503
    GET  /equipment         how many instruments there are
    GET  /equipment/7       what is noted of one
    POST /equipment/7       the body becomes its note

It keeps no connection between requests: after a restore it finds the new database by itself.
"""

from __future__ import annotations

import json
import re
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import psycopg

_MOST_BYTES = 10_000


class Calibrify(BaseHTTPRequestHandler):
    """One request."""

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(lambda session: session.execute("SELECT 1").fetchone() and {"status": "healthy"})
        elif self.path == "/equipment":
            self._answer(_count)
        elif number := _number(self.path):
            self._answer(lambda session: _note(session, number))
        else:
            self._send(404, {"error": "no such page"})

    def do_POST(self) -> None:
        number = _number(self.path)
        length = int(self.headers.get("Content-Length") or 0)
        if number is None or length > _MOST_BYTES:
            self._send(404 if number is None else 413, {"error": "no such page, or too much"})
            return
        text = self.rfile.read(length).decode(errors="replace")
        self._answer(lambda session: _write(session, number, text))

    def _answer(self, ask: Any) -> None:
        try:
            with _connect() as session:
                found = ask(session)
        except psycopg.Error as error:
            # Its first line has no password; the address is the network's own.
            self._send(503, {"error": str(error).splitlines()[0]})
            return
        self._send(200 if found is not None else 404, found or {"error": "no such instrument"})

    def _send(self, status: int, body: Any) -> None:
        payload = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        if self.path != "/health":
            super().log_request(code, size)


def _connect() -> psycopg.Connection[tuple[Any, ...]]:
    password = Path("/run/secrets/calibrify_app").read_text().strip()
    return psycopg.connect(
        host="protected",
        dbname="calibrify",
        user="calibrify_app",
        password=password,
        connect_timeout=5,
        application_name="calibrify",
    )


def _number(path: str) -> int | None:
    found = re.fullmatch(r"/equipment/(\d{1,9})", path)
    return int(found[1]) if found else None


def _count(session: psycopg.Connection[tuple[Any, ...]]) -> dict[str, Any]:
    row = session.execute("SELECT to_regclass('public.equipment') IS NOT NULL").fetchone()
    if not row or not row[0]:
        return {"equipment": 0, "note": "the database is empty; profile demo loads the sample"}
    row = session.execute("SELECT count(*) FROM public.equipment").fetchone()
    return {"equipment": row[0] if row else 0}


def _note(session: psycopg.Connection[tuple[Any, ...]], number: int) -> dict[str, Any] | None:
    row = session.execute("SELECT name, notes FROM public.equipment WHERE id = %s", [number]).fetchone()
    return {"name": row[0], "notes": row[1]} if row else None


def _write(session: psycopg.Connection[tuple[Any, ...]], number: int, text: str) -> dict[str, Any] | None:
    row = session.execute(
        "UPDATE public.equipment SET notes = %s WHERE id = %s RETURNING notes", [text, number]
    ).fetchone()
    return {"notes": row[0]} if row else None


if __name__ == "__main__":
    # In a container of its own, which publishes no port.
    ThreadingHTTPServer(("0.0.0.0", 8000), Calibrify).serve_forever()  # noqa: S104  # nosec B104
