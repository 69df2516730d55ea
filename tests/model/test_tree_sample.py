"""The random share that a proof restores: as large as asked, and drawn again by whoever has the seed."""

from __future__ import annotations

from dataclasses import replace

from backstop.model.file_tree import Chunk, Entry, EntryKind
from backstop.model.tree_sample import Sample


def entry(path: str, kind: EntryKind = EntryKind.FILE, pack: str = "") -> Entry:
    chunks = (Chunk(0, 1, "a" * 64, pack),) if pack else ()
    return Entry(path.encode(), kind, 0o644, 1, 1, "", "", 0, len(chunks), chunks)


def paths(found) -> list[str]:
    return [one.path.decode() for one in found]


PACKS = [f"a{number}-1" for number in range(100)]
TREE = [
    entry("m", EntryKind.DIRECTORY),
    *(
        one
        for number in range(100)
        for one in (
            entry(f"m/{number:03}", EntryKind.DIRECTORY),
            entry(f"m/{number:03}/x", pack=PACKS[number]),
        )
    ),
]


def test_a_share_of_the_packs_is_drawn_and_one_at_least() -> None:
    assert len(Sample(0.05, "s").packs(PACKS)) == 5
    assert len(Sample(0.001, "s").packs(PACKS)) == 1
    assert Sample(1, "s").packs(PACKS) == set(PACKS)


def test_files_of_drawn_packs_come_with_the_folders_that_lead_to_them() -> None:
    sample = Sample(0.05, "s")
    packs = sample.packs(PACKS)

    found = list(sample.entries(TREE, packs))

    files = [one for one in found if one.kind is EntryKind.FILE]
    assert {one.chunks[0].pack for one in files} == packs
    assert paths(found)[0] == "m"
    seen: set[str] = set()
    for path in paths(found):
        parent = path.rpartition("/")[0]
        assert not parent or parent in seen
        assert path not in seen
        seen.add(path)


def test_the_same_seed_draws_the_same_and_another_one_something_else() -> None:
    assert Sample(0.1, "s").packs(PACKS) == Sample(0.1, "s").packs(reversed(PACKS))
    assert Sample(0.1, "s").packs(PACKS) != Sample(0.1, "t").packs(PACKS)


def test_everything_is_restored_when_the_share_is_one() -> None:
    sample = Sample(1, "s")

    assert list(sample.entries(TREE, sample.packs(PACKS))) == TREE


def test_a_hard_link_comes_with_its_file_or_not_at_all() -> None:
    sample = Sample(0.5, "s")
    packs = sample.packs(PACKS)
    tree = [*TREE, *(replace(entry(f"n/{n:03}"), hard_link=f"m/{n:03}/x".encode()) for n in range(100))]

    found = paths(sample.entries(tree, packs))

    assert {path[2:] for path in found if path.startswith("n/")} == {
        path[2:5] for path in found if path.endswith("/x")
    }


def test_what_has_no_content_is_drawn_at_the_same_rate() -> None:
    tree = [entry(f"{number:04}") for number in range(2000)]

    found = list(Sample(0.1, "s").entries(tree, frozenset()))

    assert 120 < len(found) < 280
