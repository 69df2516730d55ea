"""Storages that keep what is deleted, and what they lock: freeing space there, tried on each of them."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest

from backstop.errors import StorageError, StorageUnavailableError
from backstop.storage.memory import MemoryStorage
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_retry import Patience

if TYPE_CHECKING:
    from collections.abc import Callable

    from mypy_boto3_s3 import S3Client

    from backstop.storage.base import Storage

    Lock = Callable[[str, datetime | None], None]

SOON = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=1)


@pytest.fixture(scope="session")
def locking_bucket(client: S3Client) -> str:
    """A bucket with Object Lock, which has versions too."""
    client.create_bucket(Bucket="backstop-locked", ObjectLockEnabledForBucket=True)
    return "backstop-locked"


@pytest.fixture(params=["memory", pytest.param("s3", marks=pytest.mark.integration)])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "memory":
        return MemoryStorage(versioned=True)
    bucket = request.getfixturevalue("locking_bucket")
    return S3Storage(request.getfixturevalue("client"), bucket=bucket, prefix=f"t/{uuid.uuid4().hex}")


@pytest.fixture
def lock(storage: Storage, request: pytest.FixtureRequest) -> Lock:
    if isinstance(storage, MemoryStorage):
        return lambda key, until: storage.lock_object(key, until=until)
    client, bucket = request.getfixturevalue("client"), request.getfixturevalue("locking_bucket")
    prefix = storage.location.removeprefix(f"s3://{bucket}/")

    def lock(key: str, until: datetime | None) -> None:
        where: dict[str, Any] = {"Bucket": bucket, "Key": f"{prefix}/{key}"}
        if until is None:
            client.put_object_legal_hold(**where, LegalHold={"Status": "ON"})
        else:
            client.put_object_retention(**where, Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until})

    return lock


def every(storage: Storage) -> list[tuple[str, str | None]]:
    return [(one.key, one.version_id) for one in storage.versions("")]


def test_a_deleted_object_still_takes_space_until_its_version_goes(storage):
    storage.put_once("t/data/a", b"12345")
    storage.delete("t/data/a")

    assert list(storage.list("")) == []
    found = list(storage.versions("t/"))
    assert sum(one.size_bytes for one in found) == 5
    assert [one.is_latest for one in found if one.is_marker] == [True]

    storage.delete_many(every(storage))

    assert every(storage) == []


def test_every_version_of_a_key_is_seen_and_goes_by_its_id(storage):
    for content in (b"1", b"22", b"333"):
        storage.put_once("t/data/a", content)
        storage.delete("t/data/a")

    assert sorted(one.size_bytes for one in storage.versions("") if not one.is_marker) == [1, 2, 3]

    doomed = [one for one in storage.versions("") if one.size_bytes == 2]
    storage.delete_many([(one.key, one.version_id) for one in doomed])

    assert sorted(one.size_bytes for one in storage.versions("") if not one.is_marker) == [1, 3]


def test_more_versions_than_a_page_and_a_batch_hold(storage):
    if not isinstance(storage, MemoryStorage):
        storage._versions._client = Paging(storage._versions._client, at_most=7)
    for number in range(10):
        storage.put_once(f"t/data/{number:02d}", b"1")
        storage.delete(f"t/data/{number:02d}")

    assert len(every(storage)) == len(set(every(storage))) == 20


@pytest.mark.parametrize("until", [SOON, None])
def test_a_locked_version_stays_and_says_how_long(storage, lock, until):
    storage.put_once("t/data/a", b"locked")
    storage.put_once("t/data/b", b"free")
    lock("t/data/a", until)

    [kept] = storage.delete_many(every(storage))

    assert kept.key == "t/data/a"
    assert kept.lock.until == until
    assert [key for key, _ in every(storage)] == ["t/data/a"]
    assert storage.read("t/data/a") == b"locked"
    assert storage.lock("t/data/a").until == until


class Paging:
    """A client whose pages are small."""

    def __init__(self, client: Any, *, at_most: int) -> None:
        self._client = client
        self._at_most = at_most

    def list_object_versions(self, **request: Any) -> Any:
        return self._client.list_object_versions(**request, MaxKeys=self._at_most)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


class Answering:
    """A client that answers DeleteObjects with these errors, in turn, and knows no lock."""

    def __init__(self, *answers: list[dict[str, str]]) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []

    def delete_objects(self, *, Bucket: str, Delete: dict[str, Any]) -> dict[str, Any]:
        self.asked.append(len(Delete["Objects"]))
        return {"Errors": self.answers.pop(0)} if self.answers else {}

    def get_object_retention(self, **_: Any) -> dict[str, Any]:
        return {}

    get_object_legal_hold = get_object_retention


def answering(*answers: list[dict[str, str]]) -> tuple[S3Storage, Answering]:
    client = Answering(*answers)
    patience = Patience(attempts=3, sleep=lambda _: None)
    return S3Storage(client, bucket="b", prefix="p", patience=patience), client  # type: ignore[arg-type]


def test_a_thousand_go_in_one_request():
    storage, client = answering()

    storage.delete_many((f"t/data/{number}", None) for number in range(2500))

    assert client.asked == [1000, 1000, 500]


def test_a_service_that_is_busy_with_one_of_them_is_asked_again():
    busy = [{"Key": "p/t/data/a", "Code": "InternalError"}]
    storage, client = answering(busy, busy)

    storage.delete_many([("t/data/a", None)])
    assert len(client.asked) == 3

    client.answers = [busy, busy, busy]
    with pytest.raises(StorageUnavailableError, match="InternalError"):
        storage.delete_many([("t/data/a", None)])


def test_a_role_without_the_right_is_told_which_role_has_it():
    storage, _ = answering([{"Key": "p/t/data/a b", "VersionId": "1", "Code": "AccessDenied"}])

    with pytest.raises(StorageError, match="t/data/a b: delete failed: AccessDenied") as refused:
        storage.delete_many([("t/data/a b", "1")])

    assert "role of the expirer" in refused.value.hint


def test_any_other_refusal_of_one_object_is_an_error_and_absence_is_none():
    storage, _ = answering([{"Key": "p/t/data/a", "Code": "NoSuchVersion"}])
    assert storage.delete_many([("t/data/a", "1")]) == ()

    storage, _ = answering([{"Key": "p/t/data/a", "Code": "MalformedXML"}])
    with pytest.raises(StorageError, match="t/data/a: delete failed: HTTP 200 MalformedXML"):
        storage.delete_many([("t/data/a", "1")])
