"""parliament, which still asks pkg_resources where its data is: setuptools brings that no more."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


def _resource_filename(package: str, name: str) -> str:
    spec = importlib.util.find_spec(package)
    assert spec is not None
    assert spec.origin is not None
    return str(Path(spec.origin).parent / name)


_stand_in: Any = ModuleType("pkg_resources")
_stand_in.resource_filename = _resource_filename
sys.modules.setdefault("pkg_resources", _stand_in)

import parliament  # noqa: E402

__all__ = ["parliament"]
