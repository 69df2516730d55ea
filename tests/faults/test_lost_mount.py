"""A repository whose disk is not mounted: its folder is there, and empty."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from backstop.crypto.signing import TrustedSigners, create_signing_keys
from backstop.errors import StorageUnavailableError
from backstop.repository.catalog import Catalog
from backstop.storage.posix import PosixStorage

if TYPE_CHECKING:
    from pathlib import Path

    from tests.faults.conftest import SmallDisk

pytestmark = pytest.mark.system
MIB = 1024 * 1024


@pytest.mark.parametrize("below", ["", "repository", "deeper/repository"])
def test_a_mount_point_without_its_disk_is_out_of_reach_and_no_fresh_repository(
    small_disk: SmallDisk, tmp_path: Path, below: str
) -> None:
    create_signing_keys(tmp_path / "signing")
    trust = TrustedSigners.load(tmp_path / "signing" / "trusted.json")
    root = small_disk.path / below
    root.mkdir(parents=True, exist_ok=True)
    catalog = Catalog(PosixStorage(root, mounted=True), "calibrify", trust=trust)
    catalog.repository_id(create=True)
    small_disk.unmount()

    storage = PosixStorage(root, mounted=True)
    for use in (
        lambda: list(storage.list("")),
        lambda: storage.read("repository.json"),
        lambda: storage.stat("repository.json"),
        lambda: storage.put_once("repository.json", b"{}"),
        lambda: storage.delete("repository.json"),
        storage.check,
        lambda: Catalog(storage, "calibrify", trust=trust).repository_id(create=True),
    ):
        with pytest.raises(StorageUnavailableError, match="nothing is mounted there") as caught:
            use()
        assert caught.value.retryable
    assert list(small_disk.path.iterdir()) == []
    small_disk.mount(2 * MIB)


def test_a_folder_that_no_disk_is_expected_for_is_used_as_it_is(tmp_path: Path) -> None:
    PosixStorage(tmp_path / "repository").put_once("a", b"1")

    assert (tmp_path / "repository" / "a").read_bytes() == b"1"
