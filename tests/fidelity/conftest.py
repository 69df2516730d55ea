"""Clusters of their own for the corpus: its roles and databases must not show up in other tests' backups."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedded.postgres import EmbeddedPostgres, pip_postgres_bin
from tests.fidelity.corpus import create_roles

if TYPE_CHECKING:
    from collections.abc import Iterator

VERSIONS = [
    pytest.param("18", marks=pytest.mark.xdist_group("corpus-18")),
    # The newest and the oldest every time; what lies between when there is time.
    pytest.param("16", marks=[pytest.mark.long, pytest.mark.xdist_group("corpus-16")]),
    pytest.param("distribution", marks=[pytest.mark.system, pytest.mark.xdist_group("corpus-distribution")]),
]


# Their number and size is what is hard about them, whichever server made them.
LARGE = {"corpus_many_tables", "corpus_large_values"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Large databases come from the newest server every time, from the oldest when there is time."""
    for item in items:
        params = getattr(getattr(item, "callspec", None), "params", {})
        hard = getattr(params.get("hard"), "name", None)
        if params.get("corpus_cluster") == "distribution" and hard in LARGE:
            item.add_marker(pytest.mark.long)


@pytest.fixture(scope="module", params=VERSIONS)
def corpus_cluster(request: pytest.FixtureRequest, servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    """A cluster with the corpus' roles, once for each version."""
    wanted: str = request.param
    bin_dir = distribution_bin() if wanted == "distribution" else pip_postgres_bin(int(wanted))
    if bin_dir is None:
        pytest.skip("the distribution's PostgreSQL server is not installed (package postgresql)")
    with EmbeddedPostgres(
        # Modules that use the same version follow each other, each with a cluster of its own.
        servers_directory / f"corpus-{wanted}-{request.module.__name__.rpartition('.')[2]}",
        bin_dir=bin_dir,
        settings={"wal_level": "logical"},
        durable=False,
        die_with_parent=True,
    ) as server:
        create_roles(server.connection())
        yield server


@pytest.fixture
def folder() -> Iterator[Path]:
    """Short, because a scratch server's socket lies in it, and open for its user to pass."""
    directory = Path(tempfile.mkdtemp(prefix="bs-"))
    directory.chmod(0o711)
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def distribution_bin() -> Path | None:
    """The newest server that a package brought."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda path: int(path.parts[-3]))
    return found[-1].parent if found else None
