"""The fleet's targets.yaml, with what restores need."""

from __future__ import annotations

_RECOVERY = (
    'incremental: "0 3 * * 1-6", recovery: {directory: /srv/recovered, cutover: {data_directory: /srv/live, '
    "stop: [[stop]], start: [[start]]}}}"
)


def restorable(text: str) -> str:
    """Of every target, the database and the server can be restored."""
    text = text.replace("      dbname: app\n", "      dbname: app\n      restore_conn_id: restore\n")
    return text.replace('incremental: "0 3 * * 1-6"}', _RECOVERY)
