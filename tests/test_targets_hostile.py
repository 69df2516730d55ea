"""Files and folders of targets that nobody meant: none of them takes more than its own targets along."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from backstop.commands.watch.configuration import judge_configuration
from backstop.targets import find_mistakes, load_targets
from backstop.targets.load import newest_change

if TYPE_CHECKING:
    from collections.abc import Iterator

SHARED = """\
version: 1
keys:
  site: {storage: local, path: /keys/ring.json, signing: /keys, escrow: {waived: test}}
repositories:
  local: {type: posix, path: /backups}
defaults:
  keys: site
  database: {repositories: [local], retention: {local: 7d}, objectives: {rto: 1h, rpo: 24h}}
"""
NOBODY = 65534


def target(name: str) -> str:
    return f"targets:\n  {name}:\n    database: {{conn_id: backup_{name}, dbname: {name}}}\n"


@pytest.fixture
def directory() -> Iterator[Path]:
    """Outside of pytest's own folder, so that another user may look into it."""
    made = Path(tempfile.mkdtemp(prefix="backstop-targets-"))
    made.chmod(0o755)
    (made / "backstop.yaml").write_text(SHARED)
    (made / "good.yaml").write_text(target("good"))
    yield made
    shutil.rmtree(made)


@contextmanager
def as_nobody() -> Iterator[None]:
    """Whom file modes bind, as they do not bind root."""
    if os.geteuid():
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


def bomb() -> str:
    rows = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{level}: &a{level} [{', '.join([f'*a{level - 1}'] * 10)}]" for level in range(1, 9)]
    return "\n".join([*rows, target("web")])


def merged_bomb() -> str:
    rows = ["a0: &a0 {x: 1}"]
    rows += [f"a{level}: &a{level} {{<<: [{', '.join([f'*a{level - 1}'] * 10)}]}}" for level in range(1, 9)]
    return "\n".join([*rows, target("web")])


@pytest.mark.parametrize(
    "text",
    [
        bomb(),
        merged_bomb(),
        "targets: {web: " + "[" * 100_000 + "]" * 100_000 + "}",
        "targets: {web: " + "{a: " * 900 + "1" + "}" * 900 + "}",
        "targets:\n  web:\n    " + "- " * 5_000 + "x\n",
    ],
    ids=["aliases", "merges", "brackets", "braces", "dashes"],
)
def test_a_few_lines_that_stand_for_billions_disable_their_own_target_alone(directory, text):
    (directory / "web.yaml").write_text(text)

    configuration = load_targets(directory)

    assert list(configuration.targets) == ["good"]
    (broken,) = configuration.broken
    assert (broken.targets, "more than 100000 values or 50 levels" in broken.why) == (("web",), True)


def test_who_would_wait_for_a_pipe_or_read_a_device_for_ever_reads_neither(directory):
    os.mkfifo(directory / "pipe.yaml")
    (directory / "zero.yaml").symlink_to("/dev/zero")

    configuration = load_targets(directory)

    assert list(configuration.targets) == ["good"]
    assert {one.targets: "a pipe, a socket or a device" in one.why for one in configuration.broken} == {
        ("pipe",): True,
        ("zero",): True,
    }


def test_a_folder_that_nobody_may_look_into_is_no_empty_one(directory):
    team = directory / "red"
    team.mkdir(mode=0o700)
    (team / "shop.yaml").write_text(target("shop"))
    team.chmod(0o000)

    with as_nobody():
        configuration = load_targets(directory)

    (broken,) = configuration.broken
    assert (broken.targets, broken.why) == ((), f"{team}:1:1: cannot be read: Permission denied")
    (finding,) = judge_configuration(configuration.broken)
    assert (finding.target, finding.level.value) == ("*", "critical")


def test_a_folder_may_be_a_link_as_in_a_mounted_config_map(directory):
    first = directory / "..2026_11_27"
    (first / "red").mkdir(parents=True, mode=0o700)
    (first / "red" / "shop.yaml").write_text(target("shop"))
    (first / "web.yaml").write_text(target("web"))
    (directory / "..data").symlink_to(first.name)
    (directory / "red").symlink_to("..data/red")
    (directory / "web.yaml").symlink_to("..data/web.yaml")
    (directory / "round").symlink_to(".")
    (directory / "red" / "round").symlink_to("../red")

    assert list(load_targets(directory).targets) == ["good", "shop", "web"]

    before = newest_change(directory)
    second = directory / "..2026_11_28"
    shutil.copytree(first, second, symlinks=True)
    (second / "web.yaml").write_text(target("web") + "    owner: red\n")
    (directory / "..new").symlink_to(second.name)
    (directory / "..new").replace(directory / "..data")

    assert newest_change(directory) != before
    assert load_targets(directory).targets["web"].owner == "red"


def test_all_targets_of_a_file_are_told_of_although_yaml_keeps_some(directory):
    (directory / "twice.yaml").write_text(target("one") + target("two"))
    (directory / "pages.yaml").write_text(f"{target('three')}---\n{target('four')}")

    assert load_targets(directory).known_targets == ["four", "good", "one", "three", "two"]


def test_what_could_not_be_stored_or_printed_is_in_no_finding(directory):
    Path(os.fsdecode(os.fsencode(directory) + b"/w\xff.yaml")).write_text("targets: [")
    (directory / "name.yaml").write_text('targets: {"a\\0b": {"x\\0y": 1}}\n')

    findings = list(judge_configuration(load_targets(directory).broken))

    assert [one.target for one in findings] == ["*", "*"]
    for text in (part for one in findings for part in (one.subject, one.sentence)):
        assert text.encode().isascii() or "�" in text
        assert "\0" not in text


def test_files_of_one_name_in_two_folders_are_two_findings(directory):
    for team in ("red", "blue"):
        (directory / team).mkdir(mode=0o700)
        (directory / team / "shop.yaml").write_text(target("shop"))

    findings = list(judge_configuration(load_targets(directory).broken))

    assert sorted(one.subject for one in findings) == ["blue/shop.yaml", "red/shop.yaml"]


def test_a_directory_that_has_lost_all_its_target_files_says_so(directory):
    (directory / "good.yaml").unlink()

    (broken,) = load_targets(directory).broken

    assert "there is no target file" in broken.why
    (finding,) = judge_configuration([broken])
    assert (finding.target, finding.level.value) == ("*", "warning")


def test_no_secret_that_somebody_wrote_into_defaults_is_repeated(directory):
    (directory / "web.yaml").write_text(
        "defaults:\n  database: {password: hunter2, conn_id: 'x://a:hunter2@db/x'}\n  token: hunter2\n"
        + target("web")
    )

    (broken,) = load_targets(directory).broken

    assert broken.targets == ("web",)
    assert "hunter2" not in broken.every_reason


def test_two_targets_never_retire_the_same_files(directory):
    legacy = "    legacy: {database: {places: {local: /old}}}\n"
    (directory / "web.yaml").write_text(target("web") + legacy)
    named = legacy.replace("places:", "names: full_%Y%m%d_%H%M%S.sql.gz, places:")
    (directory / "shop.yaml").write_text(target("shop") + named)

    configuration = load_targets(directory)

    assert list(configuration.targets) == ["good"]
    assert {one.targets: "the same files as those of" in one.why for one in configuration.broken} == {
        ("shop",): True,
        ("web",): True,
    }


def test_no_target_takes_another_ones_backups_for_files_from_before(directory):
    (directory / "backstop.yaml").write_text(
        SHARED.replace("repositories:\n", "repositories:\n  s3: {type: s3, bucket: backups}\n").replace(
            "[local]", "[local, s3]"
        )
    )
    legacy = "    legacy: {database: {places: {s3: 's3://backups/good'}}}\n"
    (directory / "web.yaml").write_text(target("web") + legacy)

    (broken,) = load_targets(directory).broken

    assert (broken.targets, "keeps Backstop's own backups there" in broken.why) == (("web",), True)


def test_nor_do_two_targets_of_one_file(tmp_path):
    file = tmp_path / "targets.yaml"
    legacy = "    legacy: {database: {places: {local: /old}}}\n"
    file.write_text(SHARED + target("web") + legacy + target("shop").removeprefix("targets:\n") + legacy)

    assert ["the same files as those of" in one.what for one in find_mistakes(file)] == [True, True]
