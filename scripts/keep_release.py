"""Keep a small repository that this release has written, for all later releases to read.

``python scripts/keep_release.py`` makes ``tests/upgrades/releases/<version>/`` with everything that a release
writes into a repository: dumps, base backups and WAL, a file tree, proofs, holds, evidence, a drill, a legacy
backup. It is run once, when a release is cut, and what it made never changes (CONTRIBUTING.md, "Releasing").
All keys in it are made for it and protect nothing.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    PublicFormat,
)

CHECKOUT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "plugins")]

from backstop import __version__  # noqa: E402
from backstop.repository.inventory import MIGRATIONS  # noqa: E402
from backstop.sql import load_sql  # noqa: E402
from embedded.accounts import postgres_account  # noqa: E402
from embedded.postgres import EmbeddedPostgres, pip_postgres_bin  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import Iterator

RELEASES = CHECKOUT / "tests" / "upgrades" / "releases"
TARGET = "calibrify"
FOLDER = "{folder}"
"""Stands in the kept targets.yaml for wherever the release is unpacked."""
KEPT = ("targets.yaml", "ring.json", "signing", "escrow.pem", "escrow.pub", "repository", "legacy")
ESCROW_PASSWORD = b"for tests alone"
QUERY = "SELECT count(*), sum(id), md5(string_agg(name, ',' ORDER BY id)) FROM equipment"
# A cluster of 7 MB instead of 30: nothing of this is missed by a small database.
SLIM = """
UPDATE pg_database SET datistemplate = false;
DROP DATABASE template0;
DROP DATABASE template1;
SET allow_system_table_mods = on;
DROP SCHEMA information_schema CASCADE;
DELETE FROM pg_description;
DELETE FROM pg_ts_config_map;
DELETE FROM pg_collation WHERE collname NOT IN ('default', 'C', 'POSIX', 'ucs_basic');
VACUUM FULL;
SELECT pg_switch_wal();
CHECKPOINT;
"""
README = """\
# What Backstop {version} wrote

`site.tar.xz` holds a repository, and the keys that open it, as this release left them; `expected.json` says
what has to come back. Made by `scripts/keep_release.py` and never changed since.

The keys were made for this test and protect nothing: they may be published. The password of `escrow.pem` is
`{password}`.
"""


class Site:
    """A server with a little data, protected by the release that this checkout is."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        settings = {"summarize_wal": "on", "max_slot_wal_keep_size": "2GB"}
        self.server = EmbeddedPostgres(
            folder / "pg", bin_dir=pip_postgres_bin(18), settings=settings, durable=False
        )
        self.media = folder / "media"
        self.expected: dict[str, Any] = {"version": __version__, "dumps": {}, "trees": {}, "bases": {}}

    # -- What is protected -----------------------------------------------------------------------------------

    def prepare(self) -> None:
        self.server.start()
        self.server.create_role("replicator", "LOGIN REPLICATION")
        self.sql(
            "CREATE TABLE equipment (id int PRIMARY KEY, name text, seen timestamptz, raw bytea);"
            "CREATE TABLE ledger (n int);"
            "CREATE SEQUENCE numbers START 7; SELECT nextval('numbers');"
            "CREATE VIEW names AS SELECT name FROM equipment;"
            "SELECT lo_from_bytea(4711, 'a large object')"
        )
        self.add_equipment(1, 500)
        for name, content in {
            "photos/scale 1.jpg": os.urandom(3000), "photos/ünïcode.txt": "größer".encode(), "empty": b"",
            "notes.txt": b"calibrated\n" * 400,
        }.items():  # fmt: skip
            path = self.media / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
            path.write_bytes(content)
        (self.media / "newest").symlink_to("notes.txt")
        os.link(self.media / "notes.txt", self.media / "hard link")
        with (self.media / "sparse").open("wb") as sparse:
            sparse.seek(1024 * 1024)
            sparse.write(b"behind a hole")
        legacy = self.folder / "legacy"
        legacy.mkdir(mode=0o700)
        dumped = subprocess.run(
            [self.server.bin_dir / "pg_dump", "--dbname", self.dsn(), "--table", "equipment"],
            env={"PATH": os.environ["PATH"], "PGPASSWORD": self.server.password("postgres")},
            capture_output=True, check=True,
        ).stdout  # fmt: skip
        (legacy / "full_20231201_010000.sql.gz").write_bytes(gzip.compress(dumped))
        self.make_escrow_key()
        self.write_targets()
        self.run("init-keys")

    def make_escrow_key(self) -> None:
        key = rsa.generate_private_key(public_exponent=65537, key_size=4096)
        private = key.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(ESCROW_PASSWORD)
        )
        (self.folder / "escrow.pem").write_bytes(private)
        (self.folder / "escrow.pem").chmod(0o600)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (self.folder / "escrow.pub").write_bytes(public)

    def write_targets(self) -> None:
        account = postgres_account(self.server.directory, self.server.bin_dir)
        document = {
            "version": 1,
            "keys": {
                "lab": {
                    "storage": "local", "path": f"{FOLDER}/ring.json", "signing": f"{FOLDER}/signing",
                    "escrow": {"public_key": f"{FOLDER}/escrow.pub"},
                }
            },
            "repositories": {"near": {"type": "posix", "path": f"{FOLDER}/repository"}},
            "targets": {
                TARGET: {
                    "keys": "lab",
                    "database": {
                        "conn_id": "reader", "dbname": "postgres", "repositories": ["near"],
                        "spool": f"{FOLDER}/spool",
                        "verify": {
                            "isolation": "preferred",
                            "queries": [{"sql": "SELECT count(*) > 0 FROM equipment", "expect": True}],
                        },
                    },
                    "cluster": {
                        "conn_id": "replicator",
                        "recovery": {
                            "directory": f"{FOLDER}/recovered",
                            **({"run_as": account.name} if account.uid is not None else {}),
                            "queries": [{"sql": "SELECT count(*) > 0 FROM ledger", "expect": True}],
                        },
                    },
                    "trees": {"media": {"paths": [f"{FOLDER}/media"], "verify": {"share": 1.0}}},
                    "drill": {
                        "directory": f"{FOLDER}/drills",
                        "probes": [{"name": "rows", "sql": "SELECT count(*) FROM equipment", "expect": 600}],
                    },
                    "legacy": {"database": {"places": {"near": f"{FOLDER}/legacy"}}},
                }
            },
        }  # fmt: skip
        text = yaml.safe_dump(document, sort_keys=False)
        (self.folder / "targets.kept").write_text(text)
        (self.folder / "targets.yaml").write_text(text.replace(FOLDER, str(self.folder)))
        (self.folder / "recovered").mkdir(mode=0o755)
        (self.folder / "recovered").chmod(0o755)
        credentials = self.folder / "connections.json"
        credentials.touch(mode=0o600)
        ways = {"reader": "postgres", "replicator": "replicator"}
        credentials.write_text(json.dumps({name: self.credential(role) for name, role in ways.items()}))

    def credential(self, role: str) -> dict[str, Any]:
        way = self.server.connection(user=role)
        return {
            "conn_type": "postgres", "host": way.host, "port": way.port, "login": role,
            "password": way.password,
        }  # fmt: skip

    def dsn(self) -> str:
        way = self.server.connection()
        return f"host={way.host} port={way.port} user={way.user} dbname=postgres"

    def sql(self, text: str) -> Any:
        with self.server.connect() as session:
            session.execute("SET search_path TO public, pg_catalog")
            for statement in (one for one in text.split(";") if one.strip()):
                found = session.execute(statement.encode())
            return found.fetchall() if found.description else None

    def add_equipment(self, first: int, last: int) -> None:
        with self.server.connect() as session:
            session.execute(
                "INSERT INTO public.equipment SELECT n, 'scale ' || n, '2026-11-23 01:00Z', "
                "sha256(n::text::bytea) FROM generate_series(%s::int, %s::int) n",
                (first, last),
            )

    # -- What is done ----------------------------------------------------------------------------------------

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            "PYTHONPATH": str(CHECKOUT / "plugins"),
            "BACKSTOP_TARGETS": str(self.folder / "targets.yaml"),
            "BACKSTOP_CREDENTIALS": str(self.folder / "connections.json"),
        }

    def run(self, *argv: str) -> Any:
        done = subprocess.run(
            [sys.executable, "-m", "backstop", *argv, "--json"],
            env=self.environment(), cwd="/", capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode != 0:
            raise SystemExit(f"{' '.join(argv)} ended with {done.returncode}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def dump(self) -> str:
        label: str = self.run("back-up-database")["label"]
        self.expected["dumps"][label] = [str(one) for one in self.sql(QUERY)[0]]
        return label

    def tree(self) -> str:
        label: str = self.run("back-up-files", "--tree", "media")["label"]
        files = sorted(one for one in self.media.rglob("*") if one.is_file())
        self.expected["trees"][label] = {
            str(one.relative_to(self.media)): hashlib.sha256(one.read_bytes()).hexdigest() for one in files
        }
        return label

    def base(self, kind: str) -> str:
        self.sql("INSERT INTO ledger VALUES (1)")
        label: str = self.run("take-base-backup", f"--{kind}")["label"]
        (self.expected["bases"][label],) = self.sql("SELECT count(*) FROM ledger")[0]
        return label

    @contextlib.contextmanager
    def archiving(self) -> Iterator[None]:
        with (self.folder / "archive-wal.log").open("ab") as log:
            service = subprocess.Popen(
                [sys.executable, "-m", "backstop", "archive-wal"],
                env=self.environment(),
                cwd="/",
                stderr=log,
                stdout=log,
            )
            try:
                yield
                self.wait_until_archived()
            finally:
                service.terminate()
                service.wait(60)

    def wait_until_archived(self) -> None:
        deadline = time.monotonic() + 60
        query = (
            "SELECT coalesce(bool_or(flush_lsn >= pg_current_wal_flush_lsn()), false) "
            "FROM pg_stat_replication WHERE application_name = 'backstop_wal'"
        )
        while not self.sql(query)[0][0]:
            if time.monotonic() > deadline:
                raise SystemExit((self.folder / "archive-wal.log").read_text())
            time.sleep(0.2)

    def live(self) -> None:
        """A few days of a release's life, in a minute."""
        first = self.dump()
        self.run("init-keys", "--new-generation")
        self.add_equipment(501, 600)
        second = self.dump()
        self.tree()
        (self.media / "photos" / "added.txt").write_text("later")
        self.tree()
        # pg_dump reads information_schema nowhere, and a whole cluster is 30 MB: only now.
        self.sql(SLIM)
        with self.archiving():
            self.base("full")
            self.base("incremental")
            self.sql(
                "INSERT INTO ledger SELECT generate_series(3, 100); SELECT pg_create_restore_point('kept')"
            )
            self.sql("INSERT INTO ledger VALUES (101)")
        (self.expected["ledger_at_the_end"],) = self.sql("SELECT count(*) FROM ledger")[0]
        self.run("verify")
        self.run("verify-legacy")
        drill = self.run("run-drill", "--scenario", "database", "--who", "ada")["drill"]
        self.expected["drill"] = drill["drill_id"]
        self.run("sign-off-drill", "--drill", drill["drill_id"], "--accepted", "--who", "grace")
        self.run("hold", "--label", first, "--reason", "the first of this release", "--who", "ada")
        self.run("hold", "--label", second, "--reason", "held, and let go", "--who", "ada")
        self.run("release-hold", "--label", second, "--number", "1", "--who", "grace")
        self.expected["held"] = first
        self.expected["evidence"] = len(self.run("evidence", "list")["records"])
        self.expected["migrations"] = {
            name: hashlib.sha256(load_sql(f"inventory/migrations/{name}").encode()).hexdigest()
            for name in MIGRATIONS
        }

    def keep(self, into: Path) -> None:
        """Write what was made, without accounts of this machine. Times stay: evidence is judged by them."""
        shutil.move(self.folder / "targets.kept", self.folder / "targets.yaml")

        def plain(member: tarfile.TarInfo) -> tarfile.TarInfo:
            member.uid = member.gid = 0
            member.uname = member.gname = ""
            return member

        into.mkdir(mode=0o755, parents=True)
        with tarfile.open(into / "site.tar.xz", "w:xz", format=tarfile.PAX_FORMAT) as archive:
            for name in KEPT:
                archive.add(self.folder / name, arcname=name, filter=plain)
        (into / "expected.json").write_text(json.dumps(self.expected, indent=1, ensure_ascii=False) + "\n")
        (into / "README.md").write_text(README.format(version=__version__, password=ESCROW_PASSWORD.decode()))


def main() -> None:
    into = RELEASES / __version__
    if into.exists():
        raise SystemExit(f"{into} is there: what a release wrote never changes; raise __version__ first")
    folder = Path(tempfile.mkdtemp(prefix="backstop-release-"))
    folder.chmod(0o755)
    site = Site(folder)
    try:
        site.prepare()
        site.live()
        site.keep(into)
    finally:
        site.server.stop()
        shutil.rmtree(folder)
    print(f"{into}: {sum(one.stat().st_size for one in into.iterdir()) // 1024} KiB")


if __name__ == "__main__":
    main()
