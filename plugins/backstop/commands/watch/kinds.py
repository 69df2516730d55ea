"""One kind of backup over all repositories: what there is, whether it came in time, what would be lost."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.watch.part import Part
from backstop.commands.watch.restores import accuracy_of, judge_duration
from backstop.commands.watch.wording import in_words
from backstop.model.anomaly import Sample, size_anomaly
from backstop.model.figures import duration_in_words
from backstop.model.finding import Finding, Level
from backstop.model.forecast import forecast
from backstop.model.observation import BackupSeen, ComponentSeen
from backstop.model.procedure import dag_of_kind
from backstop.model.punctuality import AHEAD, punctuality, usual_duration

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.watch.restores import Past
    from backstop.commands.watch.settings import WatchedKind
    from backstop.commands.watch.sight import Sight
    from backstop.model.punctuality import Punctuality
    from backstop.repository.recollection import KnownBackup, KnownProof, Recollection

EXCUSED_FOR = timedelta(hours=12)
"""So long, what is missing in the repositories that answer may be in one that does not. Then people are told:
it may be down for weeks, and backups fail meanwhile."""


@dataclass(slots=True)
class Copies:
    """One backup and where it is.

    :param known: as one of the repositories has it.
    :param holders: names of repositories that hold it; those that do not answer, as far as is remembered.
    :param seen: whether one of them has been looked at now.
    """

    known: KnownBackup
    holders: list[str] = field(default_factory=list)
    proven_in: list[str] = field(default_factory=list)
    proofs: list[KnownProof] = field(default_factory=list)
    seen: bool = False

    @property
    def finished_at(self) -> datetime:
        return self.known.manifest.finished_at

    @property
    def snapshot_at(self) -> datetime:
        return self.known.manifest.snapshot_at

    def as_seen(self) -> BackupSeen:
        manifest = self.known.manifest
        return BackupSeen(
            label=manifest.label.text,
            snapshot_at=manifest.snapshot_at,
            finished_at=manifest.finished_at,
            seconds=(manifest.finished_at - manifest.started_at).total_seconds(),
            stored_bytes=self.known.stored_bytes,
            plain_bytes=self.known.plain_bytes,
            repositories=tuple(self.holders),
            proven_in=tuple(self.proven_in),
        )


def merged(sight: Sight, recollection: Recollection) -> Mapping[str, list[Copies]]:
    """Every backup once, by kind, oldest first."""
    found: dict[object, Copies] = {}
    for repository, known, seen in _every_copy(sight, recollection):
        copies = found.setdefault(known.label, Copies(known))
        copies.holders.append(repository)
        copies.proofs += known.proofs
        copies.seen |= seen
        if known.proven:
            copies.proven_in.append(repository)
    kinds: dict[str, list[Copies]] = defaultdict(list)
    for copies in sorted(found.values(), key=lambda copies: (copies.finished_at, copies.known.label)):
        kinds[copies.known.label.component].append(copies)
    return kinds


def _every_copy(sight: Sight, recollection: Recollection) -> Iterator[tuple[str, KnownBackup, bool]]:
    for repository in sight.target.repositories:
        shelf = sight.shelves.get(repository.name)
        if shelf is not None:
            for known in shelf.backups.values():
                yield repository.name, known, True
            continue
        for known in recollection.backups.get(repository.name, {}).values():
            if not known.gone and known.status != "expiring":
                yield repository.name, known, False


def judge_kind(sight: Sight, kind: WatchedKind, backups: Sequence[Copies], past: Sequence[Past]) -> Part:
    """The component, and what is wrong with its backups as such.

    :param backups: of this kind, oldest first. :param past: restores of this kind, oldest first.
    """
    # What is dated in the future says nothing of how old or large the newest is; alone, it is all there is.
    every, backups = backups, _dated(backups, sight.now) or backups
    looked_at = [copies for copies in backups if copies.seen]
    certain = sight.all_answer(kind.repositories)
    since = _scheduled_since(sight, kind, backups[0].finished_at if backups else None)
    on_time = _punctuality(sight, kind, every, since if sight.remembers else None)
    some_answer = any(name in sight.shelves for name in kind.repositories)
    missed = certain or (some_answer and on_time.overdue and on_time.overdue_by > EXCUSED_FOR)
    newest = backups[-1] if backups else None
    proven = next((copies for copies in reversed(backups) if copies.proven_in), None)
    restores = [one.restore for one in past]
    foreseen = forecast(restores, bytes=newest.known.plain_bytes) if newest else None
    before = sight.previous.component(kind.kind) if sight.previous else None
    loss = _loss(sight, kind, looked_at)
    lost = certain or (some_answer and loss is not None and loss > (kind.rpo or loss) + EXCUSED_FOR)
    component = ComponentSeen(
        kind=kind.kind,
        newest=newest.as_seen() if newest else None,
        proven=proven.as_seen() if proven else None,
        proven_at=max(
            (proof.finished_at for copies in backups for proof in copies.proofs if proof.matched),
            default=None,
        ),
        schedule=_schedule(kind),
        scheduled_since=since,
        due_at=on_time.due_at,
        next_due_at=on_time.next_due_at,
        on_time=on_time.on_time if missed or on_time.on_time else _was_on_time(sight, kind),
        loss=loss,
        rpo=kind.rpo,
        rto=kind.rto,
        forecast=foreseen,
        accuracy=accuracy_of(past, before.accuracy if before else None),
        backups=len(backups),
        proven_backups=sum(bool(copies.proven_in) for copies in backups),
    )
    findings = [
        _late(sight, kind, on_time),
        *_sizes(sight, kind, looked_at),
        _lossy(sight, kind, component, on_time),
        judge_duration(sight, kind, foreseen),
    ]
    # What a repository that does not answer may hold is neither late nor lost. What is there is there.
    unjudged = frozenset() if missed else frozenset({("completed", kind.kind)})
    unjudged |= frozenset() if lost else frozenset({("rpo", kind.kind)})
    if not (looked_at or certain):
        unjudged |= {("size", kind.kind), ("size", f"{kind.kind} incremental"), ("forecast", kind.kind)}
    return Part(
        seen=(component,),
        findings=tuple(
            one for one in findings if one is not None and (one.check, one.subject) not in unjudged
        ),
        unjudged=unjudged - {("completed", kind.kind)} if on_time.on_time and looked_at else unjudged,
    )


def _dated(backups: Sequence[Copies], now: datetime) -> Sequence[Copies]:
    """Those that are not dated so far ahead of now that a clock must have been wrong."""
    return [copies for copies in backups if copies.finished_at <= now + AHEAD]


def _was_on_time(sight: Sight, kind: WatchedKind) -> bool:
    """What cannot be judged now stays as it was."""
    before = sight.previous.component(kind.kind) if sight.previous else None
    return before is None or before.on_time


def _punctuality(
    sight: Sight, kind: WatchedKind, backups: Sequence[Copies], since: datetime | None
) -> Punctuality:
    """Of the worse of its schedules: a base backup may be due, and a full one of them."""
    fulls = [copies for copies in backups if copies.known.manifest.parent is None]
    others = [copies for copies in backups if copies.known.manifest.parent is not None]
    usual_full, usual_other = _usual(fulls), _usual(others)

    def judge(schedules: Sequence[str], published: Sequence[Copies], usual: timedelta | None) -> Punctuality:
        return punctuality(
            schedules,
            [copies.finished_at for copies in published],
            now=sight.now,
            late_after=sight.target.settings.late_after,
            usual=usual,
            known_since=since,
        )

    longest = max((one for one in (usual_full, usual_other) if one is not None), default=None)
    any_of_it = judge(kind.schedules, backups, longest)
    if kind.full_schedule is None:
        return any_of_it
    full = judge([kind.full_schedule], fulls, usual_full)
    return full if full.overdue_by > any_of_it.overdue_by else any_of_it


def _usual(backups: Sequence[Copies]) -> timedelta | None:
    return usual_duration(copies.finished_at - copies.known.manifest.started_at for copies in backups)


def _scheduled_since(sight: Sight, kind: WatchedKind, oldest: datetime | None) -> datetime | None:
    """Since when it is to be done by its schedules as they are now.

    :param oldest: when the oldest backup was published: what was there before the first watch was due, too.
    """
    before = sight.previous.component(kind.kind) if sight.previous else None
    if before is None:
        return min(oldest or sight.now, sight.now)
    if before.schedule != _schedule(kind):
        return sight.now
    since = before.scheduled_since or (sight.previous.first_observed_at if sight.previous else None)
    # By a clock that was ahead, nothing would be due until then.
    return since and min(since, sight.now)


def _schedule(kind: WatchedKind) -> str | None:
    return kind.schedules[-1] if kind.schedules else None


def _late(sight: Sight, kind: WatchedKind, on_time: Punctuality) -> Finding | None:
    if not on_time.overdue:
        return None
    silent = [name for name in kind.repositories if name not in sight.shelves]
    beside = f"; {' and '.join(silent)} cannot be looked at" if silent else ""
    return Finding(
        sight.target.name,
        "completed",
        kind.kind,
        Level.CRITICAL,
        f"{in_words(kind.kind)}: {on_time.sentence}{beside}",
        f"look at the newest run of {dag_of_kind(sight.target.name, kind.kind)}, whether it is paused and "
        "whether a worker takes its queue and its pool exists; then trigger it",
    )


def _sizes(sight: Sight, kind: WatchedKind, backups: Sequence[Copies]) -> Iterator[Finding]:
    """Full and incremental base backups are compared with their like."""
    series: dict[str, list[Copies]] = defaultdict(list)
    for copies in backups:
        incremental = copies.known.manifest.parent is not None
        series[f"{kind.kind} incremental" if incremental else kind.kind].append(copies)
    for subject, alike in series.items():
        samples = [Sample(copies.finished_at, copies.known.stored_bytes) for copies in alike]
        odd = size_anomaly(samples[:-1], samples[-1])
        if odd is not None:
            yield Finding(
                sight.target.name,
                "size",
                subject,
                Level.WARNING,
                f"{alike[-1].known.label} {odd.sentence}",
                "was data removed or loaded? Compare it with the one before: "
                f"`python -m backstop show --label {alike[-1].known.label} --target {sight.target.name}`",
            )


def _loss(sight: Sight, kind: WatchedKind, backups: Sequence[Copies]) -> timedelta | None:
    """By backups alone. Of what is backed up on change, nobody here knows whether anything has changed."""
    if kind.kind == "base" or (kind.on_change and not kind.schedules) or not backups:
        return None
    newest = max(copies.snapshot_at for copies in backups)
    return max(sight.now - newest, timedelta(0))


def _lossy(sight: Sight, kind: WatchedKind, component: ComponentSeen, on_time: Punctuality) -> Finding | None:
    loss, objective = component.loss, kind.rpo
    if kind.has_wal or loss is None or objective is None or loss <= objective:
        return None
    step = (
        on_time.next_due_at - on_time.due_at
        if on_time.due_at is not None and on_time.next_due_at is not None
        else None
    )
    late = loss > objective + sight.target.settings.late_after
    if not late and step is not None and step <= objective:
        return None  # the next one is due, and on its way
    next_step = f"back up more often than every {duration_in_words(objective)}" + (
        ", or receive WAL (docs/targets.md, `cluster`)" if kind.kind == "dump" else ""
    )
    return Finding(
        sight.target.name,
        "rpo",
        kind.kind,
        Level.CRITICAL if late else Level.WARNING,
        f"{in_words(kind.kind)}: {duration_in_words(loss)} of changes would be lost now, and "
        f"{duration_in_words(objective)} may be",
        next_step,
    )
