"""Check file permissions: owners, modes, extended attributes, against the list of the backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backstop.commands.checklist.line import failed, in_words, not_applicable, not_done, passed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from backstop.commands.checklist.integrity import ComparedFiles
    from backstop.commands.checklist.restored import RestoredFiles
    from backstop.model.measured import CheckedItem

ITEM = "permissions"


def check_permissions(
    trees: Sequence[RestoredFiles], compared: Mapping[str, ComparedFiles]
) -> Iterator[CheckedItem]:
    """A line a tree. :param compared: by component, what reading the files again has found."""
    if not trees:
        yield not_applicable(ITEM, "", "no files were lost in this scenario")
    for tree in trees:
        if tree.failure:
            yield not_done(ITEM, tree.component, f"{in_words(tree.component)} are not back: {tree.failure}")
            continue
        wrong = compared[tree.component].metadata
        if wrong is None:
            because = f"{in_words(tree.component)} could not be compared with the list of {tree.label}"
            yield not_done(ITEM, tree.component, because)
        elif wrong:
            sentence = f"owners or modes differ from the list of {tree.label}"
            yield failed(ITEM, tree.component, sentence, wrong)
        else:
            yield passed(ITEM, tree.component, _sentence(tree), tree.not_set)


def _sentence(tree: RestoredFiles) -> str:
    sentence = f"owners, modes and attributes of {in_words(tree.component)} are those of the list"
    return f"{sentence}, but for what this user may not give" if tree.not_set else sentence
