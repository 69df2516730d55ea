"""A file of a directory of targets that is wrong: which targets it disables, and why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from backstop.model.words import printable

if TYPE_CHECKING:
    from backstop.targets.mistakes import Mistake


@dataclass(frozen=True, slots=True)
class BrokenFile:
    """
    :param file: its path.
    :param targets: those that are disabled: as the file names them, else as it is called. None of them: a
        mistake that disables nothing.
    :param mistakes: in the order of the file.
    :param is_shared: it has what all targets share; whatever is said of it here stops none of them.
    :param folder: of all of them.
    """

    file: str
    targets: tuple[str, ...]
    mistakes: tuple[Mistake, ...]
    is_shared: bool = False
    folder: str = ""

    @property
    def name(self) -> str:
        """Of the file below that folder, ``red/web.yaml``: another team has a ``web.yaml``, too."""
        return self.file.removeprefix(f"{self.folder}/")

    @property
    def why(self) -> str:
        """``file:line:column: what``, of more than one mistake the first and how many there are."""
        first, more = self.mistakes[0], len(self.mistakes) - 1
        return in_words(self.file, first) + (f" (and {more} more)" if more else "")

    @property
    def every_reason(self) -> str:
        """A line for each."""
        return "\n".join(in_words(self.file, one) for one in self.mistakes)


def in_words(file: str, mistake: Mistake) -> str:
    """``file:line:column: targets.web.keys: there is no …``. :param file: if the mistake knows of none."""
    at = mistake.position
    where = f"{mistake.where}: " if mistake.where else ""
    return printable(f"{at.file or file}:{at.line}:{at.column}: {where}{mistake.what}")
