"""What every section of targets.yaml has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationInfo, model_validator


class Section(BaseModel):
    """A mapping of targets.yaml: unknown keys are mistakes, values do not change after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _remember_section(cls, raw: Any, info: ValidationInfo) -> Any:
        # An "unknown key" is reported with the known ones, which only the section knows.
        if info.context is not None and isinstance(raw, dict):
            info.context[id(raw)] = cls
        return raw


class NamedSection(Section):
    """One of several, each under a name of its own."""

    _name: str = PrivateAttr(default="")

    @property
    def name(self) -> str:
        """The key under which targets.yaml lists this section."""
        return self._name
