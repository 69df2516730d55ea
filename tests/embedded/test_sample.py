"""The sample data: the same everywhere, loaded once, and its trees fit the database."""

from __future__ import annotations

import hashlib
import stat
from contextlib import ExitStack
from typing import TYPE_CHECKING

import pytest
from psycopg import sql

from backstop.errors import ConfigurationError
from embedded.sample import load, loaded, write_config, write_media
from embedded.sample.__main__ import main
from tests.fidelity.differ import capture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from embedded.postgres import EmbeddedPostgres

ROLES = ("calibrify_app", "calibrify_auditor", "calibrify_readonly", "calibrify_owner")


@pytest.fixture
def clean_up() -> Iterator[Callable[[EmbeddedPostgres, str], str]]:
    """Registers a sample database that the test makes, and drops it and the roles afterwards."""
    with ExitStack() as stack:

        def register(server: EmbeddedPostgres, dbname: str) -> str:
            stack.callback(_drop, server, dbname)
            return dbname

        yield register


def _drop(server: EmbeddedPostgres, dbname: str) -> None:
    with server.connect() as session:
        session.execute(sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(dbname)))
        others = session.execute("SELECT 1 FROM pg_database WHERE datname LIKE 'sample_%'").fetchone()
        if not others:
            session.execute("DROP ROLE IF EXISTS " + ", ".join(ROLES))  # type: ignore[arg-type]


@pytest.mark.integration
def test_equal_seed_and_scale_give_equal_content_on_every_run_and_version(postgres18, postgres16, clean_up):
    images = []
    for server, dbname in ((postgres18, "sample_a"), (postgres18, "sample_b"), (postgres16, "sample_a")):
        load(server.connection(), scale=0.02, dbname=clean_up(server, dbname))
        images.append(capture(server.connection(dbname), pg_dump=server.bin_dir / "pg_dump"))

    first, again, older = images
    assert first.rows["public.measurements_2026_02"][0] > 100
    assert len(first.large_objects) == 1
    for image in (again, older):
        assert image.rows == first.rows
        assert image.sequences == first.sequences
        assert image.large_objects == first.large_objects
    assert again.schema == first.schema
    assert again.database == first.database


@pytest.mark.integration
def test_another_seed_gives_other_content(postgres18, clean_up):
    images = []
    for seed in (1, 2):
        dbname = clean_up(postgres18, f"sample_{seed}")
        load(postgres18.connection(), scale=0.001, seed=seed, dbname=dbname)
        images.append(capture(postgres18.connection(dbname), pg_dump=postgres18.bin_dir / "pg_dump"))

    assert images[0].rows["public.equipment"] != images[1].rows["public.equipment"]


@pytest.mark.integration
def test_the_size_follows_the_scale(postgres18, clean_up):
    small = load(postgres18.connection(), scale=0.001, dbname=clean_up(postgres18, "sample_small"))
    larger = load(postgres18.connection(), scale=0.1, dbname=clean_up(postgres18, "sample_larger"))

    assert 8_000_000 < larger.size_bytes - small.size_bytes < 12_000_000


@pytest.mark.integration
def test_a_second_load_is_refused_and_says_what_is_there(postgres18, clean_up):
    dbname = clean_up(postgres18, "sample_twice")
    load(postgres18.connection(), scale=0.001, seed=7, dbname=dbname)

    with pytest.raises(ConfigurationError, match=r"sample_twice already holds .*\(scale 0.001, seed 7\)"):
        load(postgres18.connection(), scale=0.001, dbname=dbname)
    found = loaded(postgres18.connection(), dbname=dbname)
    assert found is not None
    assert (found.scale, found.seed) == (0.001, 7)


@pytest.mark.integration
def test_a_database_with_other_tables_is_refused_and_stays_as_it_is(postgres18, clean_up):
    dbname = clean_up(postgres18, "sample_stranger")
    load(postgres18.connection(), scale=0.001, dbname=clean_up(postgres18, "sample_for_the_roles"))
    postgres18.create_database(dbname)
    with postgres18.connect(dbname) as session:
        session.execute("CREATE TABLE theirs (a integer)")

    with pytest.raises(ConfigurationError, match=r"public\.theirs, which is not the sample's"):
        load(postgres18.connection(), scale=0.001, dbname=dbname)
    with postgres18.connect(dbname) as session:
        assert session.execute("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'").fetchone() == (
            1,
        )


@pytest.mark.integration
def test_an_interrupted_load_is_completed_by_the_next(postgres18, clean_up):
    dbname = clean_up(postgres18, "sample_interrupted")

    def interrupt(step: str) -> None:
        if step == "constraints":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load(postgres18.connection(), scale=0.001, dbname=dbname, progress=interrupt)
    assert loaded(postgres18.connection(), dbname=dbname) is None
    load(postgres18.connection(), scale=0.001, dbname=dbname)

    assert loaded(postgres18.connection(), dbname=dbname) is not None


@pytest.mark.integration
def test_the_application_logs_in_with_the_given_password_and_may_work(postgres18, clean_up):
    import psycopg

    dbname = clean_up(postgres18, "sample_login")
    load(postgres18.connection(), scale=0.001, dbname=dbname, app_password="correct horse")

    with psycopg.connect(
        host=postgres18.host,
        port=postgres18.port,
        user="calibrify_app",
        password="correct horse",
        dbname=dbname,
        autocommit=True,
    ) as session:
        session.execute("UPDATE calibrations SET result = 'fail', remarks = 'looked at again' WHERE id = 1")
        assert session.execute("SELECT count(*) > 0 FROM equipment").fetchone() == (True,)
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            session.execute("UPDATE users SET role = 'admin'")
    with postgres18.connect(dbname) as session:
        assert session.execute(
            "SELECT count(*) FROM audit.events WHERE actor = 'calibrify_app'"
        ).fetchone() == (1,)


@pytest.mark.integration
def test_the_media_tree_holds_exactly_the_photos_the_database_names(postgres18, clean_up, tmp_path):
    dbname = clean_up(postgres18, "sample_photos")
    load(postgres18.connection(), scale=0.02, dbname=dbname)
    write_media(tmp_path, scale=0.02)

    with postgres18.connect(dbname) as session:
        named = {
            row[0] for row in session.execute("SELECT photo_path FROM equipment WHERE photo_path IS NOT NULL")
        }
    written = {path.relative_to(tmp_path).as_posix() for path in tmp_path.glob("equipment/**/*.jpg")}
    assert named == written
    assert len(named) == 6


@pytest.mark.integration
def test_the_command_reads_the_connection_from_a_file_and_reports_a_second_load(
    postgres18, clean_up, tmp_path, capsys
):
    server = postgres18
    dbname = clean_up(server, "sample_command")
    dsn = tmp_path / "dsn"
    password = server.password("postgres")
    dsn.write_text(f"postgresql://postgres:{password}@{server.host}:{server.port}/postgres\n")
    arguments = ["--dsn-from", str(dsn), "--scale", "0.001", "--dbname", dbname]

    assert main(arguments) == 0
    assert main(arguments) == ConfigurationError.exit_code
    assert "already holds the sample data" in capsys.readouterr().err


def test_the_trees_are_the_same_on_every_run(tmp_path):
    for name in ("one", "two"):
        write_media(tmp_path / name / "media")
        write_config(tmp_path / name / "config")

    assert _listing(tmp_path / "one") == _listing(tmp_path / "two")
    secrets = tmp_path / "one/config/opt/calibrify/config/secrets.env"
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600


@pytest.mark.parametrize("scale", [0, -1, float("inf"), float("nan")])
def test_a_scale_that_is_no_positive_number_is_refused(tmp_path, scale):
    with pytest.raises(ConfigurationError, match="not a positive number"):
        write_media(tmp_path, scale=scale)


def _listing(directory: Path) -> list[tuple[str, int, int, str]]:
    return [
        (
            path.relative_to(directory).as_posix(),
            path.stat().st_mode,
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(directory.rglob("*"))
        if path.is_file()
    ]
