"""The ``legacy`` section of targets.yaml: what is accepted, and how mistakes are reported."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import yaml

from backstop.targets import find_mistakes, load_targets
from tests.test_targets import CHECKOUT, VALID

if TYPE_CHECKING:
    from pathlib import Path

TREE = "    trees:\n      media: {paths: [/srv/media], repositories: [local]}\n"


def mistakes(folder: Path, legacy: str) -> list[str]:
    file = folder / "targets.yaml"
    file.write_text(f"{VALID}{TREE}    legacy: {legacy}\n", encoding="utf-8")
    return [str(one) for one in find_mistakes(file)]


def test_the_example_names_the_places_of_the_scripts_when_its_comment_is_taken_away(tmp_path: Path):
    text = (CHECKOUT / "dags" / "targets.yaml").read_text(encoding="utf-8")
    start = text.index("    # legacy:\n")
    file = tmp_path / "targets.yaml"
    section = re.sub(r"(?m)^    # ", "    ", text[start:])
    file.write_text(text[:start] + section, encoding="utf-8")

    legacy = load_targets(file).targets["calibrify"].legacy

    assert legacy is not None
    assert legacy.database is not None
    assert legacy.database.places == {
        "local": "/var/backups/calibrify/database",
        "s3": "s3://calibrify-backups/database/daily",
    }
    assert set(legacy.trees) == {"media", "config"}
    assert (legacy.timezone, legacy.retire, legacy.schedule) == ("UTC", False, "30 4 * * *")


def test_folders_may_have_any_name(tmp_path: Path):
    section = {"database": {"places": {"local": '/var/old backups, "näh"/', "s3": "s3://lab-backups/a b/c"}}}

    assert mistakes(tmp_path, yaml.safe_dump(section, default_flow_style=True).strip()) == []


@pytest.mark.parametrize(
    ("legacy", "mistake"),
    [
        ("{timezone: Berlin}", "expected a time zone such as UTC or Europe/Berlin"),
        ("{timezone: ../../etc/passwd}", "expected a time zone"),
        ("{database: {}}", "legacy.database.places: is missing"),
        ("{database: {places: {}}}", "expected at least one"),
        ("{database: {places: {local: backups}}}", "expected the absolute path of a directory, or s3://"),
        ("{database: {places: {local: /a/../b}}}", "expected the absolute path"),
        ("{database: {places: {s3: 's3://lab-backups/a/'}}}", "expected the absolute path"),
        ("{database: {places: {s3: 's3://lab-backups/a/../b'}}}", "expected the absolute path"),
        (
            "{database: {places: {locl: /old}}}",
            "not go to a repository 'locl'; did you mean 'local'?",
        ),
        (
            "{database: {places: {local: 's3://lab-backups/old'}}}",
            "no S3 endpoint and credentials to lend",
        ),
        ("{database: {names: 'full_%Y.gz', places: {local: /old}}}", "expected a file name with %Y, %m, %d"),
        ("{trees: {media: {places: {s3: /old}}}}", "its backups do not go to a repository 's3'"),
        ("{trees: {medai: {places: {local: /old}}}}", "there is no file tree 'medai'; did you mean 'media'?"),
        ("{database: {places: {local: /backups/calibrify}}}", "keeps Backstop's own backups"),
        (
            "{database: {places: {s3: 's3://lab-backups/calibrify/data'}}}",
            "keeps Backstop's own backups",
        ),
        (
            "{database: {places: {local: /old, s3: /old}}}",
            "the same files as targets.calibrify",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, legacy: str, mistake: str):
    found = mistakes(tmp_path, legacy)

    assert len(found) == 1
    assert mistake in found[0]


def test_several_kinds_may_lie_in_one_folder(tmp_path: Path):
    one_folder = "{database: {places: {local: /old}}, trees: {media: {places: {local: /old}}}}"

    assert mistakes(tmp_path, one_folder) == []


def test_the_repositorys_own_bucket_may_have_them_under_another_prefix(tmp_path: Path):
    assert mistakes(tmp_path, "{database: {places: {s3: 's3://lab-backups/database/daily'}}}") == []
