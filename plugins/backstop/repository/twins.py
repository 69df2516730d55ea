"""Repositories that were copied by hand: both have the same id, so proofs of one count in the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.errors import BackstopError, IntegrityError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from backstop.repository.catalog import Repository


def refuse_twins(repository: Repository, others: Iterable[Repository]) -> None:
    """What a proof says of one copy it seems to say of the other: nothing may go because of it.

    Another repository that does not answer, or is none yet, cannot be compared, and stops nobody.

    :raises IntegrityError: one of the others has the id of this one.
    """
    own = repository.catalog.repository_id()
    for other in others:
        if other.name != repository.name and _id_of(other) == own:
            raise IntegrityError(
                f"{repository.name} and {other.name} have the same id {own}: one was copied from the other "
                "by hand",
                hint="proofs of one would count in the other: empty the copy, and let a sync fill it",
            )


def _id_of(repository: Repository) -> str | None:
    try:
        return repository.catalog.repository_id()
    except BackstopError:
        return None
