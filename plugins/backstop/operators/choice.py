"""Which backup, and what to do with it: given when the run was triggered, or asked for in a form."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import Param
from airflow.sdk.definitions.param import ParamsDict
from airflow.sdk.exceptions import TaskAwaitingInput

from backstop.errors import ConfigurationError, NotFoundError, RestoreError
from backstop.model.access import AccessRole
from backstop.operators.base import explained
from backstop.operators.known import MAX_OFFERED, PROVEN, Known, known_backups
from backstop.operators.people import requester, responder

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from airflow.sdk import Context

    from backstop.repository.catalog import Repository

NEWEST_PROVEN = "newest proven"
MODES = {
    "swap": "Restore beside, validate, then swap with the live database",
    "beside": "Restore beside and validate; leave the live database alone",
}
ANY_REPOSITORY = "any"


class ChooseBackupOperator(HITLOperator):  # type: ignore[misc]
    """Settle what is restored.

    With a ``backup_label`` the run goes straight on. Without, it waits for somebody to fill in a form that
    lists the backups known at that moment. Airflow checks neither what triggers a run over its API nor what
    answers a form, so both are checked here.

    :param target: a name of targets.yaml.
    :param backup_label: a label, ``newest proven``, or empty to be asked.
    :param mode: ``swap`` or ``beside``.
    :param repository: where to read the backup, or ``any``.
    """

    template_fields = ("target", "backup_label", "mode", "repository")
    GO_ON = "Plan this restore"
    CANCEL = "Cancel"

    def __init__(
        self,
        *,
        target: str,
        backup_label: str = "",
        mode: str = "swap",
        repository: str = ANY_REPOSITORY,
        **kwargs: Any,
    ) -> None:
        kwargs["retries"] = 0
        super().__init__(subject="Choose a backup", options=[self.GO_ON, self.CANCEL], **kwargs)
        self.target = target
        self.backup_label = backup_label
        self.mode = mode
        self.repository = repository

    def execute(self, context: Context) -> dict[str, str]:
        from backstop.hooks.target import TargetHook

        with explained():
            hook = TargetHook(self.target, AccessRole.RESTORER)
            repositories = hook.repositories()
            known = known_backups(repositories)
            for problem in known.problems:
                self.log.warning("%s", problem)
            names = [repository.name for repository in repositories]
            wanted = (self.backup_label or "").strip()
            if wanted:
                label = newest_proven(known) if wanted == NEWEST_PROVEN else wanted
                return self._settle(
                    {"backup": label, "mode": self.mode, "repository": self.repository},
                    labels=known.labels,
                    names=names,
                    chosen_by=requester(context),
                )
            timeout = hook.target.database.restore.approval_timeout
        self.subject = f"Which backup of {self.target}?"
        self.body = "\n".join([_BODY.format(target=self.target), *(f"- {line}" for line in known.problems)])
        self.params = self._form(known, repositories)
        self.response_timeout = timeout
        try:
            super().execute(context)
        except TaskAwaitingInput as waiting:
            # Airflow resumes with a fresh operator: what was offered travels with the task.
            raise TaskAwaitingInput(
                method_name=waiting.method_name,
                timeout=waiting.timeout,
                kwargs={"labels": known.labels[:MAX_OFFERED], "repositories": names},
            ) from None
        raise AssertionError("a form was shown and nobody waits for it")

    def _form(self, known: Known, repositories: Sequence[Repository]) -> ParamsDict:
        from backstop.settings.arguments import utc_now

        now = utc_now()
        offered = known.backups[:MAX_OFFERED]
        names = [repository.name for repository in repositories]
        return ParamsDict(
            {
                "backup": Param(
                    offered[0].label,
                    "The state to go back to. What was committed after it is not in it.",
                    title="Backup",
                    type="string",
                    enum=[backup.label for backup in offered],
                    values_display={backup.label: backup.describe(now) for backup in offered},
                ),
                "mode": Param(
                    self.mode if self.mode in MODES else "swap",
                    title="What to do",
                    type="string",
                    enum=list(MODES),
                    values_display=MODES,
                ),
                "repository": Param(
                    self.repository if self.repository in names else ANY_REPOSITORY,
                    title="Read it from",
                    type="string",
                    enum=[ANY_REPOSITORY, *names],
                    values_display={
                        ANY_REPOSITORY: "the first repository that has it, proven ones first",
                        **{one.name: f"{one.name} ({one.location})" for one in repositories},
                    },
                ),
            }
        )

    def execute_complete(
        self,
        context: Context,
        event: dict[str, Any],
        labels: list[str] | None = None,
        repositories: list[str] | None = None,
    ) -> dict[str, str]:
        with explained():
            if "error" in event:
                raise RestoreError(
                    "nobody chose a backup in time; nothing was touched", hint="trigger the restore again"
                )
            chosen_by = responder(event)
            if event.get("chosen_options") != [self.GO_ON]:
                raise RestoreError(
                    f"{chosen_by or 'somebody'} cancelled the restore; nothing was touched",
                    hint="trigger it again when it is wanted",
                )
            return self._settle(
                event.get("params_input") or {},
                labels=labels or [],
                names=repositories or [],
                chosen_by=chosen_by,
            )

    def _settle(
        self, answer: Mapping[str, Any], *, labels: list[str], names: list[str], chosen_by: str
    ) -> dict[str, str]:
        _require("backup", answer.get("backup"), labels)
        _require("mode", answer.get("mode"), list(MODES))
        _require("repository", answer.get("repository", ANY_REPOSITORY), [ANY_REPOSITORY, *names])
        self.log.info("%s chose %s, %s", chosen_by or "somebody", answer["backup"], MODES[answer["mode"]])
        return {
            "target": self.target,
            "backup_label": answer["backup"],
            "mode": answer["mode"],
            "repository": answer.get("repository", ANY_REPOSITORY),
            "chosen_by": chosen_by,
        }


def newest_proven(known: Known) -> str:
    """:raises NotFoundError: no backup has been proven."""
    for backup in known.backups:
        if PROVEN in backup.proofs.values():
            return backup.label
    raise NotFoundError(
        f"none of the {len(known.backups)} known backups is proven",
        hint="run verify_backups, or name a label and take the risk",
    )


def _require(name: str, value: Any, allowed: list[str]) -> None:
    if not isinstance(value, str) or value not in allowed:
        shown = ", ".join(allowed[:10])
        raise ConfigurationError(f"{name} {value!r} is not possible", hint=f"choose one of: {shown}")


_BODY = """\
Choose the state to which **{target}** goes back, and what happens with it.

*Nothing is touched by this answer.* The restore is planned first; replacing the live database then needs
the approval that the target's policy asks for.
"""
