"""The one error of the embedded stack."""

from __future__ import annotations

from backstop.errors import BackstopError


class StackError(BackstopError):
    """A part of the embedded stack could not be set up, started or stopped."""
