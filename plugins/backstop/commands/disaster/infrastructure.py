"""What data is restored to: machines, disks, services. The target's own commands see to it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.commands.application import run_commands
from backstop.errors import CommandError
from backstop.model.measured import Outcome

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import timedelta

_SECTION = "disaster.infrastructure"


@dataclass(frozen=True, slots=True)
class Ground:
    """:param prepare: brings it back; :param check: exits 0 when it is there; :param timeout: for each."""

    prepare: Sequence[Sequence[str]]
    check: Sequence[Sequence[str]]
    timeout: timedelta

    def make_ready(self) -> tuple[Outcome, str, dict[str, Any]]:
        """Look first: what is there is not made again.

        :raises CommandError: a command failed; nothing was recovered yet.
        """
        if not self.prepare and not self.check:
            return Outcome.NOT_APPLICABLE, f"{_SECTION} has no commands", {}
        if self.check:
            try:
                return Outcome.PASSED, "it is there", {"checked": self._run("check")}
            except CommandError:
                if not self.prepare:
                    raise
        prepared = self._run("prepare")
        checked = self._run("check") if self.check else []
        return Outcome.PASSED, "it was brought back", {"prepared": prepared, "checked": checked}

    def _run(self, purpose: str) -> list[str]:
        return run_commands(getattr(self, purpose), purpose=purpose, timeout=self.timeout, section=_SECTION)
