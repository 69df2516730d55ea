"""Whether Calibrify would work on what PGHOST, PGDATABASE and BACKSTOP_TREE_MEDIA name: exit code 0 if so.

``python health.py <media>``: what the web application asks first, and the photos that it would show.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import psycopg

_DUE = """
SELECT count(*) FROM equipment AS e
WHERE EXISTS (SELECT FROM calibrations AS c WHERE c.equipment_id = e.id) AND e.due_on IS NOT NULL
"""
_PHOTOS = "SELECT photo_path FROM equipment WHERE photo_path IS NOT NULL ORDER BY id LIMIT 20"
_TOKENS = "SELECT count(*) FROM api_tokens AS t JOIN users AS u ON u.id = t.user_id"


def main(media: str) -> int:
    """0 it would work; 1 it would not, said on stderr."""
    # Media lie under their whole paths below this folder; where they are live, at the root.
    root = Path(os.environ.get("BACKSTOP_TREE_MEDIA", "/"))
    with psycopg.connect("") as session:  # everything from PGHOST and the like
        due, tokens = (_number(session, query) for query in (_DUE, _TOKENS))
        photos = [path for (path,) in session.execute(_PHOTOS).fetchall()]
    missing = [path for path in photos if not (root / media.lstrip("/") / path).is_file()]
    if not due or not tokens or missing:
        print(
            f"{due} instruments with a due date, {tokens} tokens of users, photos missing: {missing[:3]}",
            file=sys.stderr,
        )
        return 1
    print(f"{due} instruments with a due date, {tokens} tokens of users, {len(photos)} photos looked at")
    return 0


def _number(session: psycopg.Connection, query: str) -> int:
    row = session.execute(query.encode()).fetchone()
    return int(row[0]) if row else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
