"""What runs every night: the program's own commands, with this world's clock and settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.repository.catalog import Repository
    from tests.simulation.judge import Judge
    from tests.simulation.world import World


class Procedures:
    """Sync, then expiry and orphans in each repository."""

    def __init__(self, world: World) -> None:
        self.world = world

    def sync(self, target: str) -> None:
        """Copy what one repository has and the other should have."""

    def expire(self, repository: Repository) -> tuple[str, ...]:
        """Plan, and carry the plan out. :returns: what it held back, in words."""
        return ()

    def remove_orphans(self, repository: Repository) -> None:
        """Of attempts that died, what is older than the grace period."""

    def hold(self, repository: Repository, label: str, judge: Judge) -> None:
        """Somebody wants to keep a backup."""

    def release_some(self, judge: Judge) -> None:
        """Somebody does not need it any more."""
