"""``restore-files``: the way back when Airflow is down. Whoever runs it here is the one who approves."""

from __future__ import annotations

from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from backstop.cli.output import human_bytes, print_fields, print_json, say
from backstop.cli.session import LATEST
from backstop.cli.terminal import confirm, declined, progress_bar
from backstop.cli.trees import TreeSession
from backstop.commands.trees.plan import TreeSwapError, TreeSwapOutcome
from backstop.commands.trees.restore import TreeRestore
from backstop.commands.trees.swap_in import undo_swap
from backstop.commands.trees.swaps import last_swap, remember_swap
from backstop.errors import BackstopError, ConfigurationError, VerificationError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.settings.trees import tree_backup_choice, tree_restore_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

    from backstop.commands.trees.plan import TreeRestorePlan
    from backstop.commands.trees.settings import TreeRestoreSettings
    from backstop.repository.catalog import Repository


def restore_files(arguments: argparse.Namespace) -> int:
    session = TreeSession(arguments, AccessRole.RESTORER)
    if arguments.swap_back:
        return _swap_back(session, arguments)
    if not (arguments.label or arguments.at):
        raise ConfigurationError("which backup?", hint="add --label with a label or latest, or --at TIME")
    if not (arguments.to or arguments.in_place or arguments.dry_run):
        raise ConfigurationError("where to?", hint="add --in-place, --to DIRECTORY or --dry-run")
    at = tree_backup_choice(arguments.at)[1] if arguments.at else None
    if arguments.at and at is None:
        raise ConfigurationError(f"{arguments.at!r} is no time", hint="write it as 2026-11-23T12:00:00Z")
    repositories = session.readable(arguments.repository)
    repository, published = session.choose(repositories, arguments.label or LATEST, at=at)
    with progress_bar() as progress:
        restore = TreeRestore(
            repository=repository,
            label=published.manifest.label,
            keyring=session.keyring_for_reading(arguments.escrow_key),
            settings=_settings(session, repositories),
            clock=utc_now,
            progress=progress,
        )
        plan = restore.plan(only=arguments.paths, destination=_destination(arguments))
    if not arguments.json or not (arguments.dry_run or arguments.yes):
        _print_plan(plan)
    if arguments.dry_run:
        if arguments.json:
            print_json({"plan": plan.to_dict()})
        return 0
    if not confirm(_question(plan), yes=arguments.yes):
        return declined()
    return _carry_out(session, arguments, restore, plan)


def _carry_out(
    session: TreeSession, arguments: argparse.Namespace, restore: TreeRestore, plan: TreeRestorePlan
) -> int:
    with progress_bar() as progress:
        restore.progress = progress
        restored = restore.restore_beside(plan)
        differences = restore.validate(restored)
    for sentence in (*restored.notes, *restored.not_set):
        say(f"backstop: {sentence}")
    if differences:
        raise VerificationError(
            f"what was restored of {plan.label} is not what was backed up; nothing live was touched: "
            + "; ".join(differences),
            hint="restore another backup, or read this one from another repository (--from)",
        )
    if plan.destination is None:
        with _remembering(session, restore.settings) as remember:
            outcome = remember(restore.swap(restored))
    else:
        outcome = restore.swap(restored)
    if arguments.json:
        print_json({"plan": plan.to_dict(), "restored": restored.to_dict(), "swap": outcome.to_dict()})
    else:
        fields = [("restored", f"{restored.files} files, {human_bytes(restored.plain_bytes)}, each compared")]
        print_fields([*fields, *_outcome_fields(outcome)])
    return 0


def _swap_back(session: TreeSession, arguments: argparse.Namespace) -> int:
    """Needs this host alone: no key, and nothing of a repository."""
    if arguments.label or arguments.at or arguments.paths:
        raise ConfigurationError(
            "--swap-back goes back to what the last restore has replaced, all of it",
            hint="leave out --label, --at and --path",
        )
    settings = _settings(session, session.readable(arguments.repository))
    outcome = last_swap(settings.scratch, session.target_name, session.tree.name)
    if not arguments.json or not (arguments.dry_run or arguments.yes):
        print_fields(
            [("swapped at", outcome.swapped_at), ("to put back", "\n".join(outcome.kept) or "nothing")]
        )
    if arguments.dry_run:
        if arguments.json:
            print_json({"swap": outcome.to_dict()})
        return 0
    question = f"Put back what {session.tree.name} of {session.target_name} was before {outcome.swapped_at}?"
    if not confirm(question, yes=arguments.yes):
        return declined()
    with _remembering(session, settings) as remember:
        back = remember(undo_swap(outcome, settings=settings, clock=utc_now))
    if arguments.json:
        print_json({"swap": back.to_dict()})
    else:
        print_fields(_outcome_fields(back))
    return 0


@contextmanager
def _remembering(
    session: TreeSession, settings: TreeRestoreSettings
) -> Iterator[Callable[[TreeSwapOutcome], TreeSwapOutcome]]:
    """What a swap did is kept on this host, so that it can be taken back; also when it fails at its end."""

    def remember(outcome: TreeSwapOutcome) -> TreeSwapOutcome:
        try:
            remember_swap(settings.scratch, session.target_name, session.tree.name, outcome)
        except BackstopError as error:
            # What was done stands.
            say(f"backstop: {error}")
        return outcome

    try:
        yield remember
    except TreeSwapError as error:
        remember(error.outcome)
        raise


def _settings(session: TreeSession, repositories: Sequence[Repository]) -> TreeRestoreSettings:
    return tree_restore_settings(session.configuration, session.target_name, session.tree.name, repositories)


def _destination(arguments: argparse.Namespace) -> Path | None:
    return Path(arguments.to).absolute() if arguments.to else None


def _question(plan: TreeRestorePlan) -> str:
    if plan.destination:
        return f"Restore {plan.label} into {plan.destination}?"
    return f"Restore {plan.label}, then put it in the place of the live files of {plan.tree}?"


def _print_plan(plan: TreeRestorePlan) -> None:
    proven = f"proven {plan.proven_at}" if plan.proven_at else "NOT PROVEN"
    fields = [
        ("backup", f"{plan.label} from {plan.repository}, {proven}"),
        ("state of", plan.snapshot_at),
        ("restored", ", ".join(plan.only) or "everything"),
        ("content", f"{plan.files} files, {human_bytes(plan.plain_bytes)}"),
        ("to fetch", human_bytes(plan.stored_bytes)),
        ("into", plan.destination or "\n".join(plan.places)),
        ("would", f"add {plan.adds}, change {plan.changes}, delete {plan.deletes}"),
    ]
    fields += [("such as", "\n".join(plan.samples))] if plan.samples else []
    fields += [("warning", sentence) for sentence in plan.warnings]
    print_fields(fields)


def _outcome_fields(outcome: TreeSwapOutcome) -> list[tuple[str, str]]:
    fields = [
        ("exchanged", f"{len(outcome.exchanged)} names in {outcome.seconds:.3f} s"),
        ("kept", "\n".join(outcome.kept) or "nothing: there was none before"),
    ]
    fields += [
        ("ran", " ".join(one.argv) + (f"\n{one.output}" if one.output else "")) for one in outcome.commands
    ]
    return fields
