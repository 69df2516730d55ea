"""The demo's part about files: the media folder and one file of the configuration are lost and come back."""

from __future__ import annotations

import hashlib
import shutil
import stat
import time
from typing import TYPE_CHECKING, Any

from embedded.errors import StackError
from embedded.proving import wait_for_proofs
from embedded.sample import write_config, write_media

if TYPE_CHECKING:
    from pathlib import Path

    from embedded.airflow_api import AirflowApi
    from embedded.home import Home
    from embedded.steps import Steps
    from embedded.story import FilesStory

TARGET = "calibrify"
MEDIA, CONFIG = "media", "config"
VERIFY, RESTORE = f"verify_backups__{TARGET}", "restore_files"
NGINX = "etc/nginx/sites-available/calibrify.conf"


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
        for tree in (MEDIA, CONFIG):
            self.back_up(admin, tree)
        self.lose_and_restore_media(admin, approver)
        self.lose_and_restore_a_file(admin, approver)

    def back_up(self, admin: AirflowApi, tree: str) -> None:
        with self.steps.step(f"Files backed up by Airflow: {tree}") as step:
            run = admin.trigger(back_up_dag(tree))
            admin.require_success(run)
            report = admin.result(run, "back_up")
            self.story.backups[tree] = report
            step.result = f"{report['label']}, {report['files']:,} files"
        with self.steps.step(f"Proven by the verification it woke: {tree}") as step:
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
        path = self.home.host / NGINX
        with self.steps.step(f"Somebody removes {path.name}"):
            path.unlink()
        self.story.file_lost = NGINX
        self.story.file_seconds = self._restore(admin, approver, CONFIG, only=[str(path)])
        self._compare(NGINX)

    def _restore(self, admin: AirflowApi, approver: AirflowApi, tree: str, *, only: list[str]) -> float:
        label = self.story.backups[tree]["label"]
        conf: dict[str, Any] = {"target": TARGET, "tree": tree, "backup": label, "only": only}
        run = admin.trigger(RESTORE, conf)
        with self.steps.step("approver approves the restore of files"):
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
