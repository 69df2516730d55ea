"""The sample database, with the rights that Backstop's own roles have: nobody here is a superuser."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from embedded.databases import grant_backup_role, prepare_protected
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from embedded.sample import load
from tests.fidelity.differ import Image, capture, differences
from tests.protection import protect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module", params=[18, pytest.param(16, marks=pytest.mark.long)])
def protected(request: pytest.FixtureRequest, servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A cluster as `make up` prepares it, with sample data."""
    with EmbeddedPostgres(
        servers_directory / f"sample-{request.param}",
        bin_dir=pip_postgres_bin(request.param),
        durable=False,
        die_with_parent=True,
    ) as server:
        prepare_protected(server)
        load(server.connection(), scale=0.05)
        grant_backup_role(server)
        yield server


def test_the_sample_comes_back_beside_the_live_one_and_proves_itself(protected, folder):
    protection = protect(folder, protected.connection("calibrify", "calibrify_backup"))
    label = protection.back_up().label
    expected = image(protected, "calibrify")

    proof = protection.prove(label)
    restore = protection.restore(label, server=protected.connection("postgres", "calibrify_restore"))
    plan = restore.plan()
    restore.restore_beside(plan)
    restore.validate(plan)

    assert proof.differences == ()
    assert differences(expected, image(protected, plan.beside)) == []
    assert image(protected, "calibrify") == expected


def image(server: EmbeddedPostgres, dbname: str) -> Image:
    """Without whether anybody may connect: a copy stays closed until it is swapped in."""
    taken = capture(server.connection(dbname), pg_dump=server.bin_dir / "pg_dump")
    return replace(
        taken, database={name: value for name, value in taken.database.items() if name != "datallowconn"}
    )
