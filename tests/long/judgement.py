"""What must hold of what was brought back."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from backstop.model.canonical import parse_time
from backstop.model.lsn import Lsn
from tests.long.disaster_plan import NOTHING

if TYPE_CHECKING:
    from datetime import datetime

    from backstop.commands.recovery.result import RecoveryResult
    from tests.long.disasters import Disaster
    from tests.long.wal_truth import Commit

#: The promise while everything works.
MOST_LOST = timedelta(seconds=3)
#: A server takes so long, at most, between looking how far it is and saying when that was.
HEARSAY = timedelta(seconds=0.25)


def judge(expected: list[Commit], found: set[int]) -> None:
    wanted = {commit.xid for commit in expected}
    missing, beyond = wanted - found, found - wanted
    assert not missing, f"{len(missing)} transactions from before the target are missing: {missing}"
    assert not beyond, f"{len(beyond)} transactions from beyond the target are there: {beyond}"


def judge_latest(
    disaster: Disaster,
    truth: list[Commit],
    found: set[int],
    result: RecoveryResult,
    claim: datetime | None,
    repository: str,
) -> None:
    # A beginning of what was committed, without a hole, and up to where recovery says it went.
    end = Lsn.parse(result.end_lsn)
    judge([commit for commit in truth if commit.lsn < end], found)
    acknowledged = disaster.ledger.acknowledged
    if disaster.plan.strike == NOTHING:
        acknowledged = {xid: at for xid, at in acknowledged.items() if at < disaster.struck_at}
    lost = [commit for commit in truth if commit.xid in acknowledged and commit.xid not in found]
    told = sorted(acknowledged[commit.xid] for commit in lost)
    seconds = max(0.0, (disaster.struck_at - told[0]).total_seconds()) if told else 0.0
    how = "everything worked" if disaster.everything_worked else "after trouble"
    if disaster.complete:
        how = "server lived on"
    disaster.facts |= {f"lost transactions, {how}": len(lost), f"lost seconds, {how}": round(seconds, 3)}
    if disaster.site.synchronous or disaster.complete:
        assert not lost, f"{len(lost)} acknowledged transactions are lost, the oldest {seconds:.2f} s old"
    if claim is None:
        return
    reported = (disaster.struck_at - claim).total_seconds()
    disaster.facts[f"reported seconds, {how}"] = round(reported, 3)
    promised = [at for at in told if at < claim - HEARSAY]
    assert not promised, (
        f"{repository}: {len(promised)} transactions are lost that had been reported as stored, "
        f"the oldest by {(claim - promised[0]).total_seconds():.3f} s"
    )
    if disaster.everything_worked:
        state = disaster.states_before[-1]
        rpo = state["repositories"][repository]["observed_rpo_seconds"]
        assert parse_time(state["at"]) > disaster.struck_at - timedelta(seconds=5), (
            "no word from the receiver"
        )
        assert rpo <= MOST_LOST.total_seconds(), f"{repository} was {rpo} s behind while all worked"
        assert seconds <= MOST_LOST.total_seconds(), f"{seconds:.2f} s are lost"
