"""Anything in a repository is damaged in any way: verify may complain as it likes, but never says matched."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from backstop.commands.proof.work import Policies, unverified
from backstop.errors import BackstopError
from backstop.model.backup import BackupLabel
from backstop.postgres import isolation
from backstop.repository.pins import readers
from tests.commands.test_dump import ROWS
from tests.long.damage import WAYS, copy_tree, edit_json
from tests.protection import protect, utc_now

if TYPE_CHECKING:
    import random
    from collections.abc import Callable
    from pathlib import Path

    from backstop.postgres.connection import ClusterConnection
    from tests.long.trials import Campaign
    from tests.protection import Protection

pytestmark = [pytest.mark.long, pytest.mark.integration, pytest.mark.timeout(3600)]

BLOBS = """
CREATE TABLE scans AS SELECT n, (SELECT string_agg(sha512(convert_to(n || '-' || m, 'UTF8')), '')
    FROM generate_series(1, 16) m) AS scan FROM generate_series(1, 2500) n;
SELECT lo_from_bytea(0, 'large'), setval('equipment_id_seq', 4711);
"""


class Repository:
    """Two backups, one proof each, in a directory that is copied for every trial."""

    def __init__(self, folder: Path, source: ClusterConnection) -> None:
        with source.connect() as session:
            session.execute("RESET search_path")
            session.execute((ROWS + BLOBS).encode())
        self.protection = protect(folder, source)
        self.labels = [self._back_up(source, ahead) for ahead in range(2)]
        self.pristine = folder / "pristine"
        (folder / "repository").rename(self.pristine)

    def _back_up(self, source: ClusterConnection, ahead: int) -> str:
        self.protection.clock = lambda: utc_now() + timedelta(minutes=ahead)
        with source.connect() as session:
            session.execute("INSERT INTO public.equipment (name) VALUES ('one more')")
        label = self.protection.back_up().label
        assert self.protection.prove(label).matched
        return label

    def lay_out(self) -> Path:
        place = self.protection.folder / "repository"
        shutil.rmtree(place, ignore_errors=True)
        copy_tree(self.pristine, place)
        return place

    def compare(self, place: Path, label: str) -> tuple[bool, bool]:
        """Whether what a restore of this backup depends on is damaged, and whether any of it was touched.

        A document that says the same in other bytes is touched and not damaged.
        """
        damaged = touched = False
        for key in self.essential(label):
            one, other = self.pristine / key, place / key
            if not same(one, other):
                touched = True
                damaged |= not says_the_same(one, other)
        return damaged, touched

    def essential(self, label: str) -> set[str]:
        manifest = f"{self.protection.target}/meta/manifests/{label}.json"
        objects = json.loads((self.pristine / manifest).read_bytes())["objects"]
        return {"repository.json", manifest, *(stored["key"] for stored in objects)}


def same(one: Path, other: Path) -> bool:
    if other.is_symlink() or not other.is_file():
        return False
    return one.samefile(other) or one.read_bytes() == other.read_bytes()


def says_the_same(one: Path, other: Path) -> bool:
    if one.suffix != ".json" or other.is_symlink() or not other.is_file():
        return False
    try:
        return bool(json.loads(one.read_bytes()) == json.loads(other.read_bytes()))
    except ValueError:
        return False


def do_harm(dice: random.Random, place: Path, essential: set[str]) -> str:
    """One to three wounds, mostly to what one backup depends on; returns what was done."""
    files = sorted(path for path in place.rglob("*") if path.is_file() and ".tmp" not in path.parts)
    wanted = [place / key for key in sorted(essential)]
    done = []
    for _ in range(dice.choice([1, 1, 1, 2, 3])):
        documents = [path for path in wanted if path.suffix == ".json"]
        victim = dice.choice(dice.choices([wanted, documents, files], weights=[7, 2, 1])[0])
        way = edit_json if victim.suffix == ".json" and dice.random() < 0.5 else dice.choice(WAYS)
        there = [path for path in files if path.is_file() and not path.is_symlink()]
        if victim in there:
            way(dice, victim, there)
            done.append(f"{way.__name__} {victim.relative_to(place)}")
    return "; ".join(done)


def test_whatever_happens_to_a_repository_no_damaged_backup_is_ever_called_matched(
    folder: Path,
    database: ClusterConnection,
    campaign: Callable[[str, int], Campaign],
    monkeypatch: pytest.MonkeyPatch,
):
    # Trying out how to isolate takes longer than most trials, and is always the same.
    found = isolation.choose_isolation("required")
    monkeypatch.setattr(isolation, "choose_isolation", lambda _policy: found)
    repository = Repository(folder, database)
    protection = repository.protection
    trials = campaign("damage", 700)
    for trial in trials:
        place = repository.lay_out()
        label = trial.random.choice(repository.labels)
        what = do_harm(trial.random, place, repository.essential(label))
        damaged, touched = repository.compare(place, label)

        verdict = judge(protection, label)

        where = f"{label}: {verdict} after {what} ({trials.repeat(trial.number)})"
        assert not (damaged and verdict == "matched"), where
        assert touched or verdict == "matched", where
        look_around(protection, label, database)
        trials.note(outcome=f"{'damaged' if damaged else 'harmed elsewhere'}: {verdict.split(':')[0]}")


def judge(protection: Protection, label: str) -> str:
    """What verify says. Anything but a proof or a BackstopError is a crash, and fails the test."""
    protection.clock = lambda: utc_now() + timedelta(hours=1)
    try:
        proof = protection.prove(label, settings=replace(protection.verify, jobs=1))
    except BackstopError as error:
        return named(error)
    return "matched" if proof.matched else f"differs: {proof.differences}"


def look_around(protection: Protection, label: str, server: ClusterConnection) -> None:
    """Reading what there is, and planning a restore of it, ends well or with a BackstopError."""
    repository = protection.repository("local")

    def every_proof() -> None:
        for published in repository.catalog.backups().backups:
            repository.catalog.proofs(published)

    for look in (
        every_proof,
        lambda: unverified(protection.repositories, Policies(dumps="each")),
        lambda: readers(repository.storage, protection.target, BackupLabel(label), now=protection.clock()),
        lambda: protection.restore(label, server=server, allow_superuser=True).plan(),
    ):
        try:
            look()
        except BackstopError as error:
            named(error)


def named(error: BackstopError) -> str:
    assert error.hint, f"no next step: {error}"
    return type(error).__name__
