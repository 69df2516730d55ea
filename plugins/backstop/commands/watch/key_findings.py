"""What is wrong with a key, decided from what is known of it."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.crypto.key_encryption import LOCAL_PROVIDER
from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from backstop.commands.watch.keys import NewestBackup
    from backstop.crypto.keyring import KeyGeneration
    from backstop.crypto.kms_status import KmsKeyStatus
    from backstop.model.observation import KeySeen

COPIED_WITHIN = timedelta(days=1)
"""After a new key, every machine that uses the ring has it by then."""

_NEXT_STEPS = {
    "disabled": "enable it again: aws kms enable-key",
    "pending deletion": "stop that at once: aws kms cancel-key-deletion, then aws kms enable-key",
    "missing": "bring it back from its escrow copy; until then restore from backups under another key",
}


def judge_key(target: str, seen: KeySeen, *, why: str = "") -> tuple[Finding, ...]:
    """A key that does not open what is stored is critical, whatever else might open it.

    :param why: more of it, in a few words.
    """
    if seen.state not in _NEXT_STEPS:
        return ()
    subject = f"key {seen.key}"
    harm = "new backups need it"
    if seen.backups:
        harm = f"{seen.backups} backup{'s need' if seen.backups > 1 else ' needs'} it"
    said = f"{subject} is {seen.state}{f' ({why})' if why else ''}, and {harm}"
    return (Finding(target, "key", subject, Level.CRITICAL, said, _NEXT_STEPS[seen.state]),)


def judge_local_rotation(
    target: str, path: str, created_at: datetime, due_at: datetime, *, now: datetime
) -> tuple[Finding, ...]:
    """A key ring whose newest key is too old."""
    if now <= due_at:
        return ()
    made, due = f"{created_at:%Y-%m-%d}", f"{due_at:%Y-%m-%d}"
    said = f"the newest key of key ring {path} is of {made}; a new one was due on {due}"
    step = (
        "`python -m backstop rotate-keys --now` adds a key and removes none; then copy the ring again, also "
        "where its escrow copy is"
    )
    return (Finding(target, "key", "rotation", Level.WARNING, said, step),)


def judge_ring_copies(
    target: str, path: str, newest: KeyGeneration, backups: Iterable[NewestBackup]
) -> tuple[Finding, ...]:
    """A machine that has not been given the newest key goes on wrapping with a former one.

    The other way round, a key that backups need and this ring lacks, is :func:`judge_key`'s.

    :param backups: the newest of each kind: one that is in order closes the finding.
    """
    key = f"{LOCAL_PROVIDER}/{newest.id}"
    since = newest.created_at + COPIED_WITHIN
    behind = [one.label for one in backups if one.started_at > since and key not in one.keys]
    if not behind:
        return ()
    labels = ", ".join(sorted(set(behind)))
    said = (
        f"{labels} is not wrapped with {newest.id}, the newest key of key ring {path}: another copy is older"
    )
    step = f"copy {path} to every machine that makes backups of {target}"
    return (Finding(target, "key", "ring copies", Level.WARNING, said, step),)


def judge_kms_rotation(
    target: str, arn: str, status: KmsKeyStatus, *, now: datetime, rotate_after: timedelta
) -> tuple[Finding, ...]:
    """A key that does not rotate by itself, or seldom. One that cannot, as imported ones, is let be."""
    step = f"aws kms enable-key-rotation --rotation-period-in-days {rotate_after.days} --key-id {arn}"
    created_at = status.created_at
    if status.rotates is False and created_at is not None and now > created_at + rotate_after:
        said = f"key {arn} is of {created_at:%Y-%m-%d} and does not rotate by itself"
    elif status.rotates and status.period is not None and status.period > rotate_after:
        said = f"key {arn} rotates every {status.period.days} days; {rotate_after.days} were agreed"
    else:
        return ()
    return (Finding(target, "key", f"rotation of {arn}", Level.WARNING, said, step),)
