"""Where the SQL files live: ``include/sql/<name>.sql``, one question or one table a file."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from backstop.errors import ConfigurationError


def load_sql(name: str) -> str:
    """The text of ``include/sql/<name>.sql``, for instance ``catalog/tables``.

    ``BACKSTOP_SQL_DIR`` names another directory where the engine is not run from its checkout.

    :raises ConfigurationError: when there is no such file.
    """
    return _read(_directory() / f"{name}.sql")


def _directory() -> Path:
    override = os.environ.get("BACKSTOP_SQL_DIR")
    return Path(override) if override else Path(__file__).resolve().parents[2] / "include" / "sql"


@cache
def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"SQL file {path} cannot be read: {error.strerror}",
            hint="set BACKSTOP_SQL_DIR to the checkout's include/sql directory",
        ) from error
