"""The way back from a restore of files: the former ones are put in their place again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.errors import RestoreError
from backstop.model.access import AccessRole
from backstop.model.canonical import canonical_json, sha256_hex
from backstop.operators.approved import ApprovedOperator
from backstop.operators.base import BackstopOperator
from backstop.operators.people import requester
from backstop.operators.restore_files import remembering, rules_of

if TYPE_CHECKING:
    from airflow.sdk import Context

    from backstop.commands.trees.plan import TreeSwapOutcome
    from backstop.commands.trees.settings import TreeRestoreSettings


class PlanFilesSwapBackOperator(BackstopOperator):
    """Find out what the last swap of this tree on this host exchanged. Changes nothing.

    :param tree: a name below ``trees`` of the target.
    """

    template_fields = ("target", "tree")

    def __init__(self, *, target: str, tree: str, **kwargs: Any) -> None:
        super().__init__(target=target, **kwargs)
        self.tree = tree

    def carry_out(self, context: Context) -> dict[str, Any]:
        outcome, _ = _last(self.target, self.tree)
        for place in outcome.kept:
            self.log.info("To be put back: %s", place)
        return {
            "target": self.target,
            "tree": self.tree,
            "mode": "swap_back",
            "chosen_by": requester(context),
            "database": f"files {self.tree} of {self.target}",
            "destination": None,
            "label": outcome.label,
            "swapped_at": outcome.swapped_at,
            "names": len(outcome.exchanged),
            "kept": list(outcome.kept),
            "outcome_sha256": _digest(outcome),
        }


class SwapBackFilesOperator(ApprovedOperator):
    """Exchange the same names again and run ``after_restore``; what was restored is kept in its turn."""

    swapping = True

    def carry_out(self, context: Context) -> dict[str, Any]:
        from backstop.commands.trees.swap_in import undo_swap
        from backstop.settings.arguments import utc_now

        self.require_consent(rules_of(self.plan), utc_now())
        outcome, settings = _last(self.target, self.plan["tree"])
        if _digest(outcome) != self.plan["outcome_sha256"]:
            raise RestoreError(
                f"the files of {self.plan['tree']} have been swapped again since; nothing was touched",
                hint="trigger a new run and have that one approved",
            )
        with remembering(self, self.plan, settings.scratch) as remember:
            return remember(undo_swap(outcome, settings=settings, clock=utc_now))


def _last(target: str, tree: str) -> tuple[TreeSwapOutcome, TreeRestoreSettings]:
    from backstop.commands.trees.swaps import last_swap
    from backstop.hooks.target import TargetHook
    from backstop.settings.trees import tree_restore_settings

    hook = TargetHook(target, AccessRole.RESTORER)
    hook.tree(tree)
    settings = tree_restore_settings(hook.configuration, target, tree, hook.tree_repositories(tree))
    return last_swap(settings.scratch, target, tree), settings


def _digest(outcome: TreeSwapOutcome) -> str:
    return sha256_hex(canonical_json(outcome.to_dict()))
