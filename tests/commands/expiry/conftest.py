"""One signing key a session, one empty repository a test."""

from __future__ import annotations

import pytest

from tests.commands.expiry.carrying import Interrupting
from tests.expiring import Signing, World


@pytest.fixture(scope="session")
def signing(tmp_path_factory: pytest.TempPathFactory) -> Signing:
    return Signing.create(tmp_path_factory.mktemp("signing") / "keys")


@pytest.fixture
def world(signing: Signing) -> World:
    return World(signing)


@pytest.fixture
def interrupting(signing: Signing) -> World:
    return World(signing, Interrupting())
