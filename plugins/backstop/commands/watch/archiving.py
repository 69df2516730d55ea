"""Continuous archiving: what would be lost, measured at the repositories, and the slot that prevents it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.commands.watch.following import Following
from backstop.commands.watch.loss import aged, earlier_position, judge_loss, loss_of, since
from backstop.commands.watch.part import EVERY, Part
from backstop.commands.watch.slot import judge_slot
from backstop.commands.watch.source import source_finding
from backstop.errors import SourceError
from backstop.model.finding import Finding, Level
from backstop.model.observation import SlotSeen, WalSeen
from backstop.postgres.replication import ReplicationConnection

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from backstop.commands.watch.loss import Loss
    from backstop.model.observation import Observation
    from backstop.postgres.connection import ClusterConnection
    from backstop.repository.catalog import Repository

SUBJECT = "replication"
ARCHIVER = "archiver"
PATIENCE = timedelta(seconds=4)
_SILENT_TOO_LONG = timedelta(minutes=15)


def look_at_archiving(
    *,
    target: str,
    cluster: ClusterConnection,
    repositories: Sequence[Repository],
    slot: str,
    objective: timedelta | None,
    slot_share: float,
    clock: Callable[[], datetime],
    earlier: Observation | None = None,
    down: Mapping[str, str] | None = None,
    patience: timedelta = PATIENCE,
    last_words: Callable[[], str] = lambda: "",
) -> Part:
    """Ask the server where it is, then look at the repositories until they have that, for ``patience`` at
    most: so an archiver that works shows seconds, whatever the time between two watches.

    A repository that does not answer is neither judged nor found fault with here.

    :param cluster: as the role that receives WAL.
    :param objective: what may be lost (``database.rpo``).
    :param slot_share: ``watch.slot_share``.
    :param earlier: what was seen before: it bounds the loss while the server is silent.
    :param down: repositories that are known not to answer, and why; not among ``repositories``.
    :param last_words: of the receiver, where they can be read.
    """
    try:
        with ReplicationConnection(cluster, application_name="backstop:watch") as connection:
            followed = Following(
                target=target,
                cluster=cluster,
                connection=connection,
                slot=slot,
                clock=clock,
                down=down or {},
            )
            followed.follow(repositories, patience)
            limit_bytes = connection.setting_bytes("max_slot_wal_keep_size")
            location = connection.location
    except SourceError as error:
        return _unheard(error, target, repositories, objective, earlier, clock())
    written = [*earlier_position(earlier, followed.spans), *followed.written]
    losses = {name: loss_of(lag, written) for name, lag in followed.lags.items()}
    since_lsn = followed.slot.since
    slot_seen = SlotSeen(
        name=slot,
        state=followed.slot.state,
        retained_bytes=None if since_lsn is None else max(0, followed.identity.flush_lsn - since_lsn),
        limit_bytes=limit_bytes,
    )
    findings, unjudged = _judge(followed, losses, target, objective, f"slot {slot} of {location}")
    return Part(
        seen=(_seen(followed, losses, slot_seen),),
        findings=(
            *findings,
            *judge_slot(
                slot_seen, target=target, location=location, slot_share=slot_share, last_words=last_words
            ),
        ),
        unseen=tuple(f"WAL in repository {name}: {why}" for name, why in followed.silent.items()),
        unjudged=frozenset(unjudged),
    )


def _seen(followed: Following, losses: dict[str, Loss], slot: SlotSeen) -> WalSeen:
    return WalSeen(
        timeline=followed.identity.timeline,
        server_position=str(followed.identity.flush_lsn),
        observed_rpo={
            name: loss.figure if followed.lags[name].observed_rpo is not None else None
            for name, loss in losses.items()
            # Behind, and nobody can tell how far: then it is left out, because None says "holds nothing".
            if loss.figure is not None or followed.lags[name].observed_rpo is None
        },
        behind_bytes={name: lag.behind_bytes for name, lag in followed.lags.items()},
        slot=slot,
    )


def _judge(
    followed: Following, losses: dict[str, Loss], target: str, objective: timedelta | None, slot: str
) -> tuple[list[Finding], set[tuple[str, str]]]:
    findings = [
        Finding(target, "rpo", f"repository {name}", Level.CRITICAL, error.message, error.hint)
        for name, error in followed.damaged.items()
    ]
    unjudged = {("rpo", f"repository {name}") for name in followed.silent}
    if not followed.lags or followed.slot.since is None:
        # What a slot confirms can be compared with nothing.
        unjudged.add(("rpo", ARCHIVER))
    if _dropped(followed):
        findings.append(_acknowledged_and_dropped(followed, target, slot))
        unjudged |= {("rpo", f"repository {name}") for name in followed.lags}
        return findings, unjudged
    for name, lag in followed.lags.items():
        finding = judge_loss(lag, losses[name], target=target, repository=name, objective=objective)
        findings += [finding] if finding else []
    return findings, unjudged


def _dropped(followed: Following) -> bool:
    """Whether the slot stands where no repository reaches, and none that is silent may do so.

    One look is not enough: pieces go once their segment is whole, and that may be between two listings.
    """
    confirmed = followed.slot_at_first.since
    lags = followed.lags.values()
    if confirmed is None or followed.looks < 2 or followed.silent or followed.damaged:
        return False
    if not any(lag.observed_rpo is not None for lag in lags):
        return False  # nothing at all is there: a slot that is new, which confirms nothing
    return not any(lag.reaches and lag.position >= confirmed for lag in lags)


def _acknowledged_and_dropped(followed: Following, target: str, slot: str) -> Finding:
    names = " and ".join(followed.lags)
    return Finding(
        target,
        "rpo",
        ARCHIVER,
        Level.CRITICAL,
        f"{slot} says that everything before {followed.slot_at_first.since} is stored, and it is not in "
        f"{names}: WAL was acknowledged and dropped",
        "stop whatever else receives from that slot, then take a new base backup: recovery cannot pass "
        "what is missing",
    )


def _unheard(
    error: SourceError,
    target: str,
    repositories: Sequence[Repository],
    objective: timedelta | None,
    earlier: Observation | None,
    now: datetime,
) -> Part:
    """Nothing but what was known before, which gets older.

    A server that is silent may just be down, and then nobody writes to it: for a while that is a warning.
    """
    bounds = [since(earlier, repository.name, now) for repository in repositories]
    best = min((bound for bound in bounds if bound is not None), default=timedelta(0))
    finding = source_finding(
        error, target=target, subject=SUBJECT, lost="whether what it writes is stored is not known"
    )
    if best > max(objective or _SILENT_TOO_LONG, _SILENT_TOO_LONG):
        said = f"{error.message}: should it be written to, up to {best.total_seconds():.0f} s would be lost"
        finding = Finding(target, "source", SUBJECT, Level.CRITICAL, said, error.hint)
    known = aged(earlier, now)
    return Part(
        seen=(known,) if known else (),
        findings=(finding,),
        unseen=(f"continuous archiving: {error.message}",),
        unjudged=frozenset({("rpo", EVERY), ("slot", EVERY)}),
    )
