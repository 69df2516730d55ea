from __future__ import annotations

import io

import pytest

from backstop.errors import ObjectMissingError
from backstop.model.backup import StoredObject
from backstop.repository.stored import open_stored


class Versions:
    """A storage that keeps these versions of one object."""

    def __init__(self, **versions: bytes) -> None:
        self.versions = versions

    def open(self, key, *, version_id=None):
        if (version_id or "current") not in self.versions:
            raise ObjectMissingError(f"{key} {version_id} does not exist")
        return io.BytesIO(self.versions[version_id or "current"])


def stored(version_id):
    return StoredObject("t/data/x", "file", "x", 1, 1, "0" * 64, "0" * 64, version_id)


def test_the_version_that_the_manifest_names_is_read_though_another_is_current():
    storage = Versions(one=b"ours", current=b"somebody else's")

    assert open_stored(storage, stored("one")).read() == b"ours"


def test_once_that_version_is_gone_what_has_been_stored_anew_is_read():
    storage = Versions(current=b"stored anew")

    assert open_stored(storage, stored("one")).read() == b"stored anew"


@pytest.mark.parametrize("version_id", ["one", None])
def test_where_nothing_has_the_key_it_is_missing(version_id):
    with pytest.raises(ObjectMissingError):
        open_stored(Versions(), stored(version_id))
