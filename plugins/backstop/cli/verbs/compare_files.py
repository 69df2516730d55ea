"""``diff-files``, ``file-history`` and ``check-files``: what backups say of files, without a restore."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DIFFERENT, DONE
from backstop.cli.output import print_fields, print_json, print_table
from backstop.cli.session import LATEST
from backstop.cli.trees import TreeSession
from backstop.commands.staging import staging_directory
from backstop.commands.trees.differences import compared_backups, path_history
from backstop.commands.trees.wording import difference_line, entry_words, occurrence_row
from backstop.errors import ConfigurationError, NotFoundError
from backstop.model.access import AccessRole
from backstop.model.file_tree import shown
from backstop.settings.arguments import parse_label
from backstop.settings.trees import tree_staging
from backstop.wiring import cluster_connection

if TYPE_CHECKING:
    import argparse
    from pathlib import Path

    from backstop.model.backup import BackupLabel
    from backstop.model.file_tree import Entry
    from backstop.model.tree_difference import Difference
    from backstop.repository.catalog import Repository


def diff_files(arguments: argparse.Namespace) -> int:
    session = TreeSession(arguments, AccessRole.RESTORER)
    repositories = session.readable(arguments.repository)
    before, after = _pair(session, repositories, arguments)
    found: list[dict[str, Any]] = []
    with compared_backups(
        repositories,
        before,
        after,
        keyring=session.keyring_for_reading(arguments.escrow_key),
        scratch=_scratch(session, repositories),
    ) as differences:
        for difference in differences:
            if arguments.json:
                found.append(_difference_document(difference))
            else:
                print(difference_line(difference))
    if arguments.json:
        print_json({"before": before.text, "after": after.text, "differences": found})
    return 0


def file_history(arguments: argparse.Namespace) -> int:
    session = TreeSession(arguments, AccessRole.RESTORER)
    if not arguments.path.startswith("/"):
        raise ConfigurationError(f"{arguments.path} is no absolute path", hint="begin it with /")
    repositories = session.readable(arguments.repository)
    occurrences = list(
        path_history(
            repositories,
            session.tree.name,
            os.fsencode(arguments.path),
            keyring=session.keyring_for_reading(arguments.escrow_key),
            scratch=_scratch(session, repositories),
        )
    )
    if arguments.json:
        print_json(
            [
                {
                    "label": one.published.manifest.label.text,
                    "finished_at": one.published.manifest.finished_at,
                    "change": one.change.value if one.change else None,
                    "fields": list(one.fields),
                    "entry": entry_words(one.entry) if one.entry else None,
                }
                for one in occurrences
            ]
        )
    else:
        print_table(["BACKUP", "FINISHED", "CHANGE", "THERE"], [occurrence_row(one) for one in occurrences])
    if not any(one.entry for one in occurrences):
        raise NotFoundError(
            f"no backup of {session.tree.name} has {arguments.path}",
            hint="paths are whole, as in `python -m backstop diff-files`",
        )
    return 0


def check_files(arguments: argparse.Namespace) -> int:
    from backstop.commands.trees.expected import missing_files
    from backstop.commands.trees.listing import read_listing
    from backstop.settings.proof import expected_files

    session = TreeSession(arguments, AccessRole.RESTORER)
    named = session.configuration, session.target_name
    expected = expected_files(
        *named, session.tree.name, reader=lambda: cluster_connection(*named, session.credentials)
    )
    if expected is None:
        raise ConfigurationError(
            f"{session.tree.name} of {session.target_name} has no `expected`: what should be in it?",
            hint="describe it (docs/targets.md)",
        )
    repositories = session.readable(arguments.repository)
    repository, published = session.choose(repositories, arguments.label)
    with staging_directory(_scratch(session, repositories), f"check-{secrets.token_hex(4)}") as folder:
        listing = read_listing(
            repository,
            published.manifest,
            keyring=session.keyring_for_reading(arguments.escrow_key),
            folder=folder,
        )
        found = missing_files(expected, listing.entries())
    if arguments.json:
        print_json({"label": published.manifest.label.text, **found.to_dict()})
    else:
        fields = [("backup", published.manifest.label.text), ("expected", f"{found.expected} files")]
        print_fields([*fields, ("missing", "\n".join(found.sentences()) or "none")])
    return DIFFERENT if found.missing else DONE


def _pair(
    session: TreeSession, repositories: list[Repository], arguments: argparse.Namespace
) -> tuple[BackupLabel, BackupLabel]:
    after = (
        parse_label(arguments.after)
        if arguments.after and arguments.after != LATEST
        else session.choose(repositories, LATEST)[1].manifest.label
    )
    if arguments.before:
        return parse_label(arguments.before), after
    labels = [published.manifest.label for _, published in session.backups(repositories)]
    place = labels.index(after) if after in labels else 0
    if place == 0:
        raise NotFoundError(
            f"there is no backup of {session.tree.name} before {after}",
            hint="name two with --before, --after",
        )
    return labels[place - 1], after


def _scratch(session: TreeSession, repositories: list[Repository]) -> Path:
    return tree_staging(session.configuration, session.target_name, session.tree.name, repositories)


def _difference_document(difference: Difference) -> dict[str, Any]:
    def words(entry: Entry | None) -> str | None:
        return entry_words(entry) if entry else None

    return {
        "path": shown(difference.path),
        "change": difference.change.value,
        "fields": list(difference.fields),
        "before": words(difference.before),
        "after": words(difference.after),
    }
