"""What is wrong with a key, decided from what is known of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from datetime import datetime, timedelta

    from backstop.crypto.kms_status import KmsKeyStatus
    from backstop.model.observation import KeySeen

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
