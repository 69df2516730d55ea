"""Steps in the journal: begun, how far, ended; and whether somebody else is at it.

A step says that it begins before it does anything. Killed in between it is seen as interrupted, and what it
had noted of itself says whether something live may be in the middle of a swap.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.disaster.process import lives, this_process
from backstop.errors import BackstopError, LeaseHeldError, NotFoundError, RestoreError
from backstop.model.canonical import format_time
from backstop.model.incident import EventKind
from backstop.model.incident_state import StepStatus, state_of
from backstop.model.measured import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from backstop.model.incident import Event
    from backstop.model.incident_state import IncidentState, StepState
    from backstop.repository.incidents import IncidentJournal

Ended = tuple[Outcome, str, dict[str, Any]]
"""How a step ended, in one sentence, and facts of JSON's types."""


@dataclass(frozen=True, slots=True)
class StepRun:
    """One try at a step. :param earlier: how far the one before had come when it was interrupted."""

    steps: Steps
    step: str
    uid: str
    earlier: Mapping[str, Any]

    def reach(self, **facts: Any) -> None:
        """Note how far it has come; durable on return."""
        self.steps.append(EventKind.STEP_REACHED, {"step": self.step, "run": self.uid, "facts": facts})


@dataclass(frozen=True, slots=True)
class Steps:
    """Those of one incident. :param by: who does them; :param host: and where."""

    journal: IncidentJournal
    incident_id: str
    target: str
    by: str
    host: Mapping[str, Any] = field(default_factory=this_process)

    def state(self) -> IncidentState:
        """As the journal has it now. :raises NotFoundError: it has no such incident."""
        state = state_of(self.incident_id, self.journal.events(self.incident_id))
        if state is None:
            raise NotFoundError(
                f"{self.target} has no incident {self.incident_id}",
                hint="`python -m backstop recover-from-disaster --status` shows the one that is open",
            )
        return state

    def open_state(self) -> IncidentState:
        """:raises RestoreError: somebody has closed it."""
        state = self.state()
        if state.closed is not None:
            raise RestoreError(
                f"{self.incident_id} was closed at {format_time(state.closed.at)} by "
                f"{state.closed.data['by']}",
                hint="declare another one",
            )
        return state

    def append(self, kind: EventKind, data: Mapping[str, Any]) -> Event:
        return self.journal.append(self.incident_id, kind, data)

    def settled(self, step: str, *, redo: bool) -> dict[str, Any] | None:
        """What came of it before; None: it is to be done.

        :raises LeaseHeldError: somebody else is at it, or may be.
        """
        state = self.open_state().step(step)
        if redo:
            if state.status is StepStatus.BEGUN and _moves(step) and _another_lives(state.began):
                _refuse_while_it_runs(state)
            return None
        if state.settled:
            return step_document(state)
        if state.status is StepStatus.BEGUN:
            _refuse_while_it_runs(state)
        return None

    def do(self, step: str, action: Callable[[StepRun], Ended], *, redo: bool) -> dict[str, Any]:
        """Do it, unless it has passed or was left out.

        :raises RestoreError: it ended as failed. :raises BackstopError: what it raised; so says the journal.
        """
        settled = self.settled(step, redo=redo)
        if settled is not None:
            return settled
        before = self.state().step(step)
        # One that failed has put right by itself what it had begun.
        earlier = before.reached if before.status is StepStatus.BEGUN else {}
        known = {one.uid for one in self.journal.events(self.incident_id)}
        began = self.append(EventKind.STEP_BEGAN, {"step": step, "by": self.by, **self.host})
        if _moves(step):
            self._give_way(step, began, known)
        run = StepRun(self, step, began.uid, earlier)
        if earlier:
            # Whoever is killed again before he has noted anything himself must not hide it.
            run.reach(**earlier)
        try:
            outcome, sentence, facts = action(run)
        except BaseException as error:
            sentence = error.message if isinstance(error, BackstopError) else f"it ended: {error!r}"
            # Why it failed is what must be read, also where no repository takes the line.
            with suppress(BackstopError):
                self.end(step, began.uid, Outcome.FAILED, sentence, {})
            raise
        done = self.end(step, began.uid, outcome, sentence, facts)
        if outcome is Outcome.FAILED and not step.startswith("tell:"):
            raise RestoreError(f"{step}: {sentence}", hint=f"mend it, then do it again: --redo {step}")
        return {**done, "began_at": format_time(began.at)}

    def _give_way(self, step: str, began: Event, known: Collection[str]) -> None:
        """Two may begin in the same moment, and nothing may be put in place twice: rather neither.

        :raises LeaseHeldError: somebody else has begun since we looked.
        """
        events = self.journal.events(self.incident_id)
        ended = {one.data["run"] for one in events if one.kind is EventKind.STEP_ENDED}
        for one in events:
            theirs = one.kind is EventKind.STEP_BEGAN and one.data["step"] == step
            if theirs and one.uid not in (*known, *ended, began.uid):
                said = (
                    f"{step} was begun by {one.data.get('by')} on {one.data.get('host')} in the same moment"
                )
                withdrawn = {"step": step, "run": began.uid, "outcome": Outcome.NOT_DONE.value}
                rest = {"sentence": said, "facts": {}, "by": self.by, "withdrawn": True}
                self.append(EventKind.STEP_ENDED, {**withdrawn, **rest})
                raise LeaseHeldError(said, hint="see how it stands, `--status`; then wait, or `--run` again")

    def end(
        self, step: str, run: str, outcome: Outcome, sentence: str, facts: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Note how it ended. :param run: ``uid`` of its beginning; empty: it was left out."""
        data = {
            "step": step,
            "run": run,
            "outcome": outcome.value,
            "sentence": sentence,
            "facts": dict(facts),
            "by": self.by,
        }
        event = self.append(EventKind.STEP_ENDED, data)
        return {**event.data, "began_at": None, "ended_at": format_time(event.at)}


def _moves(step: str) -> bool:
    """Whether something is put in place by it; looking and telling twice does no harm."""
    return step == "infrastructure" or step.startswith("recover:")


def _another_lives(noted: Mapping[str, Any]) -> bool:
    return lives(noted) is True and noted.get("process") != this_process()["process"]


def _refuse_while_it_runs(state: StepState) -> None:
    alive = lives(state.began)
    if alive is False:
        return  # whoever did it was killed
    host, by = state.began.get("host"), state.began.get("by")
    since = format_time(state.began_at) if state.began_at else "some time"
    unseen = "" if alive else ", or was interrupted there: that cannot be seen from here"
    redo = "" if alive else f"; when nothing of it runs there any more: --redo {state.step}"
    raise LeaseHeldError(
        f"{state.step} is being done by {by} on {host} since {since}{unseen}", hint=f"wait for it{redo}"
    )


def step_document(state: StepState) -> dict[str, Any]:
    """What came of it, as :meth:`Steps.do` says it. What was decided has passed, whoever was killed then."""
    outcome = Outcome.NOT_DONE if state.status is StepStatus.SKIPPED else Outcome.PASSED
    return {
        "step": state.step,
        "run": state.run,
        "outcome": outcome.value,
        "sentence": state.sentence,
        "facts": dict(state.facts),
        "began_at": format_time(state.began_at) if state.began_at else None,
        "ended_at": format_time(state.ended_at) if state.ended_at else None,
    }
