"""``verify`` where nothing is to be proven. Real restores are in test_round_trip.py."""

from __future__ import annotations


def test_a_verification_without_work_says_so(run, maker, verifier):
    near, far = maker(), maker("far")
    for repository in (near, far):
        repository.prove(repository.publish(), signer=verifier)

    code, out, _ = run("verify")

    assert code == 0
    assert out.startswith("nothing to prove")
