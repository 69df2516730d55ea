"""What a drill has restored of one component, as a small document: it travels between tasks."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 read at run time by what stores it
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from backstop.model.documents import Codec
from backstop.model.measured import ComponentRecovery  # noqa: TC001 read at run time by what stores it


@dataclass(frozen=True, slots=True)
class RestoredComponent:
    """Where a component lies, stopped, and what its restore measured. Of JSON's types by :meth:`to_dict`.

    :param recovery: what was measured; its ``failure`` says why the component is not back, then nothing else
        here counts.
    :param folder: all of it lies in here.
    :param data: the data directory of a server; empty: it is a tree.
    :param socket: directory of the socket while the server is served; :param port: and its number.
    :param user: a superuser of the server; :param database: the target's database.
    :param isolation: how the server is kept apart from the machine, in words;
        :param isolation_kind: and :param isolation_uid: the same, to do it again.
    :param root: of a tree: the folder under which its files lie under their whole paths.
    :param differences: what the restore's own comparison found, one sentence each.
    :param checks: what it compared: ``tables``, ``rows``, ``files``, …
    """

    recovery: ComponentRecovery
    folder: str = ""
    data: str = ""
    socket: str = ""
    port: int = 0
    user: str = ""
    database: str = ""
    server_major: int = 0
    isolation: str = ""
    isolation_kind: str = ""
    isolation_uid: int = 0
    tablespaces: tuple[str, ...] = ()
    root: str = ""
    differences: tuple[str, ...] = ()
    checks: Mapping[str, int | str] = field(default_factory=dict)

    @property
    def component(self) -> str:
        return self.recovery.component

    @property
    def failure(self) -> str:
        """Why it is not back; empty when it is."""
        return self.recovery.failure

    def to_dict(self) -> dict[str, Any]:
        return _codec().document(self)

    @classmethod
    def from_dict(cls, document: Mapping[str, Any]) -> RestoredComponent:
        """:raises IntegrityError: it is malformed."""
        return _codec().read(document, name="a restored component")


@lru_cache(1)
def _codec() -> Codec[RestoredComponent]:
    return Codec(RestoredComponent)
