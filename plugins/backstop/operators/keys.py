"""Keys, rotated by Airflow."""

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
