"""Which versions of a stored document this release reads, and what it says of a newer one. Pure.

Every document that lies in a repository says its version as ``format``. A version that was ever released
keeps its reader (docs/adr/0034-a-format-rises-only-when-an-older-reader-would-be-misled.md).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from backstop import __version__
from backstop.errors import FormatTooNewError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

REPOSITORY_FORMAT = 1
"""What this release makes of an empty place."""
REPOSITORY_FORMATS = (1,)
"""What it reads. A repository of any of these may be written to, and keeps its version."""

_RELEASE = re.compile(r"\d{1,4}(\.\d{1,4}){1,2}")

Document = TypeVar("Document")


@dataclass(frozen=True, slots=True)
class Readers(Generic[Document]):
    """The reader of one kind of document for each version of it that was ever released.

    :param what: the kind, for errors: ``manifest``.
    """

    what: str
    by_version: Mapping[int, Callable[[Mapping[str, Any]], Document]]

    def read(self, raw: Mapping[str, Any], *, name: str) -> Document:
        """Let the reader of its version read it. :param name: of this document, for errors.

        :raises FormatTooNewError: a newer release wrote it; :raises IntegrityError: as its reader, or no
            version that there ever was.
        """
        version = known_version(raw, what=f"{self.what} {name}", known=self.by_version)
        return self.by_version[version](raw)


def known_version(
    raw: Mapping[str, Any], *, what: str, known: Collection[int] = (1,), absent: int | None = None
) -> int:
    """The version of a document, when this release reads it.

    :param what: names the document, for the error.
    :param absent: the version of a document that names none; None: each must.
    :raises FormatTooNewError: a newer release wrote it.
    :raises IntegrityError: it names no version that there ever was.
    """
    version = raw.get("format", absent)
    # True equals 1, and so does 1.0: neither was ever written.
    if type(version) is not int or version < 1:
        raise IntegrityError(
            f"{what} has format {version!r:.80}, which no release ever wrote",
            hint="it was damaged; use the copy in the other repository",
        )
    if version not in known:
        raise FormatTooNewError(
            f"{what} has format {version}{_needed(raw)}; this is Backstop {__version__}, which reads "
            f"{', '.join(map(str, sorted(known)))}",
            hint="upgrade Backstop: docs/upgrading.md",
        )
    return version


def _needed(raw: Mapping[str, Any]) -> str:
    """The release that reads it, where the document says so: ``needs``, or at least the one that wrote it."""
    tools = raw.get("tools")
    for said in (raw.get("needs"), tools.get("backstop") if isinstance(tools, dict) else None):
        if isinstance(said, str) and _RELEASE.fullmatch(said):
            return f", for which Backstop {said} is needed"
    return ""
