"""One repository, looked at and, on request, made what it should be.

Each part of it is a :class:`Step`: it says where the place differs, and can mend what is safe to mend. What
is not is told, never touched.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is otherwise than it should be.

    :param found: what is; :param wanted: what should be.
    :param why: what it is good for, or what it endangers.
    :param ours: whether ``apply`` mends it; else somebody has to.
    """

    what: str
    found: str
    wanted: str
    why: str
    ours: bool = True

    def sentence(self) -> str:
        return f"{self.what}: {self.found}, wanted: {self.wanted} ({self.why})"


class Step(Protocol):
    """One part of preparing a repository."""

    def differences(self) -> Sequence[Difference]:
        """What is otherwise than it should be. :raises StorageError: that cannot be told."""
        ...

    def apply(self) -> None:
        """Mend what is ours. Again is success. :raises StorageError: refused."""
        ...


@dataclass(frozen=True, slots=True)
class Preparation:
    """What was found of one repository.

    :param applied: what was mended now; :param differences: what is otherwise still.
    """

    repository: str
    location: str
    differences: tuple[Difference, ...]
    applied: tuple[Difference, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        return {
            "repository": self.repository,
            "location": self.location,
            "differences": [asdict(one) for one in self.differences],
            "applied": [asdict(one) for one in self.applied],
        }


def prepare_repository(
    name: str, location: str, steps: Sequence[Step], *, apply: bool = False
) -> Preparation:
    """Look, and with ``apply`` mend and look again: what is said to be mended has been seen to be.

    :raises StorageError: the place cannot be looked at, or refuses us.
    """
    before = [one for step in steps for one in step.differences()]
    if not apply or not any(one.ours for one in before):
        return Preparation(name, location, tuple(before))
    for step in steps:
        if any(one.ours for one in step.differences()):
            step.apply()
    after = [one for step in steps for one in step.differences()]
    return Preparation(name, location, tuple(after), tuple(one for one in before if one not in after))
