"""One incident, step by step, from any machine: every step begins with what the journal says.

See :mod:`.stepping` for how steps are kept, :mod:`.component` for what brings one thing back.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.component import Condition
from backstop.commands.disaster.planning import part_of, planned
from backstop.commands.disaster.standing import standing
from backstop.commands.disaster.status_page import NotToldError
from backstop.commands.disaster.stepping import Steps, step_document
from backstop.errors import BackstopError, NotFoundError, RestoreError
from backstop.model.incident import EventKind
from backstop.model.incident_state import VALIDATIONS, StepStatus, plan_digest
from backstop.model.measured import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.disaster.assess import Assessing
    from backstop.commands.disaster.component import Sources
    from backstop.commands.disaster.infrastructure import Ground
    from backstop.commands.disaster.stepping import Ended, StepRun
    from backstop.model.incident import Event
    from backstop.model.incident_state import IncidentState
    from backstop.model.measured import CheckedItem
    from backstop.repository.incidents import IncidentJournal


@dataclass(slots=True)
class Disaster:
    """One incident of one target.

    :param by: who does this, for the journal.
    :param sources: the repositories that answer, opened when they are needed.
    :param validate_item: asks the probes of ``functionality``, ``consistency``, ``integrations``.
    :param keep: puts the incident into evidence and the inventory; gives facts, ``problems`` among them.
    :param tell: says to people how it stands, ``start``, ``progress``, ``end``, and gives who could not be
        told, a sentence each; None: nobody is told.
    """

    incident_id: str
    target: str
    by: str
    journal: IncidentJournal
    assessing: Assessing
    sources: Callable[[], Sources]
    ground: Ground
    validate_item: Callable[[str], Sequence[CheckedItem]]
    keep: Callable[[Disaster, datetime], dict[str, Any]]
    clock: Callable[[], datetime]
    tell: Callable[[Disaster, str], Sequence[str] | None] | None = None

    def state(self) -> IncidentState:
        """As the journal has it now. :raises NotFoundError: it has no such incident."""
        return self._steps.state()

    def events(self) -> list[Event]:
        return self.journal.events(self.incident_id)

    @property
    def assessment(self) -> Mapping[str, Any]:
        return self.state().assessment

    @property
    def plan(self) -> Mapping[str, Any]:
        return self.state().plan

    def status(self) -> dict[str, Any]:
        """How it stands, of JSON's types alone (:mod:`.standing`)."""
        return standing(
            self.state(), target=self.target, objectives=self.assessing.objectives, now=self.clock()
        )

    def steps(self) -> list[str]:
        return self.state().steps()

    def run(self, step: str, *, redo: bool = False) -> dict[str, Any]:
        """Do one step by its name. What has passed, or was left out, is not done again unless ``redo``.

        :raises NotFoundError: there is no such step. :raises BackstopError: it failed; so says the journal.
        """
        kind, _, name = step.partition(":")
        if kind == "recover" and name:
            return self.recover(name, redo=redo)
        if kind == "validate" and name in VALIDATIONS:
            return self.validate(name, redo=redo)
        if step in ("tell:start", "tell:end"):
            return self._steps.do(step, lambda _: self._tell(name), redo=redo)
        if step in ("assess", "choose"):
            return self._decided(step, redo=redo)
        if step == "infrastructure":
            return self.infrastructure(redo=redo)
        if step == "record":
            return self.record(redo=redo)
        raise NotFoundError(f"there is no step {step!r}", hint=f"choose one of: {', '.join(self.steps())}")

    def assess(self, *, before: datetime | None = None, components: Sequence[str] = ()) -> dict[str, Any]:
        """Look at everything, change nothing.

        :param before: and :param components: what somebody has said since the declaration; see there.
        :returns: the assessment (:mod:`.assess`).
        """
        state = self._steps.open_state()
        document: dict[str, Any] = {}

        def look(_: StepRun) -> Ended:
            document.update(
                self.assessing.document(
                    self.sources(),
                    named=[*state.named, *components],
                    declared_at=state.clock_from,
                    lost_at=before or state.lost_at,
                    before=before or state.before,
                    now=self.clock(),
                )
            )
            self._steps.append(EventKind.ASSESSED, {"assessment": document})
            lost = ", ".join(document["lost"])
            return Outcome.PASSED, f"to come back: {lost}" if lost else "nothing is damaged", {}

        self._steps.do("assess", look, redo=True)
        return document

    def choose(
        self,
        option: str,
        *,
        by: str | None = None,
        components: Sequence[str] | None = None,
        because: str = "",
    ) -> dict[str, Any]:
        """Settle on one option of the newest assessment; see :func:`.planning.planned` for what is refused.

        :param components: of the option, those that shall come back; None: all of it.
        :returns: the plan, with ``plan_sha256``.
        """
        plan = planned(self._steps.open_state().assessment, option, components)
        digest, chosen_by = plan_digest(plan), by or self.by

        def choose(_: StepRun) -> Ended:
            self._steps.append(
                EventKind.CHOSEN,
                {"by": chosen_by, "option": option, "plan": plan, "plan_sha256": digest, "because": because},
            )
            return Outcome.PASSED, f"{chosen_by} chose {option}: {plan['title']}", {"plan_sha256": digest}

        self._steps.do("choose", choose, redo=True)
        return {**plan, "plan_sha256": digest}

    def infrastructure(self, *, redo: bool = False) -> dict[str, Any]:
        """See that what data is restored to is there; bring it back where it is not."""
        return self._steps.do("infrastructure", lambda _: self.ground.make_ready(), redo=redo)

    def recover(
        self, component: str, *, plan_sha256: str | None = None, redo: bool = False
    ) -> dict[str, Any]:
        """Bring one component of the chosen plan back, and put it in its place.

        :param plan_sha256: of the plan that was approved; None: whatever was chosen last.
        :raises RestoreError: another plan is chosen by now. :raises NotFoundError: it is not in the plan.
        :raises BackstopError: it failed; what is live is whole, as it was before or as it shall be.
        """
        state = self._steps.open_state()
        part = part_of(state, component, plan_sha256)

        def bring_back(run: StepRun) -> Ended:
            if not (redo or run.earlier):
                self._refuse_what_is_whole_again(component, state)
            facts = self.assessing.components[component].recover(part, self.sources(), run)
            loss = part["measured_loss_seconds"]
            facts = {**facts, "loss_seconds": loss, "loss_says": part["loss_says"]}
            return Outcome.PASSED, f"{component} is back, as of {facts['recovered_to']}", facts

        done = self._steps.do(f"recover:{component}", bring_back, redo=redo)
        if self.tell is not None:
            # It is back: a journal that no longer takes a line is for the next step to say.
            with suppress(BackstopError):
                self._tell("progress")
        return done

    def validate(self, item: str, *, redo: bool = False) -> dict[str, Any]:
        """Ask the target's own probes of one item. :raises RestoreError: one was not answered as expected."""

        def ask(_: StepRun) -> Ended:
            from backstop.model.checked_document import checked_document

            checked = self.validate_item(item)
            facts = {"checked": [checked_document(one) for one in checked]}
            failed = [one.sentence for one in checked if one.outcome is not Outcome.PASSED]
            if not checked:
                return Outcome.NOT_APPLICABLE, f"disaster.validation.{item} asks nothing", facts
            if failed:
                return Outcome.FAILED, "; ".join(failed), facts
            return Outcome.PASSED, f"{len(checked)} probes answered as expected", facts

        return self._steps.do(f"validate:{item}", ask, redo=redo)

    def record(self, *, redo: bool = False) -> dict[str, Any]:
        """Put what it took, and what was lost, into evidence and the inventory."""

        def keep(_: StepRun) -> Ended:
            facts = self.keep(self, self.clock())
            said = "; not everywhere: " + "; ".join(facts["problems"]) if facts.get("problems") else ""
            return Outcome.PASSED, f"recorded{said}", facts

        return self._steps.do("record", keep, redo=redo)

    def skip(self, step: str, *, by: str | None = None, because: str) -> dict[str, Any]:
        """Leave a step out; who and why is kept. Doing it later takes that back.

        :raises NotFoundError: no such step. :raises RestoreError: no reason was given.
        """
        steps = self._steps.open_state().steps()
        if step not in steps:
            raise NotFoundError(f"there is no step {step!r}", hint=f"choose one of: {', '.join(steps)}")
        if not because.strip():
            raise RestoreError(f"why is {step} left out?", hint="say it: --because WHY; the record keeps it")
        return self._steps.end(step, "", Outcome.NOT_DONE, f"left out by {by or self.by}: {because}", {})

    def wait_began(self, for_: str) -> None:
        """People are waited for: shown apart from what we take."""
        self._steps.append(EventKind.WAIT_BEGAN, {"for": for_})

    def wait_ended(self, by: str) -> None:
        self._steps.append(EventKind.WAIT_ENDED, {"by": by})

    def told(self, channel: str, subject: str, failed: str = "", **data: Any) -> None:
        self._steps.append(EventKind.TOLD, {**data, "channel": channel, "subject": subject, "failed": failed})

    def estimated(self, low: float | None, median: float | None, high: float | None) -> None:
        """How many seconds from now on; None: nobody knows."""
        seconds = {"low_seconds": low, "median_seconds": median, "high_seconds": high}
        self._steps.append(EventKind.ESTIMATED, seconds)

    def note(self, by: str, text: str) -> None:
        self._steps.append(EventKind.NOTED, {"by": by, "text": text})

    def close(self, *, by: str | None = None, outcome: str) -> None:
        """It is over. :raises RestoreError: somebody has closed it already."""
        self._steps.open_state()
        self._steps.append(EventKind.CLOSED, {"by": by or self.by, "outcome": outcome})

    def _refuse_what_is_whole_again(self, component: str, state: IncidentState) -> None:
        """A server that was restarted, a disk that is there again: what was lost hours ago need not be.

        :raises RestoreError: nobody has said that it is lost, and it no longer looks so; nothing was touched.
        """
        if component in state.named or component not in state.assessment.get("lost", ()):
            return
        if component.startswith("tree:") and state.step(f"recover:{component}").tries:
            return  # its files may be back, and what was to follow was not done
        found = self.assessing.look(component, self.sources())
        whole = found.condition is Condition.WHOLE
        if whole or (found.condition is Condition.UNKNOWN and not component.startswith("tree:")):
            raise RestoreError(
                f"{component} was lost when it was assessed, and is {found.condition.value} now: "
                f"{found.sentence}; nothing was touched",
                hint=f"leave it out: `--skip recover:{component} --because WHY`; if it is lost all the same: "
                f"`--redo recover:{component}`",
            )

    @property
    def _steps(self) -> Steps:
        return Steps(self.journal, self.incident_id, self.target, self.by)

    def _decided(self, step: str, *, redo: bool) -> dict[str, Any]:
        """What people do, or wait for: it has its own verbs, and nothing is decided by going on."""
        state = self._steps.open_state()
        if step == "choose" and not state.plan:
            raise RestoreError("nobody has chosen an option", hint="choose one: `--choose OPTION`")
        skipped = state.step(step).status is StepStatus.SKIPPED
        if step == "assess" and (redo or not (state.assessment or skipped)):
            self.assess()
        return step_document(self.state().step(step))

    def _tell(self, moment: str) -> Ended:
        if self.tell is None:
            return Outcome.NOT_APPLICABLE, "nobody is named in targets.yaml to be told", {}
        try:
            failed = list(self.tell(self, moment) or ())
        except NotToldError as error:
            failed = [error.message]  # each of them is in the journal
        except Exception as error:
            # People who are not told must not hold up what they wait for.
            failed = [
                error.message if isinstance(error, BackstopError) else f"{type(error).__name__}: {error}"
            ]
            self.told("all", moment, failed[0], moment=moment)
        if failed:
            return Outcome.FAILED, "; ".join(failed), {}
        return Outcome.PASSED, f"told of the {moment}", {}
