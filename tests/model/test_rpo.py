"""The observed RPO is measured at the repository, and never too small."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from backstop.model.lsn import Lsn
from backstop.model.rpo import ObservedRpo, ServerPosition, WalPosition, observed_rpo
from tests.model.recovering import START


def at(second, position, timeline=1):
    return ServerPosition(START + timedelta(seconds=second), WalPosition(timeline, Lsn(position)))


def rpo(repository, observed, now, timeline=1):
    held = None if repository is None else WalPosition(timeline, Lsn(repository))
    return observed_rpo(held, observed, START + timedelta(seconds=now))


def test_nothing_can_be_lost_of_an_idle_database_that_is_stored_whole():
    assert rpo(500, [at(0, 100), at(10, 500), at(3600, 500)], now=3600) == ObservedRpo(timedelta(0))


def test_what_is_not_stored_counts_from_when_the_server_had_no_more_than_is_stored():
    assert rpo(150, [at(0, 100), at(10, 150), at(12, 200), at(20, 300)], now=20) == ObservedRpo(
        timedelta(seconds=10)
    )


def test_a_server_not_heard_of_may_have_written_since():
    assert rpo(500, [at(0, 500)], now=7) == ObservedRpo(timedelta(seconds=7))


def test_the_old_timeline_stored_beyond_the_switch_is_nothing_of_the_new_one():
    observed = [at(0, 400), at(5, 450, timeline=2)]

    assert rpo(600, observed, now=5, timeline=1) == ObservedRpo(timedelta(seconds=5))
    assert rpo(450, observed, now=5, timeline=2) == ObservedRpo(timedelta(0))


def test_an_empty_repository_loses_at_least_what_was_observed():
    found = rpo(None, [at(3, 100), at(5, 200)], now=10)

    assert found == ObservedRpo(timedelta(seconds=7), at_least=True)
    assert str(found) == "at least 7.0 s"


def test_without_any_observation_nothing_is_known():
    assert rpo(100, [], now=10) is None


def test_a_clock_that_went_back_is_no_negative_loss():
    assert str(rpo(100, [at(5, 100)], now=4)) == "0.0 s"


@given(
    st.lists(st.integers(0, 9), min_size=1, max_size=30),
    st.integers(0, 100),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_the_loss_is_never_reported_smaller_than_it_is(written, stored, every, shuffle):
    """The server writes so many bytes each second; every few seconds, and now, somebody looks."""
    ends = [sum(written[: second + 1]) for second in range(len(written))]
    now = len(ends) - 1
    looked = [second for second in range(now + 1) if second % every == 0 or second == now]
    observed = [at(second, ends[second]) for second in looked]
    shuffle.shuffle(observed)
    found = rpo(stored, observed, now=now)

    lost = [second for second in range(now + 1) if ends[second] > stored]
    truth = timedelta(seconds=now - lost[0]) if lost else timedelta(0)
    assert found.duration >= truth
    if not found.at_least:
        assert found.duration <= truth + timedelta(seconds=every)
