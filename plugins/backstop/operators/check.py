"""Read what is stored again, list what is left over, make repositories' places what they should be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import BackstopError, IntegrityError
from backstop.model.access import AccessRole
from backstop.operators.base import BackstopOperator, is_true

if TYPE_CHECKING:
    from airflow.sdk import Context

_NAMED = 20


class CheckObjectsOperator(BackstopOperator):
    """Read a share of one repository's objects again; heal what is damaged only when told to.

    :param repository: its name in targets.yaml.
    :param share: text such as ``5%``; empty: what targets.yaml says.
    :param heal: put good copies of other repositories in the place of what is damaged; true, or its JSON.
    :param restart: do not go on with a check that was killed.
    :raises AirflowFailException: something is damaged still.
    """

    template_fields = ("target", "repository", "share", "heal", "restart")

    def __init__(
        self,
        *,
        target: str,
        repository: str,
        share: str = "",
        heal: Any = "false",
        restart: Any = "false",
        **kwargs: Any,
    ) -> None:
        super().__init__(target=target, **kwargs)
        self.repository = repository
        self.share = share
        self.heal = heal
        self.restart = restart

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.check.check import check_objects
        from backstop.hooks.target import TargetHook
        from backstop.operators.base import holder
        from backstop.operators.progress import LoggedProgress
        from backstop.settings.arguments import named_repository, utc_now
        from backstop.settings.check import check_settings, parse_share

        hook = TargetHook(self.target, AccessRole.HEALER if is_true(self.heal) else AccessRole.VERIFIER)
        every = hook.every_repository()
        repository = named_repository(every, self.repository)
        keyring, signer = hook.for_checking()
        progress = LoggedProgress(self.log)
        report = check_objects(
            repository=repository,
            others=[other for other in every if other.name != repository.name],
            keyring=keyring,
            signer=signer,
            settings=check_settings(
                hook.configuration,
                self.target,
                hook.repositories(),
                share=parse_share(self.share) if self.share else None,
                heal=is_true(self.heal),
                restart=is_true(self.restart),
            ),
            clock=utc_now,
            holder=holder(context),
            progress=progress,
            inventory=hook.inventory(),
        )
        progress.finish()
        sentences = list(report.sentences())
        for sentence in sentences:
            self.log.warning("%s", sentence)
        self.log.info(
            "%d objects, %.1f MB, at %.0f MB/s",
            report.objects,
            report.stored_bytes / 1e6,
            report.bytes_per_second / 1e6,
        )
        if report.unjudged:
            self.log.warning(
                "%d objects of WAL were read and not judged: no key ring is on this machine", report.unjudged
            )
        if report.bad:
            rest = len(sentences) - _NAMED
            shown = [*sentences[:_NAMED], *([f"and {rest} more in the log"] if rest > 0 else [])]
            raise IntegrityError(
                f"{repository.name} is damaged: " + "; ".join(shown),
                hint="what no repository has whole, back up anew"
                if is_true(self.heal)
                else "trigger this again with *heal*; what no repository has whole, back up anew",
            )
        return {
            "repository": report.repository,
            "objects": report.objects,
            "stored_bytes": report.stored_bytes,
            "bytes_per_second": round(report.bytes_per_second),
            "healed": len(report.damaged),
            "unjudged": report.unjudged,
        }


class ListOrphansOperator(BackstopOperator):
    """List what one repository holds and no backup names. Removes nothing.

    :param repository: its name in targets.yaml.
    :raises AirflowFailException: a manifest cannot be trusted, so that nobody can tell.
    """

    template_fields = ("target", "repository")

    def __init__(self, *, target: str, repository: str, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.repository = repository

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.orphans.find import find_orphans
        from backstop.hooks.target import TargetHook
        from backstop.settings.arguments import named_repository, utc_now

        hook = TargetHook(self.target, AccessRole.EXPIRER)
        found = find_orphans(
            named_repository(hook.every_repository(), self.repository),
            grace=hook.target.check.orphans_after,
            now=utc_now(),
        )
        for what, orphans in (("orphan", found.removable), ("not ours", found.foreign)):
            for one in orphans[:_NAMED]:
                self.log.info("%s: %s, %d bytes: %s", what, one.key, one.stored_bytes, one.why)
            if len(orphans) > _NAMED:
                self.log.info("%s: and %d more", what, len(orphans) - _NAMED)
        if found.cannot_tell:
            raise IntegrityError(
                f"what is left over in {self.repository} cannot be told: " + "; ".join(found.cannot_tell),
                hint="mend or remove the manifests that are named",
            )
        return found.counts()


class PrepareRepositoryOperator(BackstopOperator):
    """Compare one repository's directory or bucket with what it should be; mend it when told to.

    :param target: the name of the repository in targets.yaml, whoever uses it.
    :raises AirflowFailException: something is otherwise than it should be still.
    """

    template_fields = ("target", "apply")

    def __init__(self, *, target: str, apply: Any = "false", **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.apply = apply

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.prepare.preparation import prepare_repository
        from backstop.credentials import RoleCredentials
        from backstop.hooks.credentials import AirflowCredentials
        from backstop.settings.check import preparation_steps
        from backstop.targets import load_targets

        location, steps = preparation_steps(
            load_targets(), self.target, RoleCredentials(AirflowCredentials(), AccessRole.PREPARER)
        )
        prepared = prepare_repository(self.target, location, steps, apply=is_true(self.apply))
        for difference in prepared.applied:
            self.log.info("Mended: %s: %s", difference.what, difference.wanted)
        if prepared.differences:
            raise BackstopError(
                f"{self.target} ({location}) is not what it should be: "
                + "; ".join(difference.sentence() for difference in prepared.differences),
                hint="what Backstop may mend, it mends with *apply*; the rest is its owner's",
            )
        return prepared.to_dict()
