"""The only way to SeaweedFS: passes on, byte by byte, what comes to port 8333, to a socket that both share.

SeaweedFS asks who somebody is on its S3 port alone. Its others (master, volumes, filer, and each one's
gRPC) obey whoever reaches them: they would read, overwrite and delete every object, whatever the bucket's
policy says. So its container has no network, and this one has nothing else.

    s3_door.py SOCKET [HOST PORT]
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

_PIECE_BYTES = 256 * 1024


async def _pass_on(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    """Until the source ends; the other direction goes on."""
    while piece := await source.read(_PIECE_BYTES):
        sink.write(piece)
        await sink.drain()
    sink.write_eof()


async def _serve(path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """One connection. Where SeaweedFS does not answer, it is closed: clients try again."""
    with contextlib.closing(writer), contextlib.suppress(OSError):
        inner_reader, inner_writer = await asyncio.open_unix_connection(path, limit=_PIECE_BYTES)
        with contextlib.closing(inner_writer):
            ways = [
                asyncio.create_task(_pass_on(reader, inner_writer)),
                asyncio.create_task(_pass_on(inner_reader, writer)),
            ]
            try:
                # A way that fails ends the other; one that is done does not.
                await asyncio.gather(*ways)
            finally:
                for way in ways:
                    way.cancel()


async def main(path: str, host: str = "0.0.0.0", port: str = "8333") -> None:  # noqa: S104  # nosec B104
    """Until terminated."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _serve(path, reader, writer)

    server = await asyncio.start_server(serve, host, int(port), limit=_PIECE_BYTES)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
