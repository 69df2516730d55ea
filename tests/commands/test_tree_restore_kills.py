"""A restore that is killed at any step leaves every live name whole, and the next one clears up."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Any

import pytest

from backstop.errors import RestoreError
from backstop.files import rename
from tests.commands.tree_restoring import Site, carry_out, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


STEPS = (
    "mkdir", "open", "link", "symlink", "mkfifo", "unlink", "rmdir", "rename", "ftruncate", "pwrite",
    "fchown", "fchmod", "utime", "fsync", "setxattr",
)  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    (site.media / "d").mkdir()
    (site.media / "d" / "a").write_text("backed up")
    (site.media / "b").write_text("backed up")
    (site.media / "link").symlink_to("b")
    (site.media / "hard").hardlink_to(site.media / "b")
    return site


def killed_at(step: int, work: Callable[[], Any]) -> bool:
    """Run it in a child that is killed before its n-th call that changes anything; whether it came so far."""
    child = os.fork()
    if child == 0:
        left = [step]

        def counted(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*arguments, **options)

            return call

        try:
            for name in STEPS:
                setattr(os, name, counted(getattr(os, name)))
            rename._renameat2 = counted(rename._renameat2)  # type: ignore[assignment]
            work()
        except BaseException:
            os._exit(1)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0
    return os.WIFSIGNALED(status)


def live(site: Site) -> dict[str, Any]:
    """The tree without what restores leave in it."""
    return {
        name: what
        for name, what in snapshot(site.media).items()
        if not any(mark in name for mark in (".backstop-", ".before-"))
    }


def left_over(site: Site) -> list[str]:
    return [str(path) for path in site.folder.rglob(".backstop-*")] + [
        path.name for path in (site.folder / "scratch").iterdir()
    ]


def test_a_kill_before_the_swap_leaves_the_live_tree_alone_and_the_next_restore_clears_up(site: Site) -> None:
    label = site.back_up()
    (site.media / "b").write_text("newer")
    before = snapshot(site.media)
    restore = site.restore(label, jobs=1)
    plan = restore.plan()

    def work() -> None:
        restore.validate(restore.restore_beside(plan))

    step, seen = 1, 0
    while killed_at(step, work):
        assert snapshot(site.media) == before
        seen += bool(left_over(site))
        # Every one of them in steps of its own would take minutes.
        step += 2 if step < 20 else 9
    assert step > 60
    assert seen > 5
    carry_out(restore)

    assert left_over(site) == []
    assert (site.media / "b").read_text() == "backed up"


@pytest.mark.parametrize(
    ("only", "exchange"),
    [((), True), ((), False), (("b", "d"), True), (("b",), False)],
    ids=["a folder", "a folder by two renames", "names", "names by two renames"],
)
def test_a_kill_during_the_swap_leaves_each_name_old_or_new_and_the_next_restore_settles_it(
    site: Site, monkeypatch: pytest.MonkeyPatch, only: tuple[str, ...], exchange: bool
) -> None:
    label = site.back_up()
    new = live(site)
    if not exchange:
        monkeypatch.setattr("backstop.files.exchange.exchanged", lambda *_: False)
    restore = site.restore(label, jobs=1)
    step, more = 1, True
    while more:
        (site.media / "b").unlink()
        (site.media / "b").write_text("newer")
        (site.media / "d" / "a").write_text("newer")
        old = live(site)
        restored = restore.restore_beside(restore.plan(only=[str(site.media / name) for name in only]))
        assert restore.validate(restored) == ()

        more = killed_at(step, lambda: restore.swap(restored))  # noqa: B023 called at once

        if exchange:
            assert _old_or_new(live(site), old, new, by_name=bool(only)), step
        again = restore.restore_beside(restore.plan())
        # Also without it: the next restore has put back what an instant between two renames had left.
        assert _old_or_new(live(site), old, new, by_name=bool(only)), (step, again.notes)
        _nothing_is_lost(site, old)
        assert restore.validate(again) == ()
        restore.swap(again)
        assert left_over(site) == []
        step += 1 if exchange else 2
    assert step > 5


def _old_or_new(found: dict[str, Any], old: dict[str, Any], new: dict[str, Any], *, by_name: bool) -> bool:
    if not by_name:
        return found in (old, new)
    return found.keys() == old.keys() and all(found[name] in (old[name], new[name]) for name in found)


def _nothing_is_lost(site: Site, old: dict[str, Any]) -> None:
    """What was live is live or kept."""
    there = [
        path.read_text() for path in site.folder.rglob("*") if path.is_file() and "vault" not in str(path)
    ]
    assert old["b"][1].decode() in there


def test_an_interrupted_swap_is_told_by_name(site: Site) -> None:
    label = site.back_up()
    restore = site.restore(label, jobs=1)
    names = [str(site.media / name) for name in ("b", "link")]
    step = 0
    while not list(site.media.glob(".b.before-*")):
        step += 1
        restored = restore.restore_beside(restore.plan(only=names))
        restore.validate(restored)
        assert killed_at(step, lambda: restore.swap(restored))  # noqa: B023 called at once
    with pytest.raises(RestoreError, match="was interrupted"):
        restore.swap(restored)

    notes = restore.restore_beside(restore.plan()).notes

    assert notes == (
        f"a restore of {label} was interrupted in {site.media}: b is as restored, link is as it was",
    )
