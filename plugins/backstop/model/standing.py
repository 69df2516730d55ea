"""What can be said of a target in one line: the worst that applies gives the word, and all of it the reasons.

Pure, and never better than what is known: an observation that is old, or lacks a part, is no good news.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import total_ordering
from typing import TYPE_CHECKING

from backstop.model.figures import clock_time, in_short
from backstop.model.finding import Level

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from backstop.model.finding import Finding
    from backstop.model.observation import ComponentSeen, Observation

STALE_AFTER = timedelta(minutes=15)
"""Three watches that did not come."""


@total_ordering
class Word(enum.Enum):
    """The status, best first."""

    RESTORABLE = "restorable"
    NOTICE = "restorable, with warnings"
    UNPROVEN = "not proven"
    AT_RISK = "at risk"
    UNWATCHED = "not watched"
    DISABLED = "not protected"
    NOTHING = "nothing can be restored"

    def __lt__(self, other: Word) -> bool:
        order = list(Word)
        return order.index(self) < order.index(other)

    @property
    def tone(self) -> str:
        """``good``, ``warning``, ``critical`` or ``unknown``: one shape and colour each."""
        return _TONES[self]


_TONES = {
    Word.RESTORABLE: "good",
    Word.NOTICE: "warning",
    Word.UNPROVEN: "warning",
    Word.AT_RISK: "critical",
    Word.UNWATCHED: "unknown",
    Word.DISABLED: "critical",
    Word.NOTHING: "critical",
}


@dataclass(frozen=True, slots=True)
class Standing:
    """How a target stands.

    :param sentence: the word with its figures, ``restorable to 14:32:07Z, proven 3 h ago``.
    :param reasons: everything that is not as it should be, worst first; empty when all is well.
    :param has_critical: a critical finding is open.
    :param restorable_to: the latest moment that the database can be brought back to; None: to none.
    :param proven_at: when a restore last proved any of its backups; of the kind where that is longest ago.
    """

    word: Word
    sentence: str
    reasons: tuple[str, ...] = ()
    restorable_to: datetime | None = None
    proven_at: datetime | None = None
    has_critical: bool = False

    @property
    def tone(self) -> str:
        """That of the word, and ``critical`` with a critical finding; ``unknown`` stays so."""
        return "critical" if self.has_critical and self.word.tone in ("good", "warning") else self.word.tone


def standing(
    observation: Observation | None,
    findings: Sequence[Finding],
    *,
    now: datetime,
    stale_after: timedelta = STALE_AFTER,
) -> Standing:
    """How a target stands at ``now``.

    :param observation: the newest; None: no watch has seen it yet.
    :param findings: those of it that are open.
    """
    drawbacks = [_of_finding(one) for one in findings]
    critical = any(one.level is Level.CRITICAL for one in findings)
    if observation is None:
        drawbacks.append((Word.UNWATCHED, "no watch has seen it yet"))
        return replace(_said(drawbacks, None, None, now=now, watched_at=None), has_critical=critical)
    restorable_to = latest_moment(observation, findings)
    proven_at = proven_since(observation)
    drawbacks += _of_watch(observation, now=now, stale_after=stale_after)
    drawbacks += _of_backups(observation, restorable_to)
    said = _said(drawbacks, restorable_to, proven_at, now=now, watched_at=observation.observed_at)
    return replace(said, has_critical=critical)


def latest_moment(observation: Observation, findings: Sequence[Finding] = ()) -> datetime | None:
    """The latest moment that the database can be brought back to from a repository that answers.

    :param findings: that are open: a newest backup that was restored and differed is none to go back to.
    """
    answering = {one.name for one in observation.repositories if one.reachable}
    windows = [one for one in observation.windows if one.repository in answering]
    moments = [one.ends_at for one in windows]
    rpo = observation.wal.observed_rpo if observation.wal else {}
    for one in windows:
        loss = rpo.get(one.repository)
        if one.newest and loss is not None:
            # A server that has written nothing since can be brought back to now.
            moments.append(observation.observed_at - loss)
    for component in _databases(observation):
        if component.kind != "base":
            # A base backup alone needs WAL, which is what windows are made of.
            moments += [
                one.snapshot_at
                for one, usable in (
                    (component.newest, answering - _differed(component.kind, findings)),
                    (component.proven, answering),
                )
                if one is not None and usable.intersection(one.repositories)
            ]
    return max(moments, default=None)


def _differed(kind: str, findings: Sequence[Finding]) -> set[str]:
    """Repositories whose copy of the newest backup a restore found to be another: ``watch/proofs.py``."""
    subject = f"failed {kind} in "
    return {
        one.subject.removeprefix(subject)
        for one in findings
        if one.check == "proven" and one.level is Level.CRITICAL and one.subject.startswith(subject)
    }


def proven_since(observation: Observation) -> datetime | None:
    """When each kind of the database's backups that there are had been proven: the oldest of their newest
    proofs; None: of some there is none."""
    proofs = [one.proven_at for one in _databases(observation) if one.newest is not None]
    known = [moment for moment in proofs if moment is not None]
    return min(known) if known and len(known) == len(proofs) else None


def _databases(observation: Observation) -> list[ComponentSeen]:
    return [one for one in observation.components if not one.kind.startswith("tree:")]


def _of_finding(finding: Finding) -> tuple[Word, str]:
    if finding.check == "proven":
        return Word.UNPROVEN, finding.sentence
    if finding.check == "configuration" and finding.level is Level.CRITICAL:
        return Word.DISABLED, finding.sentence
    return (Word.AT_RISK if finding.level is Level.CRITICAL else Word.NOTICE), finding.sentence


def _of_watch(
    observation: Observation, *, now: datetime, stale_after: timedelta
) -> Iterator[tuple[Word, str]]:
    age = now - observation.observed_at
    if age > stale_after:
        yield Word.UNWATCHED, f"the newest watch was {in_short(age)} ago: is watch_backups paused?"
    if age < -stale_after:
        yield Word.UNWATCHED, f"the newest watch is dated {in_short(-age)} ahead: clocks differ"
    if not observation.repositories:
        yield Word.UNWATCHED, "no repository could be looked at"
    for one in observation.repositories:
        if not one.reachable:
            yield Word.NOTICE, f"repository {one.name} does not answer: {one.problem or 'no reason given'}"
    for what in observation.unseen:
        yield Word.NOTICE, f"not looked at: {what}"


def _of_backups(observation: Observation, restorable_to: datetime | None) -> Iterator[tuple[Word, str]]:
    if restorable_to is None:
        # Where no repository was looked at, nothing is known, which is another word.
        if observation.repositories:
            yield Word.NOTHING, _why_nothing(observation)
        return
    if not any(one.newest for one in _databases(observation)):
        yield Word.UNPROVEN, "of no backup of the database it is known whether it is proven"
    for component in observation.components:
        if component.newest is None:
            yield Word.AT_RISK, f"there is no backup of {component.kind}"
        elif component.proven is None or component.proven_at is None:
            yield Word.UNPROVEN, f"no backup of {component.kind} has been proven"


def _why_nothing(observation: Observation) -> str:
    if not any(one.reachable for one in observation.repositories):
        return "no repository answers"
    if not any(one.newest for one in _databases(observation)):
        return "no backup of the database has been published"
    return "no backup of the database can be used from a repository that answers"


def _said(
    drawbacks: list[tuple[Word, str]],
    restorable_to: datetime | None,
    proven_at: datetime | None,
    *,
    now: datetime,
    watched_at: datetime | None,
) -> Standing:
    word = max((word for word, _ in drawbacks), default=Word.RESTORABLE)
    reasons = dict.fromkeys(reason for _, reason in sorted(drawbacks, key=lambda one: one[0], reverse=True))
    return Standing(
        word,
        _sentence(word, restorable_to, proven_at, now=now, watched_at=watched_at),
        tuple(reasons),
        restorable_to,
        proven_at,
    )


def _sentence(
    word: Word,
    restorable_to: datetime | None,
    proven_at: datetime | None,
    *,
    now: datetime,
    watched_at: datetime | None,
) -> str:
    if word is Word.NOTHING:
        return "nothing can be restored"
    if word is Word.DISABLED:
        return "not protected"
    if word is Word.UNWATCHED:
        if watched_at is None:
            return "never watched"
        return f"not watched since {in_short(abs(now - watched_at))}"
    proof = f"proven {in_short(now - proven_at)} ago" if proven_at else "never proven"
    if word is Word.UNPROVEN:
        return f"not proven since {in_short(now - proven_at)}" if proven_at else "never proven"
    reach = f"restorable to {clock_time(restorable_to, now=now)}" if restorable_to else "restorable"
    return f"at risk: {reach}, {proof}" if word is Word.AT_RISK else f"{reach}, {proof}"
