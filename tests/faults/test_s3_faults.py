"""S3 answering 503, cutting, stalling, losing acknowledgements, being off: never a wrong or half object."""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING

import pytest

from backstop.errors import (
    IntegrityError,
    ObjectConflictError,
    StorageError,
    StorageFullError,
    StorageUnavailableError,
)
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_retry import Patience
from tests.faults.conftest import BUCKET
from tests.faults.s3_proxy import (
    answer,
    cut_answer,
    cut_request,
    damage_body,
    lose_acknowledgement,
    stall,
)

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.integration

MIB = 1024 * 1024


@pytest.fixture
def payload(tmp_path: Path) -> Path:
    """Four of the storage's 5 MiB parts, the last one short."""
    path = tmp_path / "payload"
    path.write_bytes(os.urandom(17 * MIB))
    return path


def uploads_in_progress(client, corner: str) -> list[str]:
    found = client.list_multipart_uploads(Bucket=BUCKET, Prefix=corner).get("Uploads", [])
    return [upload["Key"] for upload in found]


def test_without_faults_the_proxy_changes_nothing(storage, truth, payload):
    storage.put_once("t/meta/a", b"a")
    storage.upload("t/data/b", payload)

    assert truth.read("t/meta/a") == storage.read("t/meta/a") == b"a"
    assert truth.read("t/data/b") == storage.read("t/data/b") == payload.read_bytes()


@pytest.mark.parametrize(
    ("status", "code"),
    [(503, "SlowDown"), (500, "InternalError"), (409, "ConditionalRequestConflict"), (429, "")],
)
def test_a_busy_service_is_asked_again(proxy, storage, truth, status, code):
    proxy.plant(answer(status, code), method="PUT", times=2)

    storage.put_once("t/meta/a", b"a")

    assert truth.read("t/meta/a") == b"a"
    assert proxy.count("PUT") >= 3


def test_every_operation_survives_a_503(proxy, storage, payload):
    proxy.plant(answer(503), method="PUT", times=2)
    storage.put_once("t/meta/a", b"a")
    proxy.plant(answer(503), times=3)
    storage.upload("t/data/a", payload)
    proxy.plant(answer(503), times=2)
    assert storage.read("t/meta/a") == b"a"
    proxy.plant(answer(503), times=2)
    assert [info.key for info in storage.list("t/")] == ["t/data/a", "t/meta/a"]
    proxy.plant(answer(503), times=2)
    assert storage.stat("t/data/a").size_bytes == 17 * MIB
    proxy.plant(answer(503), times=2)
    storage.delete("t/data/a")
    proxy.plant(answer(503), times=2)
    storage.check()


def test_a_service_that_stays_busy_is_given_up_with_its_own_words(proxy, storage):
    proxy.plant(answer(503, "SlowDown"), times=None)

    with pytest.raises(
        StorageUnavailableError, match=r"t/meta/a: put failed: HTTP 503 SlowDown \(7 attempts"
    ) as e:
        storage.put_once("t/meta/a", b"a")

    assert e.value.retryable
    assert e.value.hint


def test_a_put_whose_acknowledgement_was_lost_succeeds(proxy, storage, truth):
    proxy.plant(lose_acknowledgement(), method="PUT")

    info = storage.put_once("t/meta/a", b"a")

    assert proxy.count("PUT") >= 2  # the second one was told 412, and compared
    assert info.size_bytes == 1
    assert truth.read("t/meta/a") == b"a"


def test_a_lost_acknowledgement_never_hides_somebody_elses_object(proxy, storage, truth):
    truth.put_once("t/meta/a", b"theirs")
    proxy.plant(lose_acknowledgement(), method="PUT")

    with pytest.raises(ObjectConflictError, match="exists with other content"):
        storage.put_once("t/meta/a", b"ours")

    assert truth.read("t/meta/a") == b"theirs"


@pytest.mark.parametrize("query", ["uploads", "partNumber=2", "uploadId="])
def test_an_upload_survives_a_lost_acknowledgement_at_every_step(
    proxy, storage, truth, payload, direct_client, corner, query
):
    method = "PUT" if "part" in query else "POST"
    proxy.plant(lose_acknowledgement(), method=method, query=query)

    info = storage.upload("t/data/a", payload)

    assert info.size_bytes == 17 * MIB
    assert truth.read("t/data/a") == payload.read_bytes()


def test_a_single_put_upload_survives_a_lost_acknowledgement(proxy, storage, truth, tmp_path):
    source = tmp_path / "small"
    source.write_bytes(b"small")
    proxy.plant(lose_acknowledgement(), method="PUT")

    assert storage.upload("t/data/a", source).size_bytes == 5

    assert truth.read("t/data/a") == b"small"


@pytest.mark.parametrize(
    "fault", [cut_request(2 * MIB), stall(), answer(500, "InternalError"), damage_body()]
)
def test_a_part_that_fails_on_its_way_is_sent_again(proxy, storage, truth, payload, fault):
    proxy.plant(fault, method="PUT", query="partNumber=3", times=2)

    storage.upload("t/data/a", payload)

    assert truth.read("t/data/a") == payload.read_bytes()


def test_damage_on_the_way_is_never_stored(proxy, storage, truth, tmp_path):
    source = tmp_path / "small"
    source.write_bytes(b"small")
    proxy.plant(damage_body(), times=None)

    with pytest.raises(StorageError):
        storage.upload("t/data/a", source)
    with pytest.raises(StorageError):
        storage.put_once("t/meta/a", b"a")

    assert list(truth.list("")) == []


@pytest.mark.parametrize(
    "fault", [cut_request(MIB), answer(503), answer(403, "AccessDenied"), answer(507, "InsufficientStorage")]
)
def test_an_upload_that_fails_for_good_leaves_nothing_visible_and_nothing_billed(
    proxy, storage, truth, payload, direct_client, corner, fault
):
    proxy.plant(fault, method="PUT", query="partNumber=2", times=None)

    with pytest.raises(StorageError, match=r"t/data/a: upload \(part 2\) failed"):
        storage.upload("t/data/a", payload)

    assert list(truth.list("")) == []
    assert uploads_in_progress(direct_client, corner) == []


def test_an_upload_that_cannot_clean_up_says_so(proxy, storage, payload):
    proxy.plant(answer(403, "AccessDenied"), method="PUT", query="partNumber=2", times=None)
    proxy.plant(answer(403, "AccessDenied"), method="DELETE", times=None)

    with pytest.raises(StorageError, match="its parts could not be removed"):
        storage.upload("t/data/a", payload)


def test_a_source_that_shrinks_during_its_upload_is_named_and_nothing_is_stored(
    proxy, storage, truth, payload, direct_client, corner
):
    def shrink(handler) -> None:
        os.truncate(payload, MIB)
        handler.forward()

    proxy.plant(shrink, method="POST", query="uploads")

    with pytest.raises(StorageError, match="became shorter during its upload"):
        storage.upload("t/data/a", payload)

    assert list(truth.list("")) == []
    assert uploads_in_progress(direct_client, corner) == []


def test_a_full_bucket_is_named(proxy, storage):
    proxy.plant(answer(507, "InsufficientStorage"), method="PUT")

    with pytest.raises(StorageFullError, match="HTTP 507 InsufficientStorage"):
        storage.put_once("t/meta/a", b"a")


@pytest.mark.parametrize("fault", [cut_answer(3 * MIB), stall(after_bytes=3 * MIB), answer(503)])
def test_a_read_that_breaks_off_is_resumed_where_it_was(proxy, storage, truth, payload, fault):
    truth.upload("t/data/a", payload)
    proxy.plant(fault, method="GET", times=2)

    with storage.open("t/data/a") as stream:
        assert stream.read() == payload.read_bytes()

    assert proxy.count("GET") >= 3
    assert "Range" in proxy.requests[-1].headers or fault.__qualname__.startswith("answer")


def test_a_read_that_breaks_off_again_and_again_arrives_as_long_as_it_gets_on(proxy, storage, truth, payload):
    truth.upload("t/data/a", payload)
    proxy.plant(cut_answer(int(1.2 * MIB)), method="GET", times=None)

    with storage.open("t/data/a") as stream:
        assert stream.read() == payload.read_bytes()

    assert proxy.count("GET") > Patience().attempts


def test_a_read_that_does_not_get_on_is_an_error_never_an_early_end(proxy, storage, truth, payload):
    truth.upload("t/data/a", payload)
    proxy.plant(cut_answer(2 * MIB), method="GET")
    proxy.plant(cut_answer(10), method="GET", times=None)

    with (
        storage.open("t/data/a") as stream,
        pytest.raises(StorageUnavailableError, match=r"t/data/a: read .* at byte \d+ of 17825792"),
    ):
        stream.read()


def test_an_object_that_is_replaced_while_it_is_read_is_refused(
    proxy, storage, truth, payload, direct_client, corner
):
    truth.upload("t/data/a", payload)

    def replace_and_cut(handler) -> None:
        handler.forward(cut_after=2 * MIB)
        direct_client.put_object(Bucket=BUCKET, Key=f"{corner}/t/data/a", Body=b"x" * 17 * MIB)

    proxy.plant(replace_and_cut, method="GET")

    with (
        storage.open("t/data/a") as stream,
        pytest.raises(IntegrityError, match="replaced while it was read"),
    ):
        stream.read()


def test_a_listing_that_breaks_off_is_complete_all_the_same(proxy, storage, truth):
    for number in range(5):
        truth.put_once(f"t/meta/{number}", b"x")
    proxy.plant(cut_answer(100), method="GET", times=2)

    assert len(list(storage.list("t/meta/"))) == 5


def test_a_service_that_is_switched_off_is_noticed_soon(proxy, broken_client, corner):
    storage = S3Storage(broken_client, bucket=BUCKET, prefix=corner)  # production's patience
    proxy.refuse_connections()
    began = time.monotonic()

    with pytest.raises(StorageUnavailableError, match="the endpoint cannot be reached") as caught:
        storage.check()

    assert time.monotonic() - began < 20
    assert "check that the endpoint is up" in caught.value.hint


def test_a_service_that_comes_back_in_time_is_used(proxy, broken_client, corner, truth):
    storage = S3Storage(broken_client, bucket=BUCKET, prefix=corner)
    proxy.refuse_connections()
    threading.Timer(0.7, proxy.accept_connections).start()

    storage.put_once("t/meta/a", b"a")

    assert truth.read("t/meta/a") == b"a"


def test_a_service_that_never_answers_is_given_up_within_its_patience(proxy, broken_client, corner):
    patience = Patience(total_seconds=2.0, first_pause_seconds=0.01)
    storage = S3Storage(broken_client, bucket=BUCKET, prefix=corner, patience=patience)
    proxy.plant(stall(), times=None)
    began = time.monotonic()

    with pytest.raises(StorageUnavailableError, match="the endpoint stopped answering"):
        storage.stat("t/meta/a")

    assert time.monotonic() - began < 5


def test_a_writer_that_may_not_look_at_payload_can_upload_all_the_same(proxy, storage, truth, payload):
    proxy.plant(answer(403, "AccessDenied"), method="HEAD", times=None)

    info = storage.upload("t/data/a", payload)

    assert info.size_bytes == 17 * MIB
    assert truth.read("t/data/a") == payload.read_bytes()


def test_a_writer_that_may_not_look_does_not_call_a_lost_acknowledgement_success(proxy, storage, tmp_path):
    source = tmp_path / "small"
    source.write_bytes(b"small")
    proxy.plant(answer(403, "AccessDenied"), method="HEAD", times=None)
    proxy.plant(lose_acknowledgement(), method="PUT")

    with pytest.raises(StorageUnavailableError, match="what is stored is not known"):
        storage.upload("t/data/a", source)


@pytest.mark.parametrize("size_bytes", [4, 17 * MIB])
def test_a_service_that_acknowledges_and_stores_something_else_is_caught(
    proxy, storage, direct_client, corner, tmp_path, size_bytes
):
    source = tmp_path / "source"
    source.write_bytes(b"x" * size_bytes)

    def cut_short(handler) -> None:
        direct_client.put_object(Bucket=BUCKET, Key=f"{corner}/t/data/a", Body=b"cut")
        handler.forward()

    proxy.plant(cut_short, method="HEAD")

    with pytest.raises(StorageError, match=rf"has 3 bytes after {size_bytes} were acknowledged"):
        storage.upload("t/data/a", source)


def test_a_service_that_acknowledges_and_stores_nothing_is_caught(
    proxy, storage, direct_client, corner, payload
):
    def drop(handler) -> None:
        direct_client.delete_object(Bucket=BUCKET, Key=f"{corner}/t/data/a")
        handler.forward()

    proxy.plant(drop, method="HEAD")

    with pytest.raises(StorageError, match="does not exist although its upload was acknowledged"):
        storage.upload("t/data/a", payload)
