"""The demo's part about files: backed up at times and on change; the media and one file lost and restored."""

from __future__ import annotations

import hashlib
import shutil
import stat
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

from embedded.errors import StackError
from embedded.proving import wait_for_proofs
from embedded.sample import write_config, write_media

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.airflow_api import AirflowApi, Run
    from embedded.home import Home
    from embedded.steps import Steps
    from embedded.story import FilesStory

TARGET = "calibrify"
MEDIA, CONFIG = "media", "config"
VERIFY, RESTORE = f"verify_backups__{TARGET}", "restore_files"
SETTINGS, LOGGING = "opt/calibrify/config/calibrify.yaml", "opt/calibrify/config/logging.ini"


def back_up_dag(tree: str) -> str:
    return f"back_up_files__{TARGET}__{tree}"


class FilesDemo:
    """The steps, in order; each raises when anything is not as it should be."""

    def __init__(self, home: Home, steps: Steps, story: FilesStory, *, scale: float) -> None:
        self.home = home
        self.steps = steps
        self.story = story
        self.scale = scale

    @staticmethod
    def dags() -> tuple[str, ...]:
        return (back_up_dag(MEDIA), back_up_dag(CONFIG), RESTORE)

    def write(self) -> None:
        """What the sample's host has besides its database."""
        with self.steps.step("Media and configuration of the host") as step:
            files = write_media(self.home.media, scale=self.scale) + write_config(self.home.host)
            self.story.before = contents(self.home.host)
            step.result = f"{files:,} files in {self.home.host}"

    def run(self, admin: AirflowApi, approver: AirflowApi) -> None:
        with self.steps.step("Media backed up by Airflow") as step:
            run = admin.trigger(back_up_dag(MEDIA))
            admin.require_success(run)
            self.story.backups[MEDIA] = admin.result(run, "back_up")
            step.result = self._told(MEDIA)
        self._prove(admin, MEDIA)
        self.edit_and_wait(admin)
        self._prove(admin, CONFIG)
        self.lose_and_restore_media(admin, approver)
        self.lose_and_restore_a_file(admin, approver)

    def edit_and_wait(self, admin: AirflowApi, *, timeout: float = 180.0) -> None:
        """Nobody triggers this backup either: the change does."""
        path = self.home.host / LOGGING
        # One under way may back the edit up itself, and then no other comes.
        known = admin.runs(back_up_dag(CONFIG))
        for run in known:
            admin.wait(run)
        with self.steps.step(f"{path.name} edited, backed up for it") as step:
            with path.open("a") as file:
                file.write("# edited by the demo\n")
            edited_at, deadline = datetime.now(timezone.utc), time.monotonic() + timeout
            while CONFIG not in self.story.backups:
                if time.monotonic() > deadline:
                    raise StackError(
                        f"{path} was edited {timeout:.0f} s ago, and no backup has the change",
                        hint=f"look at DAG {back_up_dag(CONFIG)} in Airflow, and at the triggerer's log",
                    )
                time.sleep(1)
                for run in admin.runs(back_up_dag(CONFIG)):
                    if run not in known:
                        self._take_if_it_has(admin, run, path)
            report = self.story.backups[CONFIG]
            finished_at = datetime.fromisoformat(report["finished_at"].replace("Z", "+00:00"))
            self.story.noticed_seconds = (finished_at - edited_at).total_seconds()
            step.result = f"{self._told(CONFIG)}, {self.story.noticed_seconds:.1f} s after the edit"
        self.story.before = contents(self.home.host)

    def _take_if_it_has(self, admin: AirflowApi, run: Run, path: Path) -> None:
        states = {task["task_id"]: task["state"] for task in admin.tasks(run)}
        if states.get("back_up") == "failed":
            raise StackError("the backup failed: " + admin.why(run))
        if states.get("back_up") == "success":
            report = admin.result(run, "back_up")
            if any(str(path) in change for change in report["changes"]):
                self.story.backups[CONFIG] = report

    def _told(self, tree: str) -> str:
        report = self.story.backups[tree]
        return f"{report['label']}, {report['files']:,} files"

    def _prove(self, admin: AirflowApi, tree: str) -> None:
        report = self.story.backups[tree]
        with self.steps.step("Proven by the verification it woke") as step:
            found = wait_for_proofs(admin, VERIFY, report["label"], report["repositories"])
            self.story.proofs[tree] = found
            step.result = ", ".join(
                f"{name} in {one['seconds']['total']:.1f} s" for name, one in found.items()
            )

    def lose_and_restore_media(self, admin: AirflowApi, approver: AirflowApi) -> None:
        with self.steps.step("Somebody removes the media folder") as step:
            lost = sum(path.is_file() for path in self.home.media.rglob("*"))
            shutil.rmtree(self.home.media)
            step.result = f"{lost:,} files are gone"
        self.story.media_lost = lost
        self.story.media_seconds = self._restore(admin, approver, MEDIA, only=[])
        self._compare("the media folder")

    def lose_and_restore_a_file(self, admin: AirflowApi, approver: AirflowApi) -> None:
        path = self.home.host / SETTINGS
        with self.steps.step(f"Somebody removes {path.name}"):
            path.unlink()
        self.story.file_lost = path.name
        self.story.file_seconds = self._restore(admin, approver, CONFIG, only=[str(path)])
        self._compare(path.name)

    def _restore(self, admin: AirflowApi, approver: AirflowApi, tree: str, *, only: list[str]) -> float:
        label = self.story.backups[tree]["label"]
        conf: dict[str, Any] = {"target": TARGET, "tree": tree, "backup": label, "only": only}
        run = admin.trigger(RESTORE, conf)
        with self.steps.step("approver approves the restore"):
            approver.question(run, "approve")
            approver.answer(run, "approve", "Approve")
        started = time.monotonic()
        with self.steps.step("Restored beside, compared, exchanged") as step:
            admin.require_success(run)
            step.result = "from " + label
        return time.monotonic() - started

    def _compare(self, what: str) -> None:
        after = contents(self.home.host)
        wrong = sorted(
            path
            for path in self.story.before.keys() | after.keys()
            if self.story.before.get(path) != after.get(path)
        )
        if wrong:
            raise StackError(
                f"{what} is not what it was: {len(wrong)} files differ, such as {wrong[0]}",
                hint=f"compare {self.home.host} with the list of the backup",
            )


def contents(folder: Path) -> dict[str, tuple[int, int, str]]:
    """Mode, mtime and SHA-256 of every file below; what a restore keeps beside is passed over."""
    return {
        path.relative_to(folder).as_posix(): (
            stat.S_IMODE(path.stat().st_mode),
            path.stat().st_mtime_ns,
            hashlib.sha256(path.read_bytes()).hexdigest(),
        )
        for path in sorted(folder.rglob("*"))
        if path.is_file() and ".before-" not in path.as_posix()
    }
