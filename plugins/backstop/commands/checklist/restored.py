"""What a checklist looks at: a stopped database, trees of files, and what targets.yaml asks of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence  # noqa: TC003 parts of dataclasses
from contextlib import AbstractContextManager  # noqa: TC003 part of a dataclass
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path  # noqa: TC003 part of a dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from backstop.commands.questions import Query
    from backstop.commands.trees.expected import ExpectedFiles
    from backstop.postgres.connection import ClusterConnection
    from backstop.targets.drill import DrillApplication
    from backstop.targets.probes import Probe


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredDatabase:
    """The server that was restored, or the attempt.

    :param component: ``base`` or ``dump``. :param label: of the backup it began with.
    :param failure: why it is not back; then nothing else counts.
    :param serve: starts it, for as long as the block lasts, and leads in as its superuser.
    :param dbname: the target's own database in it.
    :param pages: asked while it is stopped: how many pages have the checksum they should; None: it has none.
        :raises IntegrityError: some have not. None instead of a function: pages were not restored as such.
    :param compare: asked while it is served: one sentence for each difference from the fingerprint; None:
        there is none to compare with.
    :param queries: the ledger checks: with their answers.
    :param recovered_to: the moment whose state it has.
    """

    component: str
    label: str
    serve: Callable[[], AbstractContextManager[ClusterConnection]]
    dbname: str
    failure: str = ""
    pages: Callable[[], int | None] | None = None
    compare: Callable[[ClusterConnection], Sequence[str]] | None = None
    queries: Sequence[Query] = ()
    recovered_to: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RestoredFiles:
    """A tree that was restored, or the attempt.

    :param component: ``tree:<name>``. :param label: of the backup.
    :param failure: why it is not back; then nothing else counts.
    :param root: the folder under which its files lie under their whole paths.
    :param compare: reads every file again and compares it with the backup's list: one sentence a difference.
    :param not_set: what metadata this user could not give to the files, in words.
    :param files: how many there are, if that is known. :param unread: how many of them this user could not
        read again to compare them.
    :param expected: which files rows name; asked of the *restored* database, whatever its own says.
    :param validators: commands; ``{root}`` stands for the root.
    :param recovered_to: the moment whose files these are; :param rpo: how much older than the database they
        may be.
    """

    component: str
    label: str
    root: Path
    compare: Callable[[], Sequence[str]]
    failure: str = ""
    not_set: Sequence[str] = ()
    files: int | None = None
    unread: int = 0
    expected: ExpectedFiles | None = None
    validators: Sequence[Sequence[str]] = ()
    recovered_to: datetime | None = None
    rpo: timedelta | None = None

    @property
    def name(self) -> str:
        return self.component.removeprefix("tree:")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChecklistSettings:
    """What targets.yaml asks for.

    :param application: how it is started on what was restored, and stopped.
    :param validator_timeout: for each of them.
    :param secrets: texts that no sentence repeats.
    :param environment: of commands, besides where everything is.
    """

    application: DrillApplication
    probes: Sequence[Probe] = ()
    validator_timeout: timedelta = timedelta(minutes=1)
    secrets: Sequence[str] = field(default=(), repr=False)
    environment: Mapping[str, str] = field(default_factory=dict)
