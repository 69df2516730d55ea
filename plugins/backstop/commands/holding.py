"""Hold a backup in every repository that has it, release it there, and say which holds there are."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from backstop.commands.locking import lock_held
from backstop.errors import BackstopError, ConfigurationError, IntegrityError, NotFoundError
from backstop.repository.holds import Holds, new_hold

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.crypto.signing import Signer
    from backstop.model.backup import BackupLabel
    from backstop.model.hold import Hold, HoldDocument
    from backstop.repository.catalog import Repository


@dataclass(slots=True)
class HoldReport:
    """What was done where.

    :param holds: by name of the repository, the hold as it is there now.
    :param absent: repositories that do not have the backup, or the hold.
    :param failed: by name, the error that kept one from being asked.
    """

    label: BackupLabel
    holds: dict[str, Hold] = field(default_factory=dict)
    absent: list[str] = field(default_factory=list)
    failed: dict[str, BackstopError] = field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """Whether every repository that has the backup was reached."""
        return not self.failed

    def to_dict(self) -> dict[str, Any]:
        return {
            "label": self.label.text,
            "repositories": {name: hold.to_dict() for name, hold in self.holds.items()},
            "absent": list(self.absent),
            "failed": {name: str(error) for name, error in self.failed.items()},
        }


@dataclass(frozen=True, slots=True)
class KnownHold:
    """One hold, wherever it lies.

    :param numbers: by name of the repository, its number there.
    """

    hold: Hold
    numbers: Mapping[str, int]


def place_hold(
    target: str,
    repositories: Sequence[Repository],
    label: BackupLabel,
    *,
    reason: str,
    who: str,
    until: datetime | None,
    now: datetime,
) -> HoldReport:
    """Place the same hold in every repository that has the backup.

    Said again in the same words, it goes where it is not yet: so one that was not reached catches up. Where
    backups are locked, its lock lasts as long as the hold.

    :raises NotFoundError: none has it.
    :raises BackstopError: it was placed nowhere; the first repository's error.
    """
    wanted = new_hold(target, label, reason=reason, who=who, until=until, now=now)
    document = _placed_before(repositories, wanted, now=now) or wanted

    def add(repository: Repository) -> Hold:
        hold = Holds(repository).add(document)
        lock_held(repository, label, until=until, now=now)
        return hold

    return _everywhere(label, repositories, add)


def release_hold(
    repositories: Sequence[Repository],
    label: BackupLabel,
    number: int | None,
    *,
    who: str,
    now: datetime,
    signer: Signer,
) -> HoldReport:
    """Release one hold in every repository that has it.

    :param number: None: the only one that is in force.
    :param signer: of proofs.
    :raises NotFoundError: no repository has it.
    :raises ConfigurationError: the number means different holds in different repositories, or none was given
        and several are in force.
    """
    found, failed = known_holds(repositories, label=label)
    chosen = _the_one(found, label, number, now=now, failed=failed)

    def release(repository: Repository) -> Hold:
        return Holds(repository).release_same(label, chosen.sha256, who=who, now=now, signer=signer)

    return _everywhere(label, repositories, release)


def known_holds(
    repositories: Sequence[Repository], *, label: BackupLabel | None = None
) -> tuple[list[KnownHold], dict[str, BackstopError]]:
    """Every hold in any of the repositories, of one backup or of all.

    :returns: the holds by label, and the repositories that could not be asked, or hold what names no backup.
    """
    seen: dict[tuple[str, str], dict[str, Hold]] = {}
    failed: dict[str, BackstopError] = {}
    for repository in repositories:
        try:
            # A place without one, such as a mount that is missing, has no holds because it has nothing.
            repository.catalog.repository_id()
            held, strays = _held(repository, label)
        except BackstopError as error:
            failed[repository.name] = error
            continue
        if strays:
            failed[repository.name] = strays[0]
        for hold in (hold for row in held.values() for hold in row):
            seen.setdefault((hold.label.text, hold.sha256), {})[repository.name] = hold
    known = []
    for _, copies in sorted(seen.items()):
        # Where one repository has not heard of the release, the hold is in force there.
        shown = min(copies.values(), key=lambda hold: hold.released_at is not None)
        known.append(KnownHold(shown, {name: hold.number for name, hold in copies.items()}))
    known.sort(key=lambda one: (one.hold.label.text, one.hold.number))
    return known, failed


def _placed_before(
    repositories: Sequence[Repository], wanted: HoldDocument, *, now: datetime
) -> HoldDocument | None:
    """The hold that says the same, where one is in force somewhere."""
    for repository in repositories:
        try:
            holds = Holds(repository)
            for hold in holds.of(wanted.label):
                same = (hold.reason, hold.who, hold.until) == (wanted.reason, wanted.who, wanted.until)
                if same and hold.in_force(now) and hold.damage is None:
                    return holds.document(wanted.label, hold.sha256)
        except BackstopError:
            continue  # placing it there says what is wrong
    return None


def _held(
    repository: Repository, label: BackupLabel | None
) -> tuple[Mapping[BackupLabel, tuple[Hold, ...]], tuple[IntegrityError, ...]]:
    holds = Holds(repository)
    return holds.survey() if label is None else ({label: holds.of(label)}, ())


def _the_one(
    found: Sequence[KnownHold],
    label: BackupLabel,
    number: int | None,
    *,
    now: datetime,
    failed: Mapping[str, BackstopError],
) -> Hold:
    if number is None:
        fitting = [known.hold for known in found if known.hold.in_force(now)]
    else:
        fitting = [known.hold for known in found if number in known.numbers.values()]
        fitting = [hold for hold in fitting if hold.released_at is None] or fitting
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise ConfigurationError(
            f"{label} has {len(fitting)} holds that could be meant: {'; '.join(map(str, fitting))}",
            hint="say its number, and with --repository whose number it is",
        )
    if failed:
        raise next(iter(failed.values()))
    which = "hold in force" if number is None else f"hold {number}"
    raise NotFoundError(f"{label} has no {which}", hint="see `python -m backstop holds --all`")


def _everywhere(
    label: BackupLabel, repositories: Sequence[Repository], do: Callable[[Repository], Hold]
) -> HoldReport:
    report = HoldReport(label)
    absent: NotFoundError | None = None
    for repository in repositories:
        try:
            repository.catalog.repository_id()
        except BackstopError as error:
            report.failed[repository.name] = error
            continue
        try:
            report.holds[repository.name] = do(repository)
        except NotFoundError as error:
            absent = error
            report.absent.append(repository.name)
        except BackstopError as error:
            report.failed[repository.name] = error
    if not report.holds:
        raise (
            next(iter(report.failed.values()), None)
            or absent
            or NotFoundError(f"no repository to look for {label} in", hint="see targets.yaml")
        )
    return report
