"""Ways in which bytes at rest come to harm: by decay, by a crash, by a mistaken or an evil hand."""

from __future__ import annotations

import json
import os
import shutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import random
    from collections.abc import Callable, Sequence
    from pathlib import Path

FRAME_BYTES = 1024 * 1024  # of the payload format, docs/format.md


def _rewrite(path: Path, body: bytes) -> None:
    # A new file: the trial's copy may be a hard link to the undamaged one.
    path.unlink()
    path.write_bytes(body)


def flip_bits(dice: random.Random, path: Path, _others: Sequence[Path]) -> None:
    body = bytearray(path.read_bytes())
    for _ in range(dice.choice([1, 1, 1, 2, 100])):
        if body:
            body[dice.randrange(len(body))] ^= 1 << dice.randrange(8)
    _rewrite(path, bytes(body))


def truncate(dice: random.Random, path: Path, _others: Sequence[Path]) -> None:
    size = path.stat().st_size
    frames = size // FRAME_BYTES
    at = dice.choice([0, max(0, size - 1), size // 2, dice.randrange(size + 1), FRAME_BYTES * frames])
    _rewrite(path, path.read_bytes()[:at])


def append(dice: random.Random, path: Path, _others: Sequence[Path]) -> None:
    body = path.read_bytes()
    _rewrite(path, body + dice.choice([b"\0", b"\n", body, body[-FRAME_BYTES:], dice.randbytes(100)]))


def zero_a_block(dice: random.Random, path: Path, _others: Sequence[Path]) -> None:
    body = bytearray(path.read_bytes())
    start = dice.randrange(len(body) + 1)
    length = min(4096, len(body) - start)
    body[start : start + length] = bytes(length)
    _rewrite(path, bytes(body))


def cut_out(dice: random.Random, path: Path, _others: Sequence[Path]) -> None:
    body = path.read_bytes()
    start, end = sorted(dice.randrange(len(body) + 1) for _ in range(2))
    _rewrite(path, body[:start] + body[end:])


def swap_blocks(dice: random.Random, path: Path, _others: Sequence[Path]) -> None:
    """Two parts of the same length trade places: sizes and multisets of bytes stay."""
    body = path.read_bytes()
    length = dice.randint(1, max(1, len(body) // 3))
    first = dice.randrange(max(1, len(body) - 2 * length))
    second = dice.randint(first + length, max(first + length, len(body) - length))
    parts = [
        body[:first],
        body[second : second + length],
        body[first + length : second],
        body[first : first + length],
    ]
    _rewrite(path, b"".join([*parts, body[second + length :]]))


def delete(_dice: random.Random, path: Path, _others: Sequence[Path]) -> None:
    path.unlink()


def swap_with_another(dice: random.Random, path: Path, others: Sequence[Path]) -> None:
    other = dice.choice(others)
    mine, its = path.read_bytes(), other.read_bytes()
    _rewrite(path, its)
    if other != path:
        _rewrite(other, mine)


def copy_of_another(dice: random.Random, path: Path, others: Sequence[Path]) -> None:
    _rewrite(path, dice.choice(others).read_bytes())


def directory_instead(_dice: random.Random, path: Path, _others: Sequence[Path]) -> None:
    path.unlink()
    path.mkdir()


def link_instead(dice: random.Random, path: Path, others: Sequence[Path]) -> None:
    other = dice.choice([*others, path.parent / "nowhere"])
    path.unlink()
    path.symlink_to(other)


def edit_json(dice: random.Random, path: Path, others: Sequence[Path]) -> None:
    """Valid JSON that says something else, or has another shape: a value replaced or a key dropped."""
    try:
        document = json.loads(path.read_bytes())
    except ValueError:
        flip_bits(dice, path, others)
        return
    holder: Any = document
    while True:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        if not keys:
            break
        key = dice.choice(keys)
        if isinstance(holder[key], (dict, list)) and holder[key] and dice.random() < 0.8:
            holder = holder[key]
            continue
        if dice.random() < 0.2:
            del holder[key]
        else:
            holder[key] = dice.choice(_ODD_VALUES)
        break
    # As it would have been written, so that nothing but what it says gives it away.
    body = json.dumps(
        dice.choice([document] * 9 + [[document]]), sort_keys=True, separators=(",", ":"), ensure_ascii=False
    )
    _rewrite(path, body.encode("utf-8", "surrogatepass"))


_ODD_VALUES: tuple[Any, ...] = (
    None, True, 0, -1, 1, 2, 10**30, 1.5, float("nan"), "", "x", "../../etc/passwd", "\0", "\ud800", [], {},
    [1], {"a": 1}, [[]], "20260101T000000Z-dump", "2026-01-01T00:00:00.000000Z", "0" * 64,
)  # fmt: skip

WAYS: tuple[Callable[[random.Random, Path, Sequence[Path]], None], ...] = (
    flip_bits, truncate, append, zero_a_block, cut_out, swap_blocks, delete, swap_with_another,
    copy_of_another, directory_instead, link_instead, edit_json,
)  # fmt: skip


def copy_tree(source: Path, destination: Path) -> None:
    """By hard links: damage always makes new files."""
    shutil.copytree(source, destination, copy_function=os.link)
