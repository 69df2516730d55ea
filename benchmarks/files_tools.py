"""How each tool is asked for each step of a backup of files: argv only, and what it is configured to do.

restic: its own defaults (compression since 0.14), into the same S3 bucket. borg: its own defaults with a key
in the repository; that is a local folder, since borg speaks to no S3: it uploads nothing. tar: gzip at its
default level into a file, then one upload; it encrypts nothing. Backstop: as it is.
"""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


@dataclass(frozen=True)
class FilesBench:
    """The folder of the benchmark, its S3 server, and what every tool is told in its environment.

    :param told: for :mod:`benchmarks.files_step`.
    :param client: of S3.
    """

    root: Path
    told: Path
    bucket: str
    endpoint_url: str
    environment: Mapping[str, str] = field(repr=False)
    client: Any = field(repr=False)

    @property
    def source(self) -> Path:
        return self.root / "tree"

    @property
    def destination(self) -> Path:
        return self.root / "restored"

    def step(self, step: str, prefix: str, **places: Path) -> list[str]:
        argv = [sys.executable, "-m", "benchmarks.files_step", str(self.told), step, "--prefix", prefix]
        return [*argv, *(word for name, path in places.items() for word in (f"--{name}", str(path)))]

    def stored_in_s3(self, prefix: str) -> int:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix)
        return sum(entry["Size"] for page in pages for entry in page.get("Contents", ()))

    def run(self, argv: list[str]) -> None:
        """Not measured."""
        subprocess.run(argv, env=dict(self.environment), check=True, capture_output=True)


class Backstop:
    name = "Backstop"

    def __init__(self, bench: FilesBench) -> None:
        self._bench = bench

    missing = ""

    def prepare(self, number: int) -> None:
        self._prefix = f"backstop/{number}"

    def backup(self) -> list[str]:
        return self._bench.step("backup", self._prefix, source=self._bench.source)

    def restore(self) -> list[str]:
        return self._bench.step("restore", self._prefix, destination=self._bench.destination)

    def restored(self) -> Path:
        return self._bench.destination.joinpath(*self._bench.source.parts[1:])

    def stored_bytes(self) -> int:
        return self._bench.stored_in_s3(self._prefix + "/")


class Tar:
    name = "tar czf + upload"

    def __init__(self, bench: FilesBench) -> None:
        self._bench = bench
        self._archive = bench.root / "tree.tar.gz"

    missing = ""

    def prepare(self, number: int) -> None:
        self._round, self._numbered = number, 0

    def backup(self) -> list[str]:
        self._numbered += 1
        words = ["tar", "-czf", str(self._archive), "-C", str(self._bench.source), "."]
        return _both(words, self._bench.step("send", self._key(), source=self._archive))

    def restore(self) -> list[str]:
        self._bench.destination.mkdir()
        words = ["tar", "-xzf", str(self._archive), "-C", str(self._bench.destination)]
        return _both(self._bench.step("fetch", self._key(), destination=self._archive), words)

    def restored(self) -> Path:
        return self._bench.destination

    def stored_bytes(self) -> int:
        return self._bench.stored_in_s3(f"tar/{self._round}/")

    def _key(self) -> str:
        return f"tar/{self._round}/{self._numbered}.tar.gz"


class Restic:
    name = "restic"

    def __init__(self, bench: FilesBench) -> None:
        self._bench = bench

    @property
    def missing(self) -> str:
        return "" if shutil.which("restic") else "restic is not installed"

    def prepare(self, number: int) -> None:
        self._prefix = f"restic/{number}"
        self._bench.run(self._argv("init"))

    def backup(self) -> list[str]:
        return self._argv("backup", "--quiet", str(self._bench.source))

    def restore(self) -> list[str]:
        return self._argv("restore", "latest", "--target", str(self._bench.destination))

    def restored(self) -> Path:
        return self._bench.destination.joinpath(*self._bench.source.parts[1:])

    def stored_bytes(self) -> int:
        return self._bench.stored_in_s3(self._prefix + "/")

    def _argv(self, *words: str) -> list[str]:
        place = f"s3:{self._bench.endpoint_url}/{self._bench.bucket}/{self._prefix}"
        return ["restic", "--repo", place, *words]


class Borg:
    name = "borg (local folder)"

    def __init__(self, bench: FilesBench) -> None:
        self._bench = bench

    @property
    def missing(self) -> str:
        return "" if shutil.which("borg") else "borg is not installed"

    def prepare(self, number: int) -> None:
        self._repository = self._bench.root / f"borg-{number}"
        self._numbered = 0
        self._bench.run(["borg", "init", "--encryption=repokey", str(self._repository)])

    def backup(self) -> list[str]:
        self._numbered += 1
        return ["borg", "create", f"{self._repository}::{self._numbered}", str(self._bench.source)]

    def restore(self) -> list[str]:
        self._bench.destination.mkdir()
        words = ["borg", "extract", f"{self._repository}::{self._numbered}"]
        return ["/bin/sh", "-ec", f"cd {shlex.quote(str(self._bench.destination))} && {shlex.join(words)}"]

    def restored(self) -> Path:
        return self._bench.destination.joinpath(*self._bench.source.parts[1:])

    def stored_bytes(self) -> int:
        return sum(path.stat().st_size for path in self._repository.rglob("*") if path.is_file())


Tool = Backstop | Tar | Restic | Borg


def _both(first: list[str], second: list[str]) -> list[str]:
    return ["/bin/sh", "-ec", f"{shlex.join(first)} && {shlex.join(second)}"]
