"""Look at targets, and tell people of what was found: what ``watch_backups`` does every five minutes."""

from __future__ import annotations

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from backstop.notifications.runs import task_failed
from backstop.operators.base import explained

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.commands.watch.observe import Observed
    from backstop.model.finding_state import Rhythm
    from backstop.repository.inventory import Inventory
    from backstop.settings.watch import WatchedTargets


def utc_now() -> datetime:
    return datetime.now(timezone.utc)


class WatchTargetsOperator(BaseOperator):  # type: ignore[misc]
    """Look at some targets; the inventory learns what was seen and what is wrong.

    One target that cannot be looked at is a finding, and no reason to leave out the others.

    :param targets: names of targets.yaml.
    """

    def __init__(self, *, targets: list[str], **kwargs: Any) -> None:
        kwargs.setdefault("on_failure_callback", task_failed)
        super().__init__(**kwargs)
        self.targets = targets

    def execute(self, context: Context) -> dict[str, int]:
        with explained():
            return self._watch()

    def _watch(self) -> dict[str, int]:
        from backstop.hooks.credentials import AirflowCredentials
        from backstop.settings.alerts import rhythm_of
        from backstop.settings.watch import WatchedTargets
        from backstop.targets import load_targets
        from backstop.wiring import open_inventory

        configuration, credentials = load_targets(), AirflowCredentials()
        inventory = open_inventory(configuration, credentials)
        if inventory is not None:
            inventory.migrate()
        watched, rhythm = WatchedTargets(configuration, credentials), rhythm_of(configuration.alerts)
        counts = {"targets": 0, "critical": 0, "warning": 0}
        for name in self.targets:
            if name not in configuration.targets:
                self.log.info("%s is no target any more", name)
                continue
            for level in self._one(name, watched, inventory, rhythm):
                counts[level] += 1
            counts["targets"] += 1
        return counts

    def _one(
        self, name: str, watched: WatchedTargets, inventory: Inventory | None, rhythm: Rhythm
    ) -> list[str]:
        """Each target is entered by itself: what comes after it can fail as it likes."""
        observed, sighted = self._observe(name, watched, inventory)
        for one in observed.findings:
            self.log.warning("%s", one)
        if not observed.findings:
            self.log.info("%s: nothing is wrong", name)
        if inventory is not None:
            from backstop.repository.findings import Findings
            from backstop.repository.observations import Observations

            if sighted:
                Observations(inventory.connection).store([observed.observation])
            Findings(inventory.connection).advance(
                observed.findings,
                targets=[name],
                now=observed.observation.observed_at,
                unjudged={name: observed.unjudged},
                rhythm=rhythm,
            )
        return [one.level.value for one in observed.findings]

    def _observe(
        self, name: str, watched: WatchedTargets, inventory: Inventory | None
    ) -> tuple[Observed, bool]:
        """:returns: with whether it is worth keeping as what was seen."""
        from backstop.commands.watch.observe import observe_target, unobservable
        from backstop.errors import BackstopError
        from backstop.settings.watch import RHYTHM

        try:
            return observe_target(watched.open(name), inventory=inventory, clock=utc_now, rhythm=RHYTHM), True
        except BackstopError as error:
            return unobservable(name, error, now=utc_now()), False
        except Exception as error:
            self.log.exception("looking at %s failed", name)
            unexpected = BackstopError(
                f"unexpected {type(error).__name__}", hint="the log of this run of watch_backups says more"
            )
            return unobservable(name, unexpected, now=utc_now()), False


class AnnounceOperator(BaseOperator):  # type: ignore[misc]
    """Tell the notifiers of targets.yaml what they have not heard yet; log what is open."""

    def __init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("on_failure_callback", task_failed)
        super().__init__(**kwargs)

    def execute(self, context: Context) -> dict[str, int]:
        with explained():
            return self._announce(context)

    def _announce(self, context: Context) -> dict[str, int]:
        from backstop.commands.announce import announce
        from backstop.model.finding import EVERY_TARGET
        from backstop.notifications.channels import channels_of
        from backstop.notifications.telling import open_findings, require_told
        from backstop.operators.runs import close_mended_runs
        from backstop.settings.alerts import rhythm_of
        from backstop.targets import load_targets

        configuration = load_targets()
        findings = open_findings(configuration)
        if findings is None:
            raise AirflowSkipException("targets.yaml names no inventory: nobody can be told only once")
        now = utc_now()
        findings.drop(now=now, known_targets=[*configuration.targets, EVERY_TARGET])
        settled = close_mended_runs(findings, context["ti"], now=now)
        for state in findings.open():
            since = f"{state.opened_at:%Y-%m-%d %H:%M} UTC"
            self.log.info("%-8s since %s  %s", state.finding.level.value, since, state.finding.sentence)
        announced = announce(
            findings,
            channels_of(configuration.alerts, context),
            now=now,
            rhythm=rhythm_of(configuration.alerts),
        )
        require_told(announced)
        return {"told": len(announced.told), "mended_runs": settled.mended}
