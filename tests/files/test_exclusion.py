"""What a tree leaves out."""

from __future__ import annotations

import pytest

from backstop.errors import ConfigurationError
from backstop.files.exclusion import Exclusion


def covers(glob: str, path: bytes) -> bool:
    return Exclusion([glob]).covers(path, path.rpartition(b"/")[2])


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*.tmp", b"srv/media/a.tmp"),
        ("*.tmp", b"srv/media/\xff\n.tmp"),
        ("[a-c]?.log", b"srv/b1.log"),
        ("[!a]x", b"srv/bx"),
        ("cache/", b"srv/cache"),
        ("/srv/media/cache", b"srv/media/cache"),
        ("/srv/media/cache/**", b"srv/media/cache/a/b"),
        ("/srv/*/cache", b"srv/media/cache"),
        ("**/cache/*.png", b"srv/media/cache/x.png"),
    ],
)
def test_a_glob_covers(glob: str, path: bytes) -> None:
    assert covers(glob, path)


@pytest.mark.parametrize(
    ("glob", "path"),
    [
        ("*.tmp", b"srv/media/a.tmp.jpg"),
        ("media", b"srv/media/a"),
        ("/srv/media/cache/**", b"srv/media/cache"),
        ("/srv/*/cache", b"srv/media/deep/cache"),
        ("/srv/[a/]x", b"srv/ax/x"),
        ("[!a]x", b"srv/ax"),
        (".", b"x"),
    ],
)
def test_a_glob_does_not_cover(glob: str, path: bytes) -> None:
    assert not covers(glob, path)


def test_a_glob_that_could_match_nothing_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="neither a name nor a whole path"):
        Exclusion(["cache/*.png"])


def test_without_globs_nothing_is_covered() -> None:
    assert not Exclusion([]).covers(b"a", b"a")
