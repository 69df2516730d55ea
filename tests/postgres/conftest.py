"""PostgreSQL servers of every version at hand."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from embedded.postgres import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from backstop.postgres.connection import ClusterConnection

DISTRIBUTION = Path("/usr/lib/postgresql/15/bin")


@pytest.fixture(scope="session")
def postgres15(servers_directory: Path) -> Iterator[EmbeddedPostgres]:
    """The distribution's server, where there is one."""
    if not (DISTRIBUTION / "postgres").exists():
        pytest.skip("needs Debian's postgresql-15")
    with EmbeddedPostgres(
        servers_directory / "postgres15", bin_dir=DISTRIBUTION, durable=False, die_with_parent=True
    ) as server:
        yield server


@pytest.fixture(
    params=["postgres18", "postgres16", pytest.param("postgres15", marks=pytest.mark.system)], scope="session"
)
def server(request: pytest.FixtureRequest) -> EmbeddedPostgres:
    """Each version in turn."""
    found: EmbeddedPostgres = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def any_database(
    server: EmbeddedPostgres, new_database: Callable[[EmbeddedPostgres], ClusterConnection]
) -> ClusterConnection:
    """A fresh, empty database on each version in turn."""
    return new_database(server)


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder whose path is short and open to a server's user."""
    path = Path(tempfile.mkdtemp(prefix="backstop-"))
    path.chmod(0o711)
    yield path
    shutil.rmtree(path)
