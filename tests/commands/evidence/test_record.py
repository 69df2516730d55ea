"""Evidence goes wherever it can go, and a proof is never lost because a chain cannot be written."""

from __future__ import annotations

import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from backstop.commands.check.disprove import disprove
from backstop.commands.evidence.catch_up import catch_up
from backstop.errors import KeyServiceUnavailableError, StorageFullError, StorageUnavailableError
from backstop.model.evidence import EvidenceKind
from backstop.repository.evidence import EvidenceChain
from tests.evidencing import EvidenceWorld, now
from tests.making import STARTED

if TYPE_CHECKING:
    from collections.abc import Callable

    from backstop.crypto.signing import DocumentSigner
    from backstop.model.proof import Proof

SOON = timedelta(hours=1)


def silent(world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch, name: str) -> list[str]:
    """A repository that does not answer; what was asked of it."""
    asked: list[str] = []

    def fail(*_: Any, **__: Any) -> Any:
        asked.append(name)
        raise StorageUnavailableError(f"{name} does not answer")

    for method in ("list", "read", "put_once", "stat", "versions"):
        monkeypatch.setattr(world.storages[name], method, fail)
    world.makers[name].catalog._repository_id = None
    return asked


def prove(world: EvidenceWorld, *, minutes: int = 10, **book: Any) -> tuple[Proof, list[str]]:
    """Record a proof in ``local`` as commands do; and what was said of its evidence."""
    maker = world.makers["local"]
    published = maker.catalog.backups().backups[0] if maker.catalog.backups().backups else maker.publish()
    repository = world.booked("local", **book)
    proof = maker.prove(published, signer=world.verifier, minutes=minutes)
    assert repository.evidence is not None
    return proof, repository.evidence.enter_proof(repository, proof, now=now())


def no_kms() -> DocumentSigner:
    raise KeyServiceUnavailableError("KMS does not answer", hint="wait")


def test_evidence_is_recorded_in_every_repository_and_each_names_the_others_newest(
    world: EvidenceWorld,
) -> None:
    recorded = world.record("drill-6")

    assert set(recorded.records) == {"local", "far"}
    assert recorded.sentences() == []
    local, far = recorded.records["local"], recorded.records["far"]
    assert local.heads == {far.repository_id: world.chain("far").head_at(5)}
    assert far.heads == {local.repository_id: local.head}


def test_a_repository_that_does_not_answer_keeps_evidence_out_of_no_other(
    world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = silent(world, monkeypatch, "local")

    recorded = world.record("drill-6")

    assert set(recorded.records) == {"far"}
    assert "not in repository local: local does not answer" in recorded.sentences()[0]
    assert asked == ["local"], "patience with one that is down is minutes: it is asked once"


def test_when_no_repository_takes_it_that_is_an_error(
    world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("local", "far"):
        silent(world, monkeypatch, name)

    with pytest.raises(StorageUnavailableError, match="does not answer"):
        world.record("drill-6")


def test_a_report_that_cannot_be_drawn_does_not_cost_the_record(world: EvidenceWorld) -> None:
    from backstop.commands.evidence.record import record_evidence

    def fails(_: object) -> str:
        raise ZeroDivisionError("no time passed")

    recorded = record_evidence(
        EvidenceKind.DRILL,
        "drill-6",
        {},
        repositories=world.repositories,
        signer=world.verifier,
        happened_at=now(),
        now=now(),
        render=fails,
    )

    assert recorded.records["local"].report_sha256 == ""
    assert "has no report: it cannot be drawn (ZeroDivisionError: no time passed)" in recorded.sentences()[0]
    assert world.verify().sound


def test_a_proof_becomes_a_record_in_the_repository_that_it_is_of(world: EvidenceWorld) -> None:
    proof, told = prove(world)

    record = world.chain("local").read(6)
    assert told == []
    assert (record.kind, record.subject) == (EvidenceKind.PROOF, str(proof.label))
    assert record.document == proof.to_dict()
    assert set(record.heads) == {world.makers["far"].catalog.repository_id()}
    assert world.chain("far").head_at(6) is None
    assert world.verify().sound


def test_a_failed_verification_of_a_damaged_backup_becomes_a_record_too(world: EvidenceWorld) -> None:
    label = world.makers["local"].publish().manifest.label

    disprove(
        world.booked("local"),
        {label: ["object x is missing"]},
        signer=world.verifier,
        started_at=now(),
        finished_at=now(),
    )

    assert world.chain("local").read(6).document["differences"] == ["object x is missing"]


@pytest.mark.parametrize("trouble", ["kms", "disk"])
def test_a_proof_whose_evidence_cannot_be_written_counts_and_is_added_later(
    world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    prove(world)
    storage = world.storages["local"]
    put_once: Callable[..., Any] = storage.put_once

    def full(key: str, data: bytes) -> Any:
        if "/evidence/" in key:
            raise StorageFullError("no space left", hint="make some")
        return put_once(key, data)

    with monkeypatch.context() as patch:
        if trouble == "disk":
            patch.setattr(storage, "put_once", full)
        proof, told = prove(world, minutes=40, **({"signer": no_kms} if trouble == "kms" else {}))

    assert len(told) == 1
    assert f"the proof of {proof.label} in local is recorded, but not in the chain of evidence yet" in told[0]
    assert "evidence catch-up" in told[0]
    [published] = world.makers["local"].catalog.backups().backups
    assert proof in world.makers["local"].catalog.proofs(published), "the proof counts"

    added, told = catch_up(world.booked("local"), now=now())

    assert (added, told) == ([str(proof.label)], [])
    assert world.chain("local").read(7).document == proof.to_dict()
    assert catch_up(world.booked("local"), now=now()) == ([], [])
    assert world.verify().sound


def test_a_proof_that_no_record_tells_of_is_named(world: EvidenceWorld) -> None:
    maker = world.makers["local"]
    published = maker.publish(started_at=now())
    maker.prove(published, signer=world.verifier)

    assert world.found() == {("proof without evidence", None)}


def test_proofs_from_before_there_was_evidence_are_counted_and_no_fault(world: EvidenceWorld) -> None:
    maker = world.makers["local"]
    maker.prove(maker.publish(started_at=STARTED - timedelta(days=400)), signer=world.verifier)

    verdict = world.verify()

    assert verdict.sound
    assert verdict.chains[0].remarks == ("1 proof from before there was evidence",)


def test_a_proof_that_was_taken_away_or_changed_while_its_backup_is_there_is_named(
    world: EvidenceWorld,
) -> None:
    proof, _ = prove(world)
    [key] = world.makers["local"].catalog.proof_records.keys()[proof.label]
    world.remove("local", key)

    assert world.found() == {("proof gone", 6)}

    world.makers["local"].catalog.record_proof(replace(proof, matched=False), signer=world.verifier)
    assert ("proof gone", 6) in world.found()


def test_of_an_expired_backup_the_chain_alone_tells_as_it_should(world: EvidenceWorld) -> None:
    proof, _ = prove(world)
    [key] = world.makers["local"].catalog.proof_records.keys()[proof.label]
    world.remove("local", key)
    world.makers["local"].catalog.withdraw(proof.label)

    verdict = world.verify()

    assert verdict.sound
    assert verdict.chains[0].remarks == ("1 proof of backups that are not there any more",)


def test_a_run_asks_a_silent_witness_once_however_many_proofs_it_records(
    world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = silent(world, monkeypatch, "far")
    maker = world.makers["local"]
    published = maker.publish()
    repository = world.booked("local")
    assert repository.evidence is not None

    for minutes in (1, 2, 3):
        proof = maker.prove(published, signer=world.verifier, minutes=minutes)
        assert repository.evidence.enter_proof(repository, proof, now=now()) == []

    assert asked == ["far"]


def test_what_a_repository_missed_while_it_was_down_is_recorded_there_later(
    world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        silent(world, patch, "far")
        world.record("drill-6")
        world.record("drill-7")
    world.makers["far"].catalog._repository_id = None

    added, told = catch_up(world.booked("far"), others=[world.makers["local"].repository], now=now())

    assert (added, told) == (["drill-6", "drill-7"], [])
    missed = world.chain("local").read(6)
    late = world.chain("far").read(6)
    assert (late.kind, late.subject, late.document) == (missed.kind, missed.subject, missed.document)
    assert late.happened_at == missed.happened_at
    assert late.recorded_at > missed.recorded_at
    assert catch_up(world.booked("far"), others=[world.makers["local"].repository], now=now()) == ([], [])
    assert world.verify().sound


def test_a_record_of_another_target_that_was_brought_here_becomes_no_evidence_of_this_one(
    world: EvidenceWorld,
) -> None:
    maker = world.makers["far"]
    other = EvidenceChain(
        maker.storage, "billing", repository_id=maker.catalog.repository_id(), trust=world.trust
    )
    for _ in range(6):
        other.append(
            EvidenceKind.DRILL,
            "drill-of-billing",
            {"passed": True},
            happened_at=now(),
            now=now(),
            signer=world.verifier,
        )
    maker.storage.put_once(world.key(6), maker.storage.read(world.key(6, target="billing")))

    assert len(list(world.chain("far").believed())) == 5
    added, _ = catch_up(world.booked("local"), others=[maker.repository], now=now())

    assert added == []
    assert [len(chain.records) for chain in world.verify().chains] == [5, 5]
    assert world.verify().sentences()[0].startswith("far: record 6 is record 6 of target billing")


def test_two_repositories_with_one_id_are_both_judged_and_named(world: EvidenceWorld) -> None:
    shutil.rmtree(world.folder / "far")
    shutil.copytree(world.folder / "local", world.folder / "far")
    world.replace("local", 2, b"{}")
    copied = EvidenceWorld(world.folder, world.storages)

    said = copied.verify().sentences()

    assert "repositories local and far have the same id" in said[0]
    assert any(sentence.startswith("local: record 2 cannot be read") for sentence in said)
