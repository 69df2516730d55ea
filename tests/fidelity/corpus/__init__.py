"""Hard databases: everything a round trip has to bring back, each case a file that asks one question."""

from __future__ import annotations

from tests.fidelity.corpus.databases import DATABASES, CorpusDatabase, create_roles, drop_roles
from tests.fidelity.corpus.objects import OBJECT_CASES, ObjectCase

__all__ = ["DATABASES", "OBJECT_CASES", "CorpusDatabase", "ObjectCase", "create_roles", "drop_roles"]
