"""Records find their place in a chain whoever else writes, and nothing is half there."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from backstop.crypto.signing import Signer
from backstop.errors import IntegrityError, ObjectConflictError, ObjectMissingError, StorageUnavailableError
from backstop.model.canonical import sha256_hex
from backstop.model.evidence import BEFORE_THE_FIRST, EvidenceKind
from backstop.storage.memory import MemoryStorage
from backstop.storage.posix import PosixStorage
from tests.evidencing import EvidenceWorld, now, page
from tests.protection import s3_corner

if TYPE_CHECKING:
    from pathlib import Path

    from backstop.model.evidence import EvidenceRecord
    from backstop.repository.evidence import EvidenceChain
    from backstop.storage.base import ObjectInfo, Storage


@pytest.fixture
def world(tmp_path: Path) -> EvidenceWorld:
    return EvidenceWorld(tmp_path, {"local": MemoryStorage()})


def append(world: EvidenceWorld, subject: str = "drill-1", **more: Any) -> EvidenceRecord:
    return world.chain("local").append(
        EvidenceKind.DRILL,
        subject,
        {"passed": True},
        **{"happened_at": now(), "now": now(), "signer": world.verifier, "render": page, **more},
    )


def test_each_record_names_the_bytes_of_the_one_before_and_its_own_report(world: EvidenceWorld) -> None:
    first, second = append(world), append(world, "drill-2")

    assert (first.number, first.previous_sha256) == (1, BEFORE_THE_FIRST)
    assert (second.number, second.previous_sha256) == (2, sha256_hex(world.body("local", 1)))
    assert world.chain("local").report(second) == page(second).encode()
    assert world.chain("local").read(2) == second
    assert world.chain("local").head() == second.head


@pytest.mark.parametrize("kind", ["memory", "posix", pytest.param("s3", marks=pytest.mark.integration)])
def test_many_who_write_at_once_each_get_a_number_of_their_own(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    storage: Storage = MemoryStorage()
    if kind == "posix":
        storage = PosixStorage(tmp_path / "local")
    elif kind == "s3":
        storage = s3_corner(request.getfixturevalue("seaweedfs"))
    world = EvidenceWorld(tmp_path, {"local": storage})

    with ThreadPoolExecutor(6) as pool:
        records = list(pool.map(lambda number: append(world, f"drill-{number}"), range(12)))

    assert sorted(record.number for record in records) == list(range(1, 13))
    assert {record.subject for record in world.chain("local").believed()} == {
        record.subject for record in records
    }
    assert world.verify().sound


def test_a_number_that_somebody_takes_in_between_makes_theirs_the_one_before(
    world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(world)
    storage = world.storages["local"]
    put_once, quicker = storage.put_once, []

    def slow(key: str, data: bytes) -> ObjectInfo:
        if key == world.key(2) and not quicker:
            quicker.append(True)
            append(world, "quicker")
        return put_once(key, data)

    monkeypatch.setattr(storage, "put_once", slow)

    record = append(world, "slower")

    assert (record.number, record.subject) == (3, "slower")
    assert [one.subject for one in world.chain("local").believed()] == ["drill-1", "quicker", "slower"]
    assert world.verify().sound, "the report that was drawn for number 2 is in nobody's way"


def test_a_crash_between_report_and_record_leaves_a_page_and_no_fault(
    world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = world.storages["local"]
    put_once = storage.put_once

    def dies(key: str, data: bytes) -> ObjectInfo:
        if key.endswith(".json"):
            raise StorageUnavailableError("gone")
        return put_once(key, data)

    with monkeypatch.context() as patch:
        patch.setattr(storage, "put_once", dies)
        with pytest.raises(StorageUnavailableError):
            append(world)
    assert len(world.chain("local").reports()) == 1

    record = append(world, "drill-2")

    assert record.number == 1
    assert world.verify().sound


def test_a_record_that_nobody_would_believe_is_not_written(world: EvidenceWorld) -> None:
    stranger = Signer.create(world.folder / "stranger.pem")

    for signer in (stranger, world.writer):
        with pytest.raises(IntegrityError):
            append(world, signer=signer)

    assert list(world.storages["local"].list("calibrify/meta/evidence/")) == []


def test_the_chain_goes_on_from_a_damaged_record_which_stays_named(world: EvidenceWorld) -> None:
    append(world)
    append(world, "drill-2")
    world.replace("local", 2, b"junk")

    record = append(world, "drill-3")

    assert record.previous_sha256 == sha256_hex(b"junk")
    assert world.found() == {("unreadable", 2)}


def test_what_lies_there_is_never_written_over(world: EvidenceWorld) -> None:
    record = append(world)

    with pytest.raises(ObjectConflictError):
        world.storages["local"].put_once(world.key(record.number), b"{}")


def test_a_report_that_was_changed_or_is_gone_is_not_shown(world: EvidenceWorld) -> None:
    chain: EvidenceChain = world.chain("local")
    record = append(world)
    key = f"calibrify/meta/evidence/{record.report_name}"
    world.remove("local", key)
    with pytest.raises(ObjectMissingError):
        chain.report(record)

    world.storages["local"].put_once(key, b"<p>all was well</p>")

    with pytest.raises(IntegrityError, match="not the one that was signed"):
        chain.report(record)
    with pytest.raises(ObjectMissingError, match="has no report"):
        chain.report(append(world, render=None))


def test_a_file_that_nobody_signed_uses_up_no_numbers_and_is_no_head(world: EvidenceWorld) -> None:
    first = append(world)
    last = world.key(99_999_999)
    world.storages["local"].put_once(last, b"{}")
    # Believable in its own place alone.
    world.storages["local"].put_once(world.key(99_999_998), world.body("local", 1))

    assert world.chain("local").head() == first.head
    second = append(world, "drill-2")

    assert (second.number, second.previous_sha256) == (2, first.sha256)
    (chain,) = world.verify().chains
    assert chain.head == second.head
    assert [(fault.kind.value, fault.number) for fault in chain.faults] == [
        ("missing", 3),
        ("duplicated", 99_999_998),
        ("unreadable", 99_999_999),
    ]


def test_what_is_larger_than_any_record_is_named_and_not_read(
    world: EvidenceWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    append(world)
    for key in (world.key(2), f"{world.key(2)[: -len('.json')]}-junk.html"):
        world.storages["local"].put_once(key, b"x" * 4000)
    monkeypatch.setattr("backstop.repository.evidence._MOST_BYTES", 3000)
    read = world.storages["local"].read
    monkeypatch.setattr(
        world.storages["local"],
        "read",
        lambda key, **more: read(key, **more) if "00000002" not in key else pytest.fail(f"{key} was read"),
    )

    assert world.verify().sentences() == ["local: record 2 cannot be read: it is larger than any record"]
