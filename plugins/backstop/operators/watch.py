"""Look at targets, and tell people of what was found: what ``watch_backups`` does every five minutes."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from concurrent.futures import TimeoutError as NotCompletedError
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from backstop.model.access import AccessRole
from backstop.notifications.runs import task_failed
from backstop.operators.base import airflow_address, explained
from backstop.settings.arguments import utc_now

if TYPE_CHECKING:
    from collections.abc import Iterator

    from airflow.sdk import Context

    from backstop.commands.watch.observe import Observed
    from backstop.commands.watch.sight import ObservedTarget
    from backstop.errors import BackstopError
    from backstop.model.finding_state import Rhythm
    from backstop.repository.inventory import Inventory
    from backstop.settings.watch import WatchedTargets
    from backstop.targets import Configuration


AT_ONCE = 4
"""Targets that are looked at at the same time."""
PATIENCE_SECONDS = 600.0
"""A target that has not been looked at by then is given up for this time, so that all others are told of."""


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
        from backstop.credentials import RoleCredentials
        from backstop.errors import SourceUnavailableError
        from backstop.hooks.credentials import AirflowCredentials
        from backstop.settings.alerts import rhythm_of
        from backstop.settings.watch import WatchedTargets
        from backstop.targets import load_targets
        from backstop.wiring import open_inventory

        configuration = load_targets()
        credentials = RoleCredentials(AirflowCredentials(), AccessRole.AUDITOR)
        inventory = open_inventory(configuration, credentials)
        if inventory is not None:
            inventory.migrate()
        names = [name for name in self.targets if name in configuration.targets]
        for name in sorted({*self.targets} - {*names}):
            broken = configuration.why_broken(name)
            why = (
                f"is disabled, because its file is wrong: {broken.why}"
                if broken
                else "is not in targets.yaml here"
            )
            self.log.warning("%s %s, and is not looked at", name, why)
        watched = WatchedTargets(configuration, credentials, airflow=airflow_address())
        rhythm = rhythm_of(configuration.alerts)
        counts = {"targets": len(names), "critical": 0, "warning": 0}
        failures: list[BackstopError] = []
        for name, observed, sighted in self._observe_all(names, watched, inventory):
            for one in observed.findings:
                self.log.warning("%s", one)
                counts[one.level.value] += 1
            if not observed.findings:
                self.log.info("%s: nothing is wrong", name)
            if inventory is not None:
                try:
                    _enter(observed, inventory, rhythm, sighted=sighted)
                except SourceUnavailableError:
                    raise  # nothing else can be entered either
                except Exception as error:  # the other targets are entered first
                    self.log.exception("what was seen of %s could not be entered", name)
                    failures.append(not_entered(name, error))
        self._look_at_undescribed(names, configuration, watched, inventory, rhythm)
        if failures:
            raise failures[0]
        return counts

    def _look_at_undescribed(
        self,
        names: list[str],
        configuration: Configuration,
        watched: WatchedTargets,
        inventory: Inventory | None,
        rhythm: Rhythm,
    ) -> None:
        from backstop.commands.watch.undescribed import look_at_undescribed, other_than_these
        from backstop.model.finding import EVERY_TARGET
        from backstop.repository.findings import Findings

        tops = watched.tops(names)
        if not tops:
            return
        found = look_at_undescribed(tops)
        for one in found.findings:
            self.log.warning("%s", one)
        for sentence in found.unseen:
            self.log.info("not looked at: %s", sentence)
        if inventory is None:
            return
        Findings(inventory.connection).advance(
            found.findings,
            targets=[EVERY_TARGET],
            now=utc_now(),
            unjudged={
                EVERY_TARGET: other_than_these(
                    found, looked_at=[one.name for one in tops], every=configuration.repositories
                )
            },
            rhythm=rhythm,
        )

    def _observe_all(
        self, names: list[str], watched: WatchedTargets, inventory: Inventory | None
    ) -> Iterator[tuple[str, Observed, bool]]:
        """Some at a time: a server that hangs must not hold up all the others."""
        from backstop.commands.watch.observe import unobservable

        executor = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="watch")
        try:
            # Opened one after the other: they share what several targets have in common.
            opened = [(name, self._open(name, watched)) for name in names]
            waiting = {
                executor.submit(self._observe, name, target, inventory): name for name, target in opened
            }
            # As they come: what hangs must not keep what was seen of the others from being entered.
            try:
                for future in as_completed(list(waiting), timeout=PATIENCE_SECONDS):
                    yield waiting.pop(future), *future.result()
            except NotCompletedError:
                for name in waiting.values():
                    yield name, unobservable(name, _silent(), now=utc_now()), False
        finally:
            # Whoever is stopped at its time limit does not wait for what hangs.
            executor.shutdown(wait=False, cancel_futures=True)

    def _open(self, name: str, watched: WatchedTargets) -> ObservedTarget | Exception:
        try:
            return watched.open(name)
        except Exception as error:  # a finding of this target
            return error

    def _observe(
        self, name: str, target: ObservedTarget | Exception, inventory: Inventory | None
    ) -> tuple[Observed, bool]:
        """:returns: with whether it is worth keeping as what was seen."""
        from backstop.commands.watch.observe import observe_target, unobservable
        from backstop.errors import BackstopError
        from backstop.settings.watch import RHYTHM

        try:
            if isinstance(target, Exception):
                raise target
            return observe_target(target, inventory=inventory, clock=utc_now, rhythm=RHYTHM), True
        except BackstopError as error:
            return unobservable(name, error, now=utc_now()), False
        except Exception as error:
            self.log.exception("looking at %s failed", name)
            unexpected = BackstopError(
                f"unexpected {type(error).__name__}", hint="the log of this run of watch_backups says more"
            )
            return unobservable(name, unexpected, now=utc_now()), False


def not_entered(name: str, error: Exception) -> BackstopError:
    """What nobody expected may hold anything, and goes to the log alone."""
    from backstop.errors import BackstopError

    if isinstance(error, BackstopError):
        return error
    return BackstopError(
        f"what was seen of {name} could not be entered: unexpected {type(error).__name__}",
        hint="the log of this task says more",
    )


def _silent() -> BackstopError:
    from backstop.errors import BackstopError

    return BackstopError(
        f"it took more than {PATIENCE_SECONDS:.0f} s",
        hint="see what hangs there: a server, the network, a disk; and whether there are too many targets",
    )


def _enter(observed: Observed, inventory: Inventory, rhythm: Rhythm, *, sighted: bool) -> None:
    """Each target by itself: what comes after it can fail as it likes."""
    from backstop.model.finding import EVERY_SUBJECT
    from backstop.repository.findings import Findings
    from backstop.repository.observations import Observations

    observation = observed.observation
    Findings(inventory.connection).advance(
        observed.findings,
        targets=[observation.target],
        now=observation.observed_at,
        # The files of all targets are looked at by check_configuration.
        unjudged={observation.target: observed.unjudged | {("configuration", EVERY_SUBJECT)}},
        rhythm=rhythm,
    )
    # Findings first: a fresh look of which nobody knows yet what it found would be shown as good.
    if sighted:
        Observations(inventory.connection).store([observation])


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
        from backstop.model.figures import moment_in_words
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
        findings.drop(now=now, known_targets=[*configuration.known_targets, EVERY_TARGET])
        settled = close_mended_runs(findings, context["ti"], now=now)
        for state in findings.open():
            finding, since = state.finding, moment_in_words(state.opened_at)
            self.log.info("%-8s since %s  %s", finding.level.value, since, finding.sentence)
        announced = announce(
            findings,
            channels_of(configuration.alerts, context),
            now=now,
            rhythm=rhythm_of(configuration.alerts),
        )
        require_told(announced)
        return {"told": len(announced.told), "mended_runs": settled.mended}
