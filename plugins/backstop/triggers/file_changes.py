"""Waits in the triggerer until a file tree differs from its newest published backup."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from airflow.triggers.base import BaseEventTrigger, TriggerEvent

from backstop.model.access import AccessRole

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from backstop.commands.trees.change_detection import Changes
    from backstop.commands.trees.watch import TreeWatch

NAMED = 10
"""How many changes an event names; it is kept in Airflow's database."""
_PAUSE_SECONDS = 60.0


class FileChangesTrigger(BaseEventTrigger):  # type: ignore[misc]
    """One event for each burst of changes that leaves something to back up. It never ends by itself.

    :param target: and :param tree: names of targets.yaml.
    :param rules: a digest of what targets.yaml says of the tree: with other words, it is another trigger, and
        Airflow starts that one in its place.
    """

    def __init__(self, *, target: str, tree: str, rules: str = "") -> None:
        super().__init__()
        self.target = target
        self.tree = tree
        self.rules = rules
        self._watch: TreeWatch | None = None

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"target": self.target, "tree": self.tree, "rules": self.rules},
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        stop = threading.Event()
        # A thread of its own, for as long as it watches: the loop's few are for what comes to an end.
        executor = ThreadPoolExecutor(1, thread_name_prefix=f"watch {self.target} {self.tree}")
        try:
            while True:
                try:
                    changes = await asyncio.get_running_loop().run_in_executor(executor, self._wait, stop)
                except Exception as error:  # whatever it is, a tree that nobody watches is worse
                    self.log.exception("Watching %s of %s failed: %s", self.tree, self.target, error)
                    await asyncio.sleep(_PAUSE_SECONDS)
                    continue
                if changes is not None:
                    yield TriggerEvent(payload_of(self.tree, changes))
        finally:
            stop.set()
            executor.submit(self._close)
            executor.shutdown(wait=False)

    def _wait(self, stop: threading.Event) -> Changes | None:
        from backstop.hooks.target import TargetHook

        if self._watch is None:
            hook = TargetHook(self.target, AccessRole.WRITER)
            self._watch = hook.tree_watch(self.tree, say=self.log.warning)
            self._watch.open()
        return self._watch.wait(stop)

    def _close(self) -> None:
        if self._watch is not None:
            self._watch.close()


def payload_of(tree: str, changes: Changes) -> dict[str, Any]:
    """What the asset event of a change says."""
    return {"tree": tree, **changes.to_dict(), "sample": list(changes.sample[:NAMED])}
