"""What is wrong with the replication slot, decided from what the server says of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.model.finding import Finding, Level

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.model.observation import SlotSeen

UNBOUNDED = "max_slot_wal_keep_size"
_ANEW = "start archive-wal (with --recreate-slot when WAL was archived before), then take a new base backup"
_MEBIBYTE = 1024 * 1024


def judge_slot(
    seen: SlotSeen,
    *,
    target: str,
    location: str,
    slot_share: float,
    last_words: Callable[[], str] = lambda: "",
) -> tuple[Finding, ...]:
    """Findings about the slot itself, and one about a server that does not bound it.

    :param location: of the server, for people.
    :param slot_share: what part of ``max_slot_wal_keep_size`` it may keep.
    :param last_words: of the receiver, where they can be read: why it ended, perhaps.
    """
    subject = f"slot {seen.name}"

    def finding(level: Level, sentence: str, next_step: str, *, about: str = subject) -> Finding:
        return Finding(target, "slot", about, level, sentence, next_step)

    if seen.state == "missing":
        said = f"{location} has no {subject}: it does not keep the WAL that is not stored yet"
        return (finding(Level.CRITICAL, said, _ANEW),)
    if seen.state == "lost":
        said = f"{location} has given up {subject}: WAL that was not stored is gone"
        return (finding(Level.CRITICAL, said, _ANEW),)
    found = []
    retained, limit = seen.retained_bytes or 0, seen.limit_bytes
    if limit is None:
        said = (
            f"{location} would keep WAL for {subject} until its disk is full, should nobody receive it: "
            f"{UNBOUNDED} is -1"
        )
        step = f"set {UNBOUNDED} to what the disk of pg_wal can spare, and reload"
        found.append(finding(Level.WARNING, said, step, about=UNBOUNDED))
    share = retained / limit if limit else 0.0
    if share > slot_share:
        level = Level.CRITICAL if share > (1 + slot_share) / 2 else Level.WARNING
        said = (
            f"{location} keeps {retained // _MEBIBYTE} MiB for {subject}, {share:.0%} of what {UNBOUNDED} "
            "allows: beyond it the slot is given up and WAL is lost"
        )
        step = f"see that archive-wal runs and what holds it up, or raise {UNBOUNDED} while the disk has room"
        found.append(finding(level, said, step))
    elif seen.state == "inactive" and retained:
        said = (
            f"nobody receives from {subject} of {location}, and the server has written {retained} bytes since"
        )
        if why := last_words():
            said += f"; what received from it said last: {why}"
        found.append(
            finding(Level.WARNING, said, "start archive-wal, or see in its log why it is not connected")
        )
    return tuple(found)
