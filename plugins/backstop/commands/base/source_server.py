"""What is asked of the server before its files are copied, and what of it the copy does not hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.errors import SourceError
from backstop.model.words import printable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.postgres.replication import ReplicationConnection

_NAMED = 20
_CONFIGURATION = ("config_file", "hba_file", "ident_file")


@dataclass(frozen=True, slots=True)
class SourceServer:
    """What is asked before the copy: hours later the connection may be gone."""

    version: int
    page_checksums: str
    not_included: tuple[str, ...]

    @classmethod
    def look(cls, connection: ReplicationConnection) -> SourceServer:
        return cls(
            version=connection.server_version,
            page_checksums=connection.setting("data_checksums"),
            not_included=_configuration_elsewhere(connection),
        )


def passed_over_in_words(names: Sequence[str]) -> Iterator[str]:
    """Links and special files. A manifest is text: a name may be none, and there may be thousands."""
    for name in names[:_NAMED]:
        yield f"{printable(name)} (a link or special file)"
    if names[_NAMED:]:
        yield f"and {len(names) - _NAMED} more links and special files"


def _configuration_elsewhere(connection: ReplicationConnection) -> tuple[str, ...]:
    """Configuration may lie outside of the data directory, as Debian has it; not every role may ask."""
    try:
        folder = connection.setting("data_directory").rstrip("/") + "/"
        files = [connection.setting(name) for name in _CONFIGURATION]
    except SourceError:
        return ()
    return tuple(f"{file} (outside of the data directory)" for file in files if not file.startswith(folder))
