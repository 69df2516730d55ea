"""Place, release and list holds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import ConfigurationError, StorageError, StorageUnavailableError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator
from backstop.operators.people import requester

if TYPE_CHECKING:
    from collections.abc import Mapping

    from airflow.sdk import Context

    from backstop.commands.holding import HoldReport
    from backstop.errors import BackstopError
    from backstop.hooks.target import TargetHook
    from backstop.model.backup import BackupLabel

ACTIONS = {
    "place": "Place a hold: the backup stays",
    "release": "Release a hold: the backup may expire again",
    "list": "List the holds",
}


class HoldBackupsOperator(BackstopOperator):
    """Place or release one hold in every repository that has the backup; log the table of holds.

    :param action: a key of :data:`ACTIONS`.
    :param backup_label: of the backup; to list, empty: all.
    :param until: a time with its zone, or empty.
    :param number: of the hold to release; None: the only one in force.
    """

    template_fields = ("target", "action", "backup_label", "reason", "until", "number")
    results = ("number",)

    def __init__(
        self,
        *,
        target: str,
        action: str,
        backup_label: str = "",
        reason: str = "",
        until: str = "",
        number: Any = "null",
        **kwargs: Any,
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.action = action
        self.backup_label = backup_label
        self.reason = reason
        self.until = until
        self.number = number

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.hooks.target import TargetHook

        hook = TargetHook(self.target, AccessRole.VERIFIER)
        label = self._label()
        who = requester(context) or "Airflow"
        if self.action == "list":
            holds, failed = self._log_table(hook, label)
            if failed:
                raise unreached(f"the holds of {self.target} are not all known", failed)
            return {"holds": holds}
        if label is None:
            raise ConfigurationError("which backup?", hint="name its label, as the list of backups shows it")
        report = self._place(hook, label, who) if self.action == "place" else self._release(hook, label, who)
        self._log_table(hook, label)
        if report.failed:
            done = f"{label} was not reached everywhere, but in {', '.join(report.holds)}"
            raise unreached(done, report.failed)
        return report.to_dict()

    def _label(self) -> BackupLabel | None:
        from backstop.settings.arguments import parse_label

        if self.action not in ACTIONS:
            raise ConfigurationError(
                f"{self.action!r} is nothing to do", hint=f"choose one of: {', '.join(ACTIONS)}"
            )
        text = self.backup_label.strip()
        return parse_label(text) if text else None

    def _place(self, hook: TargetHook, label: BackupLabel, who: str) -> HoldReport:
        from backstop.commands.holding import place_hold
        from backstop.settings.arguments import parse_moment, utc_now

        return place_hold(
            self.target,
            hook.every_repository(),
            label,
            reason=self.reason,
            who=who,
            until=parse_moment(self.until) if self.until.strip() else None,
            now=utc_now(),
        )

    def _release(self, hook: TargetHook, label: BackupLabel, who: str) -> HoldReport:
        from backstop.commands.holding import release_hold
        from backstop.settings.arguments import utc_now

        return release_hold(
            hook.every_repository(),
            label,
            self.number,
            who=who,
            now=utc_now(),
            signer=hook.signer("proof"),
        )

    def _log_table(
        self, hook: TargetHook, label: BackupLabel | None
    ) -> tuple[list[dict[str, Any]], Mapping[str, BackstopError]]:
        from backstop.commands.holding import known_holds
        from backstop.settings.arguments import utc_now

        known, failed = known_holds(hook.every_repository(), label=label)
        now = utc_now()
        for one in known:
            places = ", ".join(one.numbers)
            self.log.info("%s in %s: %s, %s", one.hold.label, places, one.hold, one.hold.state(now))
        for name, error in failed.items():
            self.log.warning("The holds in %s are not known: %s", name, error)
        if not known and not failed:
            self.log.info("No holds")
        return [{**one.hold.to_dict(), "state": one.hold.state(now)} for one in known[:100]], failed


def unreached(message: str, failed: Mapping[str, BackstopError]) -> StorageError:
    """That some repositories failed; worth a retry only where time may heal every one of them."""
    heals = all(error.retryable for error in failed.values())
    named = "; ".join(f"{name}: {error}" for name, error in failed.items())
    return (StorageUnavailableError if heals else StorageError)(
        f"{message}: {named}", hint="run it again once those answer"
    )
