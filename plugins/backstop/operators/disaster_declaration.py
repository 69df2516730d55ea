"""Say that something is lost: an incident begins, or one that is open goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import RestoreError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator
from backstop.operators.disaster_telling import who

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.commands.disaster.engine import Disaster
    from backstop.settings.disaster import Disasters

LATEST = "latest"


class DeclareDisasterOperator(BackstopOperator):
    """Say that something is lost; from then on, or from when it was noticed, the clock runs.

    A run declares once, however often its task is cleared: it finds what it declared.

    :param what: happened, in a few words. :param noticed_at: a time with its zone; empty: now.
    :param components: ``database``, ``tree:<name>``, that are lost whatever they look like; JSON.
    :param point: ``latest``, or a time just before the mistake or the attack.
    :param incident_id: of an incident that was declared before; empty: a new one.
    """

    template_fields = ("target", "what", "noticed_at", "components", "point", "incident_id")
    results = ("components",)

    def __init__(
        self,
        *,
        target: str,
        what: str,
        noticed_at: str = "",
        components: Any = "[]",
        point: str = LATEST,
        incident_id: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.what = what
        self.noticed_at = noticed_at
        self.components = components
        self.point = point
        self.incident_id = incident_id

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.hooks.target import TargetHook

        disasters = TargetHook(self.target, AccessRole.RESTORER).disasters(by=who(context))
        disaster = self._found(disasters, context) or self._declared(disasters, context)
        status = disaster.status()
        if status["closed_at"]:
            raise RestoreError(
                f"{disaster.incident_id} of {self.target} was closed at {status['closed_at']}",
                hint="leave the incident empty to declare another one",
            )
        self.log.info("%s of %s, declared at %s", disaster.incident_id, self.target, status["declared_at"])
        return {"incident_id": disaster.incident_id, "declared_at": status["declared_at"]}

    def _found(self, disasters: Disasters, context: Context) -> Disaster | None:
        """The one that is named, or that this run has declared.

        :raises RestoreError: another one is open: two at once would recover over each other.
        """
        if self.incident_id.strip():
            return disasters.open(self.incident_id.strip())
        others = []
        for name in disasters.journal.open_incidents():
            disaster = disasters.open(name)
            if any(event.data.get("text") == _declared_by(context) for event in disaster.events()):
                return disaster
            others.append(name)
        if others:
            raise RestoreError(
                f"{self.target} has an open incident: {', '.join(others)}; two recoveries at once would undo "
                "each other",
                hint="trigger it with that incident to go on with it, or close it: "
                f"`python -m backstop recover-from-disaster --target {self.target} --close`",
            )
        return None

    def _declared(self, disasters: Disasters, context: Context) -> Disaster:
        from backstop.settings.arguments import parse_moment

        before = None if self.point.strip() in ("", LATEST) else parse_moment(self.point)
        noticed = parse_moment(self.noticed_at) if self.noticed_at.strip() else None
        disaster = disasters.declare(
            self.what, components=list(self.components or ()), noticed_at=noticed, before=before
        )
        disaster.note(who(context), _declared_by(context))
        return disaster


def _declared_by(context: Context) -> str:
    """What the journal says of the run that declared it, whichever try of its task that was."""
    return f"declared by run {context['ti'].run_id} of {context['ti'].dag_id}"
