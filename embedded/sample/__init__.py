"""Calibrify's sample data: a database, a media tree and configuration files, the same on every run."""

from __future__ import annotations

from embedded.sample.database import SampleLoad, create_empty, load, loaded
from embedded.sample.trees import write_config, write_media

__all__ = ["SampleLoad", "create_empty", "load", "loaded", "write_config", "write_media"]
