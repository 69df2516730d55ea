"""``orphans``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.output import human_bytes, print_json, print_table, say
from backstop.cli.session import Session, holder
from backstop.cli.terminal import confirm, progress_bar
from backstop.commands.orphans.find import find_orphans
from backstop.commands.orphans.remove import remove_orphans
from backstop.commands.orphans.report import Orphan, Orphans, Removal, stored_bytes
from backstop.errors import IntegrityError
from backstop.settings.arguments import utc_now
from backstop.wiring import open_every_repository

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator


def orphans(arguments: argparse.Namespace) -> int:
    session = Session(arguments)
    named = session.configuration, session.target_name, session.credentials
    if arguments.repository is not None:
        session.repository(arguments.repository)  # says which there are
    repositories = [one for one in open_every_repository(*named) if arguments.repository in (None, one.name)]
    grace = arguments.grace or session.configuration.targets[session.target_name].check.orphans_after
    found = [find_orphans(repository, grace=grace, now=utc_now()) for repository in repositories]
    if not arguments.json:
        _print(found)
    removals: dict[str, Removal] = {}
    for repository, one in zip(repositories, found, strict=True):
        if not arguments.remove or one.cannot_tell or not (one.removable or one.uploads):
            continue
        question = (
            f"Remove {len(one.removable)} objects and {len(one.uploads)} unfinished uploads, "
            f"{human_bytes(_freed(one))} in all, from {repository.name} ({repository.location})?"
        )
        if not confirm(question, yes=arguments.yes):
            say("nothing was removed")
            return 1
        with progress_bar() as progress:
            removals[repository.name] = remove_orphans(
                repository, one, grace=grace, holder=holder(), clock=utc_now, progress=progress
            )
    _tell(found, removals, as_json=arguments.json)
    return IntegrityError.exit_code if any(one.cannot_tell for one in found) else 0


def _freed(found: Orphans) -> int:
    return stored_bytes(found.removable) + sum(upload.stored_bytes for upload in found.uploads)


def _print(found: list[Orphans]) -> None:
    for one in found:
        for reason in one.cannot_tell:
            say(f"backstop: nothing may be removed from {one.repository}: {reason}")
    rows = [row for one in found for row in _rows(one)]
    if rows:
        print_table(["REPOSITORY", "OBJECT", "BYTES", "STORED", "WHAT", "WHY"], rows, right=(2,))
    else:
        print("nothing is left over: every object belongs to a backup")


def _rows(found: Orphans) -> Iterator[list[str]]:
    for what, group in (
        ("orphan", found.removable),
        ("too young", found.young),
        ("being written", found.running),
        ("not ours", found.foreign),
    ):
        yield from (_row(found.repository, what, orphan) for orphan in group)
    for upload in found.uploads:
        began = f"{upload.began_at:%Y-%m-%d %H:%M}Z"
        yield [found.repository, upload.key, human_bytes(upload.stored_bytes), began, "upload", "unfinished"]


def _row(repository: str, what: str, orphan: Orphan) -> list[str]:
    stored = f"{orphan.newest_at:%Y-%m-%d %H:%M}Z"
    return [repository, orphan.key, human_bytes(orphan.stored_bytes), stored, what, orphan.why]


def _tell(found: list[Orphans], removals: dict[str, Removal], *, as_json: bool) -> None:
    if as_json:
        documents: list[dict[str, Any]] = []
        for one in found:
            removal = removals.get(one.repository)
            documents.append({**one.to_dict(), "removed": removal.to_dict() if removal else None})
        print_json(documents)
        return
    for name, removal in removals.items():
        print(
            f"{name}: {removal.objects} objects and {removal.uploads} unfinished uploads removed, "
            f"{human_bytes(removal.stored_bytes)} freed"
        )
        for sentence in removal.left:
            print(f"{name}: {sentence}")
