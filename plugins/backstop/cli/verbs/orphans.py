"""``orphans``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backstop.cli.exit_codes import DAMAGED, DECLINED, DONE
from backstop.cli.output import human_bytes, print_json, print_table, say
from backstop.cli.session import Session
from backstop.cli.terminal import confirm, declined, progress_bar
from backstop.commands.orphans.find import find_orphans
from backstop.commands.orphans.remove import remove_orphans
from backstop.commands.orphans.report import Orphan, Orphans, Removal, stored_bytes
from backstop.errors import BackstopError
from backstop.model.access import AccessRole
from backstop.settings.arguments import utc_now
from backstop.wiring import open_every_repository

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from datetime import timedelta

    from backstop.repository.catalog import Repository


def orphans(arguments: argparse.Namespace) -> int:
    """One repository after the other: what was removed is told, whatever becomes of the next."""
    session = Session(arguments, AccessRole.EXPIRER)
    named = session.configuration, session.target_name, session.credentials
    if arguments.repository is not None:
        session.repository(arguments.repository)  # says which there are
    repositories = [one for one in open_every_repository(*named) if arguments.repository in (None, one.name)]
    grace = arguments.grace or session.configuration.targets[session.target_name].check.orphans_after
    found, failures = _find(repositories, grace)
    if failures and not found:
        raise next(iter(failures.values()))
    if not arguments.json:
        _print(found, whole=not failures)
    removals: dict[str, Removal] = {}
    refused = False
    if arguments.remove:
        by_name = {one.name: one for one in repositories}
        questions = [(by_name[one.repository], one) for one in found if _may_be_removed(one)]
        refused = _remove_confirmed(
            questions, removals, failures, grace=grace, yes=arguments.yes, holder=session.holder
        )
    _tell(found, removals, failures, as_json=arguments.json)
    if any(one.cannot_tell for one in found):
        return DAMAGED
    if failures:
        return next(iter(failures.values())).exit_code
    return DECLINED if refused else DONE


def _find(repositories: list[Repository], grace: timedelta) -> tuple[list[Orphans], dict[str, BackstopError]]:
    found: list[Orphans] = []
    failures: dict[str, BackstopError] = {}
    for repository in repositories:
        try:
            found.append(find_orphans(repository, grace=grace, now=utc_now()))
        except BackstopError as error:
            failures[repository.name] = error
            say(f"backstop: {repository.name} could not be listed: {error}")
    return found, failures


def _may_be_removed(found: Orphans) -> bool:
    return not found.cannot_tell and bool(found.removable or found.uploads)


def _remove_confirmed(
    questions: list[tuple[Repository, Orphans]],
    removals: dict[str, Removal],
    failures: dict[str, BackstopError],
    *,
    grace: timedelta,
    yes: bool,
    holder: str,
) -> bool:
    """Enter what became of each; whether one of them was declined."""
    refused = False
    for repository, found in questions:
        if not confirm(_question(found), yes=yes):
            declined(repository.name)
            refused = True
            continue
        try:
            removals[repository.name] = _remove(repository, found, grace, holder)
        except BackstopError as error:
            failures[repository.name] = error
            say(f"backstop: not everything was removed from {repository.name}: {error}")
    return refused


def _question(found: Orphans) -> str:
    return (
        f"Remove {len(found.removable)} objects and {len(found.uploads)} unfinished uploads, "
        f"{human_bytes(_freed(found))} in all, from {found.repository} ({found.location})?"
    )


def _remove(repository: Repository, found: Orphans, grace: timedelta, holder: str) -> Removal:
    with progress_bar() as progress:
        return remove_orphans(repository, found, grace=grace, holder=holder, clock=utc_now, progress=progress)


def _freed(found: Orphans) -> int:
    return stored_bytes(found.removable) + sum(upload.stored_bytes for upload in found.uploads)


def _print(found: list[Orphans], *, whole: bool) -> None:
    """:param whole: every repository has answered."""
    for one in found:
        for reason in one.cannot_tell:
            say(f"backstop: nothing may be removed from {one.repository}: {reason}")
    rows = [row for one in found for row in _rows(one)]
    if rows:
        print_table(["REPOSITORY", "OBJECT", "BYTES", "STORED", "WHAT", "WHY"], rows, right=(2,))
    elif whole and not any(one.cannot_tell for one in found):
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


def _tell(
    found: list[Orphans],
    removals: dict[str, Removal],
    failures: dict[str, BackstopError],
    *,
    as_json: bool,
) -> None:
    if as_json:
        documents: list[dict[str, Any]] = []
        for one in found:
            removal = removals.get(one.repository)
            document = {**one.to_dict(), "removed": removal.to_dict() if removal else None}
            if one.repository in failures:
                document["error"] = str(failures[one.repository])
            documents.append(document)
        told = {one.repository for one in found}
        documents += [
            {"repository": name, "error": str(error)} for name, error in failures.items() if name not in told
        ]
        print_json(documents)
        return
    for name, removal in removals.items():
        print(
            f"{name}: {removal.objects} objects and {removal.uploads} unfinished uploads removed, "
            f"{human_bytes(removal.stored_bytes)} freed"
        )
        for sentence in removal.left:
            print(f"{name}: {sentence}")
