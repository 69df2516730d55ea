"""Whether a recovery ended where it was planned to."""

from __future__ import annotations

import pytest

from backstop.model.lsn import Lsn
from backstop.postgres.recovery_end import RecoveryEnd, wrong_end
from backstop.postgres.recovery_settings import RecoveryStop

MB = 1024 * 1024
PLANNED = Lsn(5 * 16 * MB + 3 * MB)


def judged(lsn: Lsn, *, stop: RecoveryStop | None = None, stopped: str = "", planned: Lsn = PLANNED) -> str:
    end = RecoveryEnd(2, lsn, 0, 1.0, None, stopped)
    return wrong_end(
        end,
        stop or RecoveryStop(),
        at_least=Lsn(planned.position - MB),
        at_most=planned,
        segment_bytes=16 * MB,
    )


@pytest.mark.parametrize("position", [PLANNED.position, PLANNED.position - MB])
def test_an_end_within_what_was_planned_is_one(position: int) -> None:
    assert judged(Lsn(position)) == ""


def test_a_segment_that_was_ended_early_stands_for_its_rest_though_that_was_never_stored() -> None:
    assert judged(Lsn(6 * 16 * MB)) == ""


@pytest.mark.parametrize("beyond", [1, 12 * MB, 13 * MB + 1, 29 * MB])
def test_an_end_beyond_the_plan_is_none(beyond: int) -> None:
    assert "beyond the planned end 0/5300000" in judged(Lsn(PLANNED.position + beyond))


def test_a_plan_that_ends_with_a_segment_allows_nothing_of_the_next() -> None:
    whole = Lsn(6 * 16 * MB)

    assert judged(whole, planned=whole) == ""
    assert "beyond" in judged(Lsn(7 * 16 * MB), planned=whole)


def test_an_end_before_what_must_be_there_is_none() -> None:
    assert "it was to replay reaches to" in judged(Lsn(PLANNED.position - MB - 1))


def test_an_end_without_the_target_is_none() -> None:
    stop = RecoveryStop("name", "before the accident")

    assert "without having reached its target" in judged(PLANNED, stop=stop)
    assert judged(PLANNED, stop=stop, stopped="recovery stopping at restore point") == ""
