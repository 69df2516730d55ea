"""What the large objects of a database contain: count and one number, whatever their order and size."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from backstop.sql import load_sql

if TYPE_CHECKING:
    import psycopg

#: The name under which they stand in a fingerprint.
LARGE_OBJECTS = "large objects"

_OBJECTS_PER_BATCH = 1000
# A large object may hold 4 TB and the server 1 GB in one value: read in chunks, hashed one by one.
_CHUNK_BYTES = 1024 * 1024

Batch = tuple[int, "int | None"]


def large_object_batches(session: psycopg.Connection[Any]) -> list[Batch]:
    """Ranges of OIDs (first, next range's first) that hold up to 1,000 large objects each."""
    rows = session.execute(load_sql("catalog/large_object_batches"), {"batch": _OBJECTS_PER_BATCH})
    firsts = [first for (first,) in rows]
    return [(first, following) for first, following in zip_longest(firsts, firsts[1:])]


def hash_large_objects(session: psycopg.Connection[Any], batch: Batch) -> tuple[int, int]:
    """How many large objects the range holds, and the sum of the hashes of all their chunks.

    A chunk is hashed with its object's OID and its position, so contents that change places are noticed.
    """
    first, following = batch
    rows = session.execute(load_sql("catalog/large_objects"), {"first": first, "next": following})
    oids = [oid for (oid,) in rows]
    count, total, chunk = len(oids), 0, 0
    while oids:
        parameters = {"oids": oids, "chunk": chunk, "bytes": _CHUNK_BYTES}
        longer = []
        for oid, length, value in session.execute(load_sql("catalog/large_object_chunks"), parameters):
            if length or chunk == 0:
                total += value
            if length == _CHUNK_BYTES:
                longer.append(oid)
        oids, chunk = longer, chunk + 1
    return count, total
