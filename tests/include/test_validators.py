"""The validators for drills: they find what is wrong with restored configuration, and touch nothing live."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from backstop.commands.checklist import ChecklistSettings, RestoredFiles, run_checklist
from backstop.commands.progress import Silent
from backstop.targets.drill import DrillApplication
from embedded.sample.trees import write_config

VALIDATORS = Path(__file__).parents[2] / "include/validators"
SITE = "etc/nginx/sites-available/calibrify.conf"
UNITS = "etc/systemd/system"

needs_nginx = pytest.mark.skipif(
    shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin") is None,
    reason="nginx is not installed (Debian: package nginx-light)",
)
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None,
    reason="systemd-analyze is not installed (Debian: package systemd)",
)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Calibrify's configuration, as a drill has restored it."""
    write_config(tmp_path / "root")
    return tmp_path / "root"


def validate(script: str, *arguments: str | Path, cwd: Path | None = None) -> tuple[int, str]:
    done = subprocess.run(
        [VALIDATORS / script, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd
    )
    return done.returncode, done.stdout + done.stderr


def spoil(path: Path, before: str, after: str) -> None:
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after))


@pytest.mark.system
@needs_nginx
def test_a_restored_site_is_taken_by_nginx_and_nothing_else_is_touched(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    log = Path(f"/var/log/nginx/drill-{uuid.uuid4().hex}.log")
    spoil(root / SITE, "listen 80;", f"listen 80; access_log {log};")

    assert validate("nginx-site.sh", SITE, cwd=root) == (0, "")
    assert [one.name for one in tmp_path.iterdir()] == ["root"], "its own folder is gone"
    assert not log.exists()


@pytest.mark.system
@needs_nginx
@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        ("listen 80;", "listn 80;", 'unknown directive "listn"'),
        ("proxy_pass http://127.0.0.1:8000;", "proxy_pass http://127.0.0.1:8000", "calibrify.conf"),
    ],
)
def test_a_site_that_nginx_does_not_take_is_found(root: Path, before: str, after: str, says: str):
    spoil(root / SITE, before, after)

    status, said = validate("nginx-site.sh", root / SITE)

    assert status == 1
    assert says in said


@pytest.mark.system
@needs_nginx
def test_a_site_that_is_not_there_is_named(root: Path):
    assert validate("nginx-site.sh", root / "gone.conf") == (1, f"{root}/gone.conf is not there\n")


@pytest.mark.system
@needs_systemd
def test_restored_units_are_in_order_though_their_programs_are_on_another_host(root: Path):
    units = sorted((root / UNITS).iterdir())
    here, elsewhere = (
        validate("systemd-units.sh", *options, *units) for options in ((), ("--programs-elsewhere",))
    )

    assert here[0] == 1
    assert "/opt/calibrify/venv/bin/gunicorn is not executable" in here[1]
    assert elsewhere[0] == 0, elsewhere[1]


@pytest.mark.system
@needs_systemd
@pytest.mark.parametrize("after", ["Restart=onfailure", "Restrat=on-failure"])
def test_a_unit_that_systemd_would_only_warn_of_is_found(root: Path, after: str):
    unit = root / UNITS / "calibrify-web.service"
    spoil(unit, "Restart=on-failure", after)

    status, said = validate("systemd-units.sh", "--programs-elsewhere", unit)

    assert status == 1
    assert "calibrify-web.service:9" in said


@pytest.mark.system
@needs_systemd
def test_a_warning_of_systemd_is_a_fault_where_every_program_is_here(root: Path):
    unit = root / UNITS / "calibrify-web.service"
    spoil(unit, "/opt/calibrify/venv/bin/gunicorn calibrify.wsgi --bind 127.0.0.1:8000", "/bin/true")
    assert validate("systemd-units.sh", unit) == (0, "")
    spoil(unit, "Restart=on-failure", "Restart=onfailure")

    assert validate("systemd-units.sh", unit)[0] == 1


@pytest.mark.system
@needs_nginx
@needs_systemd
def test_a_checklist_validates_what_a_drill_restored(root: Path):
    tree = RestoredFiles(
        component="tree:config",
        label="20261126T020000Z-tree-config",
        root=root,
        compare=lambda: (),
        validators=[
            [f"{VALIDATORS}/nginx-site.sh", f"{{root}}/{SITE}"],
            [
                f"{VALIDATORS}/systemd-units.sh",
                "--programs-elsewhere",
                f"{{root}}/{UNITS}/calibrify*.service",
            ],
        ],
    )
    settings = ChecklistSettings(application=DrillApplication())

    def outcomes() -> list[str]:
        lines = run_checklist(None, [tree], settings=settings, progress=Silent())
        return [line.outcome.value for line in lines if line.item == "configuration"]

    assert outcomes() == ["passed", "passed"]
    spoil(root / SITE, "listen 80;", "listen eighty;")
    spoil(root / UNITS / "calibrify-worker.service", "[Service]", "[Srevice]")
    assert outcomes() == ["failed", "failed"]


def test_validators_ask_for_what_they_shall_look_at():
    assert validate("nginx-site.sh") == (2, "no site was named\n")
    assert validate("systemd-units.sh", "--programs-elsewhere") == (2, "no unit file was named\n")
