"""What a drill pretends to have lost. Pure.

Written as ``database``, ``tree:media``, ``all``, ``repository:s3``, ``ransomware`` or ``airflow``.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Loss(str, Enum):
    """What is gone."""

    DATABASE = "database"
    """The cluster's data directory."""
    TREE = "tree"
    """One file tree."""
    ALL = "all"
    """Database and every tree."""
    REPOSITORY = "repository"
    """Database, every tree, and one of the repositories: only the others are read."""
    RANSOMWARE = "ransomware"
    """Database and every tree, and whatever was stored after the attack began: only what was proven before it
    is trusted."""
    AIRFLOW = "airflow"
    """Database, every tree, and Airflow with the inventory: only the command line is left."""


_WORDS = {
    Loss.DATABASE: "the database is lost",
    Loss.ALL: "everything is lost",
    Loss.RANSOMWARE: "everything was encrypted by an attacker, and the newest backups with it",
    Loss.AIRFLOW: "everything is lost, and Airflow too",
}


@dataclass(frozen=True, slots=True, order=True)
class Scenario:
    """One way to lose things. :param name: of the tree or the repository; else empty."""

    loss: Loss
    name: str = ""

    @classmethod
    def parse(cls, text: str) -> Scenario:
        """:raises ValueError: nothing is called so; says what is."""
        kind, colon, name = text.strip().partition(":")
        try:
            loss = Loss(kind)
        except ValueError:
            raise ValueError(f"{text!r} is no scenario; there are {', '.join(FORMS)}") from None
        named = loss in (Loss.TREE, Loss.REPOSITORY)
        if named is not bool(colon and name):
            wanted = f"{kind}:<name>" if named else kind
            raise ValueError(f"{text!r} is no scenario; expected {wanted}")
        return cls(loss, name)

    def __str__(self) -> str:
        return f"{self.loss.value}:{self.name}" if self.name else self.loss.value

    @property
    def sentence(self) -> str:
        """In words, without a full stop."""
        if self.loss is Loss.TREE:
            return f"the files of {self.name} are lost"
        if self.loss is Loss.REPOSITORY:
            return f"everything is lost, and repository {self.name} with it"
        return _WORDS[self.loss]


FORMS = ("database", "tree:<name>", "all", "repository:<name>", "ransomware", "airflow")
"""How scenarios are written."""
