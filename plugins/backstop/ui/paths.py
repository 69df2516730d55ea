"""Where the pages are."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from fastapi import Request


def root_of(request: Request) -> str:
    """Where the pages are mounted, without a slash at its end."""
    return str(request.scope.get("root_path", "")).rstrip("/")
