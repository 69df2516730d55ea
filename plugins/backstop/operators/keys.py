"""Keys: rotated, and seen to open what is stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator, is_true

if TYPE_CHECKING:
    from airflow.sdk import Context


class RotateKeysOperator(BackstopOperator):
    """A new key where one is due; AWS KMS rotates by itself every 90 days, and is told to where it does not.

    Red where a person has to do it. Returns what was done, in sentences; never a key.

    :param target: the entry of ``keys`` in targets.yaml. :param at_once: whether it is due or not.
    """

    template_fields = ("target", "at_once")

    def __init__(self, *, target: str, at_once: Any = "false", **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.at_once = at_once

    def carry_out(self, context: Context) -> list[str]:
        from backstop.credentials import RoleCredentials
        from backstop.hooks.credentials import AirflowCredentials
        from backstop.settings.arguments import utc_now
        from backstop.settings.keys import rotating_keys
        from backstop.targets import load_targets

        credentials = RoleCredentials(AirflowCredentials(), AccessRole.PREPARER)
        keys = rotating_keys(load_targets(), self.target, credentials)
        said = keys.rotate(now=utc_now(), at_once=is_true(self.at_once))
        for sentence in said:
            self.log.info("%s", sentence)
        return said


class CheckKeysOperator(BackstopOperator):
    """Open the oldest and the newest of every kind in every repository, as a restore would.

    What came of it is kept in the inventory, for the watch. Returns how many objects opened.

    :raises KeyUnavailableError: one did not; each is named in the log.
    """

    def carry_out(self, context: Context) -> dict[str, int]:
        from backstop.commands.keys.canary import open_canaries
        from backstop.commands.keys.outcome import keep_outcome
        from backstop.errors import BackstopError, KeyUnavailableError, NotFoundError
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import utc_now
        from backstop.wiring import every_repository

        hook = TargetHook(self.target, AccessRole.RESTORER)
        keyring, inventory = hook.keyring(for_reading=True), hook.inventory()
        closed, failed, count = [], [], 0
        for name in every_repository(hook.configuration, self.target):
            try:
                tried = list(open_canaries(hook.repository(name), keyring=keyring))
            except NotFoundError:
                continue  # nothing has been backed up there yet
            except BackstopError as error:
                self.log.error("%s could not be looked at: %s", name, error)
                failed.append(error)
            else:
                count += len(tried)
                for one in tried:
                    if one.why:
                        self.log.error("%s: the %s does not open: %s (%s)", name, one.what, one.why, one.step)
                        closed.append(one)
                for sentence in keep_outcome(inventory, self.target, name, tried, now=utc_now()):
                    self.log.warning("%s", sentence)
        if closed:
            first = closed[0]
            raise KeyUnavailableError(
                f"{len(closed)} of {count} objects do not open, such as the {first.what} in "
                f"{first.repository}: {first.why}",
                hint=first.step or "see docs/runbook.md, the key is disabled",
            )
        if failed:
            raise failed[0]
        return {"opened": count}
