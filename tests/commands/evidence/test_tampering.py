"""Evidence that somebody with access to a repository tampers with is found, and named."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.evidence.export import verification_document
from backstop.commands.evidence.heads import read_kept_heads
from backstop.crypto.signing import Signer
from backstop.model.canonical import canonical_json
from backstop.repository.evidence import EvidenceChain
from tests.evidencing import DIFFERENT_DAY, EvidenceWorld, now

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def sentences(world: EvidenceWorld) -> str:
    return "\n".join(world.verify().sentences())


def change(world: EvidenceWorld) -> None:
    document = world.document("local", 3)
    document["document"]["passed"] = False
    world.replace("local", 3, canonical_json(document))


def change_the_newest(world: EvidenceWorld) -> None:
    document = world.document("local", 5)
    document["subject"] = "drill-9"
    world.replace("local", 5, canonical_json(document))


def say_more_than_was_signed(world: EvidenceWorld) -> None:
    world.replace("local", 3, canonical_json({**world.document("local", 3), "remarks": "all was well"}))


def make_unreadable(world: EvidenceWorld) -> None:
    world.replace("local", 3, b"\xff junk")


def drop(*numbers: int) -> Callable[[EvidenceWorld], None]:
    def drop(world: EvidenceWorld) -> None:
        for number in numbers:
            world.remove("local", world.key(number))

    return drop


def reorder(world: EvidenceWorld) -> None:
    second, third = world.body("local", 2), world.body("local", 3)
    world.replace("local", 2, third)
    world.replace("local", 3, second)


def put_a_copy_behind(world: EvidenceWorld) -> None:
    world.put("local", "00000006.json", world.body("local", 2))


def put_a_copy_beside(world: EvidenceWorld) -> None:
    world.put("local", "00000002-1.json", world.body("local", 2))


def put_a_file_beside(world: EvidenceWorld) -> None:
    world.put("local", "notes.json", b"{}")


def put_one_in_between(world: EvidenceWorld) -> None:
    """By who has the verifier's key, in the place of one that is then lost."""
    forged = world.forged("local", 3, signer=world.verifier, subject="drill-x")
    world.replace("local", 3, forged)


def move_from_another_repository(world: EvidenceWorld) -> None:
    world.replace("local", 3, world.body("far", 3))


def move_from_another_target(world: EvidenceWorld) -> None:
    maker = world.makers["local"]
    other = EvidenceChain(
        maker.storage, "billing", repository_id=maker.catalog.repository_id(), trust=world.trust
    )
    record = world.chain("local").read(3)
    for _ in range(3):
        other.append(
            record.kind,
            record.subject,
            record.document,
            happened_at=record.happened_at,
            now=now(),
            signer=world.verifier,
        )
    world.replace("local", 3, maker.storage.read(world.key(3, target="billing")))


def sign_as_a_stranger(world: EvidenceWorld) -> None:
    stranger = Signer.create(world.folder / "stranger.pem")
    world.replace("local", 3, world.forged("local", 3, signer=stranger))


def sign_as_the_writer(world: EvidenceWorld) -> None:
    world.replace("local", 3, world.forged("local", 3, signer=world.writer))


def take_the_signature_away(world: EvidenceWorld) -> None:
    world.replace("local", 3, canonical_json({**world.document("local", 3), "signature": None}))


def change_a_report(world: EvidenceWorld) -> None:
    key = f"calibrify/meta/evidence/{world.chain('local').read(3).report_name}"
    world.remove("local", key)
    world.storages["local"].put_once(key, b"<p>all was well</p>")


def drop_a_report(world: EvidenceWorld) -> None:
    world.remove("local", f"calibrify/meta/evidence/{world.chain('local').read(3).report_name}")


def back_date(world: EvidenceWorld) -> None:
    world.record("drill-6", at=now() - DIFFERENT_DAY, only="local")


def post_date(world: EvidenceWorld) -> None:
    world.record("drill-6", at=now() + DIFFERENT_DAY, only="local")


TAMPERING = [
    (change, {("changed", 3)}, "record 3 is not believed: record of evidence 3 (drill drill-3) of"),
    (change_the_newest, {("changed", 5)}, "was changed after key"),
    (say_more_than_was_signed, {("changed", 3)}, "says more or other things than what was signed"),
    (make_unreadable, {("unreadable", 3)}, "record 3 cannot be read"),
    (drop(1), {("missing", 1)}, "record 1 is missing: later ones are there"),
    (drop(3), {("missing", 3)}, "record 3 is missing"),
    (drop(2, 3), {("missing", 2), ("missing", 3)}, "record 2 is missing"),
    (drop(5), {("missing", 5)}, "record 5 is missing: record 5 in far knows record 5"),
    (drop(4, 5), {("missing", 4), ("missing", 5)}, "record 4 in far knows record 4"),
    (drop(1, 2, 3, 4, 5), {("missing", number) for number in range(1, 6)}, "in far knows record 5"),
    (reorder, {("misplaced", 2), ("misplaced", 3)}, "record 3 lies in the place of record 2"),
    (put_a_copy_behind, {("duplicated", 6)}, "record 2 lies in the place of record 6, and in its own"),
    (put_a_copy_beside, {("duplicated", 2)}, "00000002-1.json says that it is record 2, which lies there"),
    (put_a_file_beside, {("inserted", None)}, "notes.json is no name of a record"),
    (put_one_in_between, {("changed", 3), ("inserted", 4)}, "record 4 was written after another record"),
    (move_from_another_repository, {("foreign", 3)}, "it was moved here"),
    (move_from_another_target, {("foreign", 3)}, "record 3 is record 3 of target billing"),
    (sign_as_a_stranger, {("untrusted", 3)}, "signed by the unknown key"),
    (sign_as_the_writer, {("untrusted", 3)}, "which signs manifests only"),
    (take_the_signature_away, {("untrusted", 3)}, "is not signed"),
    (change_a_report, {("report", 3)}, "record 3 (drill drill-3) is not the one that was signed"),
    (drop_a_report, {("report", 3)}, "the report of record 3 (drill drill-3) is missing"),
    (back_date, {("back-dated", 6)}, "the storage has had it only since"),
    (post_date, {("post-dated", 6)}, "the storage has had it since"),
]  # fmt: skip
NAMES = [tamper.__name__ for tamper, _, _ in TAMPERING]


@pytest.mark.parametrize(("tamper", "faults", "words"), TAMPERING, ids=NAMES)
def test_what_was_done_to_a_chain_is_named_and_nothing_else(
    world: EvidenceWorld,
    tamper: Callable[[EvidenceWorld], None],
    faults: set[tuple[str, int | None]],
    words: str,
) -> None:
    assert world.verify().sound

    tamper(world)

    assert world.found() == faults
    assert words in sentences(world)
    assert world.found("far") == set()
    assert not world.verify().sound


@pytest.mark.integration
@pytest.mark.parametrize(
    ("tamper", "faults", "words"),
    [case for case in TAMPERING if case[0] in (change, reorder, move_from_another_repository, back_date)],
)
def test_in_a_bucket_it_is_named_as_well(
    remote: EvidenceWorld,
    tamper: Callable[[EvidenceWorld], None],
    faults: set[tuple[str, int | None]],
    words: str,
) -> None:
    assert remote.verify().sound

    tamper(remote)

    assert remote.found() == faults
    assert words in sentences(remote)
    remote.remove("local", remote.key(5))
    assert remote.found() >= {("missing", 5)}


def test_one_that_is_dated_before_the_one_it_follows_is_named_for_that_too(world: EvidenceWorld) -> None:
    back_date(world)

    assert "before the one that it follows" in sentences(world)


def test_a_chain_that_the_keys_holder_wrote_anew_is_betrayed_by_the_other_repository(
    world: EvidenceWorld,
) -> None:
    world.rewrite_from("local", 2)

    assert {kind for kind, _ in world.found()} == {"changed"}
    assert "record 2 is not the one that record 2 in far knows: the chain was written anew" in sentences(
        world
    )


def test_the_newest_gone_from_every_repository_are_missed_by_what_somebody_kept(
    world: EvidenceWorld, tmp_path: Path
) -> None:
    kept = tmp_path / "kept.json"
    kept.write_text(json.dumps(verification_document(world.verify(), at=now())))
    for name in ("local", "far"):
        world.remove(name, world.key(5))
    assert world.found() == set(), "nothing that is left knows of them"

    heads = read_kept_heads(kept, target="calibrify")

    assert world.found(kept=heads) == {("missing", 5)}
    assert world.found("far", kept=heads) == {("missing", 5)}


def test_a_repository_that_was_made_anew_is_missed_by_the_others(world: EvidenceWorld) -> None:
    was = world.makers["local"].catalog.repository_id()
    world.remove("local", "repository.json")
    for number in range(1, 6):
        world.remove("local", world.key(number))
    world.makers["local"].__post_init__()

    verdict = world.verify()

    assert not verdict.sound
    assert verdict.lost == (
        f"no repository of the target has the id {was}, of whose chain record 5 in far knows record 5",
    )


@pytest.mark.integration
def test_in_a_bucket_with_versions_what_was_written_over_shows_though_it_looks_well(
    versioned: EvidenceWorld,
) -> None:
    assert versioned.verify().sound
    storage, key = versioned.storages["local"], versioned.key(3)
    body = storage.read(key)
    storage.delete(key)
    storage.put_once(key, body)

    assert versioned.found() == {("overwritten", 3)}


@pytest.mark.integration
def test_in_a_bucket_with_versions_the_newest_that_was_taken_away_shows(versioned: EvidenceWorld) -> None:
    versioned.storages["local"].delete(versioned.key(5))

    assert ("overwritten", 5) in versioned.found()


def test_a_clock_that_is_a_little_behind_the_last_ones_makes_nothing_look_back_dated(
    world: EvidenceWorld,
) -> None:
    world.record("drill-6", at=now() - timedelta(minutes=1))

    assert world.verify().sound
