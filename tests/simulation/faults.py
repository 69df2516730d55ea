"""Rules of the program, each taken away by one line: what the simulation must then say."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from backstop.commands.expiry import carry_out, plan, survey
from backstop.commands.expiry.references import References
from backstop.commands.expiry.removal import Removal
from backstop.commands.sync import decision
from backstop.crypto.signing import TrustedSigners
from backstop.model import retention, retention_kept
from backstop.repository.catalog import Verifications
from backstop.repository.holds import Holds

if TYPE_CHECKING:
    from collections.abc import Callable

    import pytest


def _nothing(*_: Any, **__: Any) -> tuple[()]:
    return ()


def _no_floor(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(retention, "floor", _nothing)
    return "one of the newest"


def _no_proof_needed(patch: pytest.MonkeyPatch) -> str:
    """What is unproven replaces what is proven."""
    patch.setattr(retention, "floor", _nothing)
    patch.setattr(retention, "nothing_proven", _nothing)
    patch.setattr(Removal, "_without_successor", lambda self: None)
    return "expiry removed"


def _parents_go(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(retention_kept.Kept, "add_needed", lambda self, by_label: None)
    patch.setattr(retention_kept.Kept, "closure", lambda self, by_label: set(self.reasons))
    patch.setattr(carry_out, "_needed_by", lambda found: {})
    return "builds on|lacks WAL|cannot be recovered"


def _wal_from_the_newest_base(patch: pytest.MonkeyPatch) -> str:
    rule = retention.wal_ranges

    def newest(*given: Any, **named: Any) -> list[Any]:
        found = list(rule(*given, **named))
        group = given[0]
        return [replace(one, start=max(one.start, group.newest.start)) for one in found]

    patch.setattr(retention, "wal_ranges", newest)
    return "WAL|cannot be recovered"


def _wal_of_one_timeline_only(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(
        retention.WalRange,
        "holds",
        lambda self, *, timeline, begin, end: (
            timeline == self.timeline and self.start < end and (self.end is None or begin <= self.end)
        ),
    )
    return "cannot be recovered"


def _timelines_are_alike(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(retention, "new_timeline", _nothing)
    return "cannot be recovered"


def _forged_proofs_count(patch: pytest.MonkeyPatch) -> str:
    verify = TrustedSigners.verify

    def gullible(self: TrustedSigners, document: Any, role: Any, **named: Any) -> None:
        if role != "proof":
            verify(self, document, role, **named)

    patch.setattr(TrustedSigners, "verify", gullible)
    return "expiry removed"


def _other_proofs_count(patch: pytest.MonkeyPatch) -> str:
    """Whether or not they matched."""
    patch.setattr(Verifications, "proven", property(lambda self: bool(self.proofs)))
    return "expiry removed"


def _packs_go_with_their_label(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(References, "needed", lambda self, key: False)
    return "which is gone"


def _drops_are_nothing(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(retention, "dropped", _nothing)
    return "holds much less"


def _holds_are_nothing(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(Holds, "in_force", lambda self, now: {})
    patch.setattr(Removal, "_in_use", lambda self, label: None)
    patch.setattr(survey, "readers", _nothing)
    return "held or read"


def _any_clock_is_right(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(retention, "age_moment", lambda newest, now: now)
    return "younger than"


def _names_tell_the_age(patch: pytest.MonkeyPatch) -> str:
    """As where timelines and names of WAL decided what was old."""
    by_name = lambda backups: sorted(backups, key=lambda one: one.label.text[::-1])  # noqa: E731
    patch.setattr(retention, "oldest_first", by_name)
    return "expiry removed|is still in"


def _nothing_ever_goes(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(plan, "_doomed", _nothing)
    return "is still in"


def _everything_is_copied(patch: pytest.MonkeyPatch) -> str:
    patch.setattr(decision, "_judgement", lambda *_: (None, ()))
    return "back into"


FAULTS: dict[str, Callable[[pytest.MonkeyPatch], str]] = {
    "the floor of proven backups is gone": _no_floor,
    "unproven backups replace proven ones": _no_proof_needed,
    "what an incremental backup builds on goes": _parents_go,
    "WAL goes up to the newest base backup": _wal_from_the_newest_base,
    "WAL of later timelines goes": _wal_of_one_timeline_only,
    "bases of older timelines go at once": _timelines_are_alike,
    "forged proofs count": _forged_proofs_count,
    "proofs that did not match count": _other_proofs_count,
    "packs go with the backup that wrote them": _packs_go_with_their_label,
    "a drop is nothing": _drops_are_nothing,
    "holds and readers are nothing": _holds_are_nothing,
    "any clock is right": _any_clock_is_right,
    "names tell the age": _names_tell_the_age,
    "nothing ever goes": _nothing_ever_goes,
    "sync knows no retention": _everything_is_copied,
}
