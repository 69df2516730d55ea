"""docker-compose.yaml and what it mounts, as far as they can be judged without an engine."""

from __future__ import annotations

import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import pytest
import yaml

from embedded.home import CHECKOUT

if TYPE_CHECKING:
    from pathlib import Path

COMPOSE = yaml.safe_load((CHECKOUT / "docker-compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
ONE_SHOT = {"volume-owner", "bucket", "airflow-init", "sample"}
AIRFLOW = ("airflow-init", "api-server", "scheduler", "dag-processor", "triggerer")
WORKERS = ("worker", "worker-database")
LOCAL = yaml.safe_load((CHECKOUT / "include/compose/local-executor.yaml").read_text())["services"]
OWN_S3 = yaml.safe_load((CHECKOUT / "include/compose/own-s3.yaml").read_text())["services"]


class Site:
    """A copy of what make_secrets.py reads and writes."""

    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "include").mkdir(mode=0o700)
        shutil.copytree(CHECKOUT / "include/compose", root / "include/compose")

    def make(self, **environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["python3", str(self.root / "include/compose/make_secrets.py")],
            env={"PATH": os.environ["PATH"], **environment},
            capture_output=True,
            text=True,
            check=False,
        )

    @property
    def secrets(self) -> Path:
        return self.root / "secrets"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    made = Site(tmp_path)
    assert made.make().returncode == 0
    return made


def names_of_secrets(service: dict[str, Any]) -> set[str]:
    return {one if isinstance(one, str) else one["source"] for one in service.get("secrets", [])}


def mounts(service: dict[str, Any]) -> dict[str, str]:
    """What is mounted where; a default within braces has a colon too."""
    found = {}
    for volume in service.get("volumes", []):
        source, _, target = volume.removesuffix(":ro").removesuffix(":nocopy").rpartition(":")
        found[target] = source
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned(name: str) -> None:
    _, _, tag = SERVICES[name]["image"].partition(":")

    assert tag not in ("", "latest")


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_a_health_check_or_ends_by_itself(name: str) -> None:
    service = SERVICES[name]

    if name in ONE_SHOT:
        assert service["restart"] == "no"
    else:
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
        assert service["healthcheck"]["start_period"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_limits(name: str) -> None:
    assert {"mem_limit", "cpus", "pids_limit"} <= SERVICES[name].keys()
    assert SERVICES[name]["logging"]["options"]["max-size"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_has_no_rights_that_it_does_not_need(name: str) -> None:
    service = SERVICES[name]

    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "no-new-privileges:true" in service["security_opt"]
    assert not {"privileged", "pid", "ipc", "devices", "cgroup_parent"} & service.keys()
    assert not any("docker.sock" in volume for volume in service.get("volumes", []))
    if name == "volume-owner":
        # Volumes are made by the engine as root's: this one gives them away, has nothing else, and ends.
        assert service["cap_add"] == ["CHOWN"]
        assert service["network_mode"] == "none"
    else:
        assert "cap_add" not in service
        assert service["user"] == "${BACKSTOP_UID:-1000}:0"


def test_only_those_that_restore_into_scratch_may_make_namespaces() -> None:
    loosened = {name for name, one in {**SERVICES, "local": LOCAL["scheduler"]}.items()
                if any("seccomp" in option for option in one["security_opt"])}  # fmt: skip
    profile = json.loads((CHECKOUT / "include/compose/seccomp.json").read_text())
    (denied,) = profile["syscalls"]

    assert loosened == {*WORKERS, "local"}
    for options in (
        *(SERVICES[name]["security_opt"] for name in WORKERS),
        LOCAL["scheduler"]["security_opt"],
    ):
        assert "seccomp:./include/compose/seccomp.json" in options
    assert {"bpf", "kexec_load", "init_module", "ptrace", "keyctl", "open_by_handle_at"} <= {*denied["names"]}
    assert denied["action"] == "SCMP_ACT_ERRNO"


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_no_environment_and_no_command_holds_a_secret(site: Site) -> None:
    said = json.dumps(
        [
            [service.get(part) for part in ("environment", "command", "healthcheck")]
            for service in (*SERVICES.values(), *LOCAL.values())
        ]
    )

    for path in site.secrets.iterdir():
        if path.is_file() and path.name != "passwd":
            assert path.read_text().strip() not in said
    assert "PASSWORD:" not in said.replace("_FILE", "")
    assert "env_file" not in (CHECKOUT / "docker-compose.yaml").read_text()


def test_every_secret_is_made_and_closed_to_others(site: Site) -> None:
    for secret in COMPOSE["secrets"].values():
        assert (site.root / secret["file"]).is_file()
    assert all(path.stat().st_mode & 0o077 == 0 for path in (site.secrets, *site.secrets.iterdir()))


def test_what_is_made_once_stays(site: Site) -> None:
    before = {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()}

    assert site.make().returncode == 0

    assert {path: path.read_bytes() for path in site.root.rglob("*") if path.is_file()} == before


def test_what_an_interrupted_run_left_is_never_taken_for_a_secret(site: Site) -> None:
    (site.secrets / "redis").write_text("")

    done = site.make()

    assert done.returncode != 0
    assert "secrets/redis is empty" in done.stderr
    assert not [*site.secrets.glob("*.new"), *site.secrets.glob(".*.new")]


def test_a_secret_that_was_lost_is_made_anew_and_named(site: Site) -> None:
    (site.secrets / "user_viewer").unlink()

    done = site.make()

    assert done.returncode == 0
    assert "missing: user_viewer." in done.stderr
    assert site.make().stderr == ""


def test_secrets_of_another_user_than_the_services_are_refused(site: Site) -> None:
    env = site.root / ".env"
    env.write_text(env.read_text().replace("BACKSTOP_UID=", "BACKSTOP_UID=9"))
    before = {path: path.stat().st_uid for path in site.secrets.iterdir()}

    done = site.make()

    assert done.returncode != 0
    assert "BACKSTOP_UID is 9" in done.stderr
    assert {path: path.stat().st_uid for path in site.secrets.iterdir()} == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give files away")
def test_root_after_somebody_else_leaves_the_files_to_whom_they_belong(site: Site) -> None:
    env = site.root / ".env"
    env.write_text(env.read_text().replace("BACKSTOP_UID=50000", "BACKSTOP_UID=1234"))
    for path in (site.secrets, *site.secrets.rglob("*")):
        os.chown(path, 1234, -1)
    (site.secrets / "jwt_secret").unlink()

    assert site.make().returncode == 0

    assert {path.stat().st_uid for path in (site.secrets, *site.secrets.rglob("*"))} == {1234}


def test_a_password_of_ones_own_may_have_any_characters(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.secrets.mkdir(mode=0o700)
    (site.secrets / "metadata").write_text("p@ss/w:o#rd%\n")
    if os.getuid() == 0:
        os.chown(site.secrets, 50000, -1)

    assert site.make().returncode == 0

    address = urlsplit((site.secrets / "sql_alchemy_conn").read_text())
    assert (unquote(address.password or ""), address.hostname) == ("p@ss/w:o#rd%", "metadata")


def test_secrets_for_another_s3_are_not_made_by_asking_again(site: Site, tmp_path: Path) -> None:
    asked = {"BACKSTOP_S3_BUCKET": "ours", "AWS_ACCESS_KEY_ID": "A", "AWS_SECRET_ACCESS_KEY": "B"}

    assert "was made with SeaweedFS" in site.make(**asked).stderr
    (tmp_path / "own").mkdir(mode=0o700)
    own = Site(tmp_path / "own")
    assert own.make(**asked).returncode == 0
    assert own.make().returncode == 0
    assert not (own.secrets / "s3_identities").exists()
    (own.secrets / "connections.json").unlink()
    assert "your own S3 is nowhere else" in own.make().stderr


def test_a_service_has_the_secrets_that_it_asks_for_and_no_other() -> None:
    given = {name: names_of_secrets(service) for name, service in SERVICES.items()}
    declared = set(COMPOSE["secrets"])

    assert set().union(*given.values()) == declared
    # Workers run what dumps contain beside them: they cannot open Airflow's database or sign its tokens.
    for worker in WORKERS:
        assert given[worker] == {"broker_url", "result_backend", "connections"}
    # Nobody but workers gets at what is protected, or at the bucket, through Airflow's own services.
    for name in AIRFLOW[1:]:
        assert "connections" not in given[name]
    assert given["wal-receiver"] == {"connections_wal"}
    assert given["prometheus"] == {"metrics_token"}
    # Whoever may say who does what in the bucket is nobody who stays.
    assert {name for name, secrets in given.items() if "s3_identities" in secrets} == {"seaweedfs", "bucket"}


def test_connections_are_split_by_who_needs_them(site: Site) -> None:
    def known(name: str) -> set[str]:
        return set(json.loads((site.secrets / f"{name}.json").read_text()))

    assert known("connections_pages") == {"backstop_inventory"}
    assert known("connections_wal") == {"calibrify_replication", "s3_writer"}


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str, site: Site) -> None:
    for source in mounts(SERVICES[name]).values():
        path = source.partition(":-")[2].rstrip("}") or source
        if path.startswith("./secrets"):
            assert (site.root / path).exists()
        elif path.startswith("."):
            assert (CHECKOUT / path).exists()
        else:
            assert path in COMPOSE["volumes"]


def test_every_volume_is_given_to_whoever_the_services_run_as() -> None:
    owned = set(mounts(SERVICES["volume-owner"]).values())

    assert owned == set(COMPOSE["volumes"])


def test_the_hosts_worker_has_the_servers_data_directory_at_the_same_place() -> None:
    for host in (SERVICES["worker-database"], LOCAL["scheduler"]):
        assert mounts(host)["/var/lib/postgresql/data"] == "protected-data"
    assert mounts(SERVICES["protected"])["/var/lib/postgresql/data"] == "protected-data"
    target = yaml.safe_load((CHECKOUT / "include/compose/targets.yaml").read_text())["targets"]["calibrify"]
    assert f"--queues={target['queue']}" in SERVICES["worker-database"]["command"]
    live = target["cluster"]["recovery"]["cutover"]["data_directory"]
    assert live == SERVICES["protected"]["environment"]["PGDATA"]


def test_the_local_executor_starts_neither_redis_nor_workers() -> None:
    for name in ("redis", *WORKERS):
        assert LOCAL[name]["profiles"]
    for name in AIRFLOW:
        assert LOCAL[name]["environment"]["AIRFLOW__CORE__EXECUTOR"] == "LocalExecutor"
    # Nobody else waits for what does not come.
    left = {name: one for name, one in SERVICES.items() if name not in LOCAL or name in AIRFLOW}
    for service in left.values():
        depends = service.get("depends_on", {})
        for name in ("redis", *WORKERS):
            assert depends.get(name, {"required": False})["required"] is False
    # What workers have, the scheduler has then.
    has = {**mounts(SERVICES["scheduler"]), **mounts(LOCAL["scheduler"])}
    assert has.keys() == mounts(SERVICES["worker-database"]).keys()


def test_nothing_waits_for_seaweedfs_where_s3_is_elsewhere() -> None:
    for absent in ("seaweedfs", "s3", "bucket"):
        assert OWN_S3[absent]["profiles"]
        for name, service in (*SERVICES.items(), *LOCAL.items()):
            waits = service.get("depends_on", {}).get(absent, {"required": False})
            assert waits.get("required", True) is False or name in OWN_S3


@pytest.mark.system
@pytest.mark.parametrize(
    ("options", "absent"),
    [
        ([], {"sample", "prometheus"}),
        (["local-executor"], {"redis", "worker", "worker-database", "sample", "prometheus"}),
        (["own-s3"], {"seaweedfs", "s3", "bucket", "sample", "prometheus"}),
        (
            ["local-executor", "own-s3"],
            {"redis", "worker", "worker-database", "seaweedfs", "s3", "bucket", "sample", "prometheus"},
        ),
    ],
    ids=lambda value: "+".join(value) or "plain" if isinstance(value, list) else "",
)
def test_compose_itself_understands_every_option(options: list[str], absent: set[str]) -> None:
    if shutil.which("docker") is None:
        pytest.skip("docker is not installed")
    files = ["docker-compose.yaml", *(f"include/compose/{name}.yaml" for name in options)]
    done = subprocess.run(
        ["docker", "compose", *(part for name in files for part in ("--file", name)), "config", "--services"],
        cwd=CHECKOUT,
        capture_output=True,
        text=True,
        check=False,
    )
    if "is not a docker command" in done.stderr:
        pytest.skip("docker has no plug-in compose")

    assert done.returncode == 0, done.stderr
    assert set(done.stdout.split()) == SERVICES.keys() - absent


def test_its_targets_are_valid_and_every_connection_they_name_is_made(site: Site) -> None:
    from backstop.credentials import FileCredentials
    from backstop.model.access import AccessRole
    from backstop.targets import load_targets

    targets = load_targets(CHECKOUT / "include/compose/targets.yaml")
    credentials = FileCredentials(site.secrets / "connections.json")

    target, repository = targets.targets["calibrify"], targets.repositories["s3"]
    assert target.cluster is not None
    assert repository.type == "s3"
    for conn_id in (
        target.database.conn_id,
        target.database.restore_conn_id,
        target.cluster.conn_id,
        *(repository.connections.of(role) for role in AccessRole),
        "backstop_inventory",
    ):
        assert conn_id is not None
        assert credentials.get(conn_id).password


def test_roles_that_targets_name_are_made() -> None:
    access = yaml.safe_load((CHECKOUT / "include/compose/targets.yaml").read_text())["targets"]["calibrify"][
        "access"
    ]
    source = (CHECKOUT / "include/compose/make_users.py").read_text()

    for roles in access.values():
        assert roles
        assert all(f'"{role}":' in source for role in roles)


def test_an_s3_of_ones_own_comes_from_the_environment(tmp_path: Path) -> None:
    from backstop.credentials import FileCredentials
    from backstop.model.access import AccessRole
    from backstop.targets import load_targets

    site = Site(tmp_path)
    done = site.make(
        BACKSTOP_S3_BUCKET="ours",
        BACKSTOP_S3_REGION="eu-central-1",
        AWS_ACCESS_KEY_ID="AKIAEXAMPLE",
        AWS_SECRET_ACCESS_KEY="not-a-secret",
    )

    assert done.returncode == 0
    repository: Any = load_targets(site.secrets / "targets.yaml").repositories["s3"]
    assert (repository.bucket, repository.region, repository.endpoint_url) == ("ours", "eu-central-1", None)
    credentials = FileCredentials(site.secrets / "connections.json")
    for role in AccessRole:
        credential = credentials.get(repository.connections.of(role))
        assert (credential.login, credential.password) == ("AKIAEXAMPLE", "not-a-secret")
    settings = dict(
        line.split("=", 1) for line in (tmp_path / ".env").read_text().splitlines() if line[0] != "#"
    )
    assert settings["COMPOSE_FILE"].endswith(":include/compose/own-s3.yaml")
    assert settings["BACKSTOP_TARGETS_FILE"] == "./secrets/targets.yaml"
    assert not (site.secrets / "s3_identities").exists()


def test_a_bucket_without_credentials_is_refused(tmp_path: Path) -> None:
    done = Site(tmp_path).make(BACKSTOP_S3_BUCKET="ours")

    assert done.returncode != 0
    assert "AWS_ACCESS_KEY_ID" in done.stderr
    assert not (tmp_path / "secrets/connections.json").exists()


def test_prometheus_has_our_rules_and_the_token_as_a_file() -> None:
    configuration = yaml.safe_load((CHECKOUT / "include/compose/prometheus.yml").read_text())
    (job,) = configuration["scrape_configs"]

    assert job["authorization"]["credentials_file"] == "/run/secrets/metrics_token"
    assert job["job_name"] == "backstop"
    assert mounts(SERVICES["prometheus"])["/etc/prometheus/alerts.yml"] == "./include/prometheus/alerts.yml"


@pytest.mark.parametrize(
    "script", sorted((CHECKOUT / "include/compose").glob("*.sh")), ids=lambda path: path.name
)
def test_every_shell_script_is_well_formed(script: Path) -> None:
    shell = script.read_text().splitlines()[0].removeprefix("#!")

    assert subprocess.run([*shlex.split(shell), "-n", str(script)], check=False).returncode == 0


def test_the_image_has_the_very_versions_that_everything_else_is_tested_with() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[\w.\[\],-]+==\S+", (CHECKOUT / name).read_text(), re.MULTILINE))

    assert pins("requirements.txt")
    assert pins("requirements.txt") - pins("requirements-compose.txt") == set()


def test_what_the_engine_is_sent_to_build_with_holds_no_secret() -> None:
    sent = [line for line in (CHECKOUT / ".dockerignore").read_text().splitlines() if line.startswith("!")]

    assert sent == ["!requirements-compose.txt", "!dags", "!plugins", "!include"]


def test_health_checks_say_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main = runpy.run_path(str(CHECKOUT / "include/compose/healthy.py"))["main"]
    every, status = tmp_path / "receivers.json", tmp_path / "archive-wal-shop.json"
    other = tmp_path / "archive-wal-web.json"

    def judged() -> int:
        return int(main("receivers", str(every)))

    def told(at: str, *, connected: bool = True, last_error: str = "", **repositories: str) -> int:
        known = {name: {"error": error} for name, error in repositories.items()}
        status.write_text(
            json.dumps({"at": at, "connected": connected, "last_error": last_error, "repositories": known})
        )
        return judged()

    assert judged() == 1
    every.write_text("[]")
    assert judged() == 0
    every.write_text(json.dumps([str(status), str(other)]))
    other.write_text(json.dumps({"at": "2999-01-01T00:00:00Z", "connected": True, "repositories": {}}))
    assert judged() == 1
    assert "archive-wal-shop: it has said nothing yet" in capsys.readouterr().err
    assert told("2026-01-01T00:00:00Z") == 1
    assert "said nothing" in capsys.readouterr().err
    assert told("2999-01-01T00:00:00Z", connected=False, last_error="refused") == 1
    assert "refused" in capsys.readouterr().err
    assert told("2999-01-01T00:00:00Z", local="disk full", s3="no route") == 1
    assert "no repository takes WAL: disk full" in capsys.readouterr().err
    # One is enough; the watch says what the other lacks.
    assert told("2999-01-01T00:00:00Z", local="", s3="no route") == 0
    assert told("2999-01-01T00:00:00Z") == 0
    other.unlink()
    assert judged() == 1
    assert "archive-wal-web: " in capsys.readouterr().err


def test_whoever_reads_targets_has_the_same_file_or_directory() -> None:
    """What BACKSTOP_TARGETS_FILE names is mounted as it is: a file, or a directory (docs/fleet.md)."""
    readers = {
        name: service
        for name, service in SERVICES.items()
        if "BACKSTOP_TARGETS" in (service.get("environment") or {})
    }

    assert readers.keys() == {*AIRFLOW, *WORKERS, "wal-receiver"}
    for service in readers.values():
        assert (
            mounts(service)[service["environment"]["BACKSTOP_TARGETS"]]
            == "${BACKSTOP_TARGETS_FILE:-./include/compose/targets.yaml}"
        )


def test_nothing_but_what_is_protected_here_is_called_after_it() -> None:
    """Targets of one's own may be called anything: no service names one."""
    for name in (*AIRFLOW, *WORKERS, "wal-receiver"):
        service = SERVICES[name]
        said = (
            [*service["command"], *service["healthcheck"]["test"]]
            if name != "airflow-init"
            else service["command"]
        )
        assert [one for one in said if "calibrify" in one.replace("--queues=calibrify-db", "")] == []
    assert "calibrify" not in (CHECKOUT / "include/compose/init_airflow.sh").read_text()


@pytest.mark.parametrize("name", WORKERS)
def test_workers_can_be_more_than_one(name: str) -> None:
    """Celery and Airflow know a worker by its host's name: a name of ours would be that of all."""
    service = SERVICES[name]
    (kind,) = (part.partition("@")[0].removeprefix("--celery-hostname=")
               for part in service["command"] if part.endswith("@%h"))  # fmt: skip

    assert not {"hostname", "container_name", "ports"} & service.keys()
    assert service["healthcheck"]["test"][-2:] == ["worker", kind]
