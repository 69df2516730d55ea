"""Prove backups by restoring them, until none is left that policy wants proven."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.sdk.exceptions import AirflowSkipException

from backstop.errors import BackstopError, IntegrityError, NotFoundError, VerificationError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator
from backstop.operators.links import LINKS
from backstop.operators.note import NOTE, proof_note

if TYPE_CHECKING:
    from airflow.sdk import Context

MAX_PER_RUN = 24
"""How many restores one run attempts; the rest is left to the next, and said."""


class ListUnprovenOperator(BackstopOperator):
    """The work of this run: one entry for each backup and repository that policy wants proven.

    A repository that cannot be read does not keep the others' backups from being proven;
    :class:`CheckRepositoriesOperator` fails for it.
    """

    def carry_out(self, context: Context) -> list[dict[str, str]]:
        from backstop.commands.proof.work import unverified
        from backstop.hooks.target import TargetHook
        from backstop.settings.proof import verify_policies

        hook = TargetHook(self.target, AccessRole.VERIFIER)
        work = []
        for repository in hook.every_repository():
            try:
                work += unverified(
                    [repository], verify_policies(hook.configuration, self.target, repository.name)
                )
            except BackstopError as error:
                self.log.warning("Nothing can be proven in %s: %s", repository.name, error)
        for candidate in work:
            self.log.info("To prove: %s from %s", candidate.label, candidate.repository)
        if not work:
            self.log.info("Nothing to prove, as far as the policies of %s go", self.target)
        if len(work) > MAX_PER_RUN:
            self.log.warning("%d of %d are left to the next run", len(work) - MAX_PER_RUN, len(work))
        return [
            {"backup_label": str(candidate.label), "repository": candidate.repository}
            for candidate in work[:MAX_PER_RUN]
        ]


class CheckRepositoriesOperator(BackstopOperator):
    """Fail, by name, for every repository that cannot be read, every manifest and proof nobody can trust."""

    def carry_out(self, context: Context) -> dict[str, int]:
        from backstop.hooks.target import TargetHook

        counts: dict[str, int] = {}
        wrong: list[str] = []
        for repository in TargetHook(self.target, AccessRole.VERIFIER).every_repository():
            try:
                listing = repository.catalog.backups()
                judged = [repository.catalog.verifications(published) for published in listing.backups]
            except BackstopError as error:
                wrong.append(f"repository {repository.name}: {error}")
                continue
            counts[repository.name] = len(listing.backups)
            unreadable = [*listing.unreadable, *(error for one in judged for error in one.unreadable)]
            wrong += [f"repository {repository.name}: {error}" for error in unreadable]
        if wrong:
            raise IntegrityError(
                "; ".join(wrong), hint="mend what is named; the other backups are being proven meanwhile"
            )
        return counts


class VerifyBackupOperator(BackstopOperator):
    """Restore one backup from one repository into scratch, compare it, record the proof.

    :param backup_label: which backup.
    :param repository: the name of the repository whose copy is judged.
    :raises AirflowFailException: the copy differs; the proof that says so is recorded.
    :raises AirflowSkipException: it has been expired meanwhile: nothing is left to judge.
    """

    template_fields = ("target", "backup_label", "repository")
    operator_extra_links = LINKS

    def __init__(self, *, target: str, backup_label: str, repository: str, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.backup_label = backup_label
        self.repository = repository

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.proof.prove import prove
        from backstop.hooks.target import TargetHook
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import named_repository, parse_label, utc_now
        from backstop.settings.proof import proof_settings

        hook = TargetHook(self.target, AccessRole.VERIFIER)
        progress = LoggedProgress(self.log)
        label = parse_label(self.backup_label)
        repository = named_repository(hook.every_repository(), self.repository)
        try:
            proof = prove(
                repository=repository,
                label=label,
                keyring=hook.keyring(for_reading=True),
                signer=hook.signer("proof"),
                settings=proof_settings(
                    hook.configuration,
                    self.target,
                    hook.repositories(),
                    server=hook.verification_server(),
                    reader=hook.cluster,
                ),
                clock=utc_now,
                progress=progress,
            )
        except NotFoundError as error:
            if repository.catalog.has(label):
                raise
            # Expiry waits for who reads a backup, not for who has it on a list. The watch tells of one that
            # vanished although retention wants it.
            raise AirflowSkipException(
                f"{label} of {self.target} is not in {self.repository} any more: it was expired since it was "
                "listed"
            ) from error
        progress.finish()
        context["ti"].xcom_push(key=NOTE, value=proof_note(proof, self.repository))
        if not proof.matched:
            raise VerificationError(
                f"backup {proof.label} of {self.target} from {self.repository} is not what was backed up: "
                + "; ".join(proof.differences),
                hint="keep it out of restores; verify the copy in the other repository and back up again",
            )
        return {
            "label": str(proof.label),
            "repository": self.repository,
            "seconds": dict(proof.durations),
            "checks": dict(proof.checks),
            "isolation": proof.isolation,
        }


class SweepScratchOperator(BackstopOperator):
    """Remove scratch servers, fetched dumps and files that a killed verification left behind."""

    def carry_out(self, context: Context) -> None:
        from backstop.commands.proof.record import sweep_scratch
        from backstop.hooks.target import TargetHook
        from backstop.settings.database import staging

        hook = TargetHook(self.target, AccessRole.VERIFIER)
        folders = {staging(hook.configuration, self.target, hook.repositories())}
        folders |= {tree.spool for tree in hook.target.trees.values() if tree.spool is not None}
        for folder in sorted(folders):
            sweep_scratch(folder)
