"""The wrong context, key or region: each is refused in one sentence that says what it takes.

KMS is moto's server, a MOCK. Ids of multi-Region keys are made to look as those of AWS, ``mrk-`` and 32
digits: moto's own are longer than what it writes into a wrapped key, and never open it.
"""

from __future__ import annotations

import io
import re
import uuid
from typing import TYPE_CHECKING, Any

import pytest
from moto.kms.models import kms_backends
from moto.server import ThreadedMotoServer

from backstop.crypto.envelope import decrypt_stream
from backstop.crypto.kms import KmsKeyring, kms_clients
from backstop.errors import BackstopError, KeyServiceUnavailableError, KeyUnavailableError
from tests.crypto.samples import Sample, open_sample, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

PRIMARY, OTHER = "eu-central-1", "eu-west-1"


@pytest.fixture(scope="module")
def client_for() -> Iterator[Callable[[str], Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield kms_clients(access_key_id="mock", secret_access_key="mock", endpoint_url=f"http://{host}:{port}")
    server.stop()


@pytest.fixture
def multi_region(client_for: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> str:
    """A multi-Region key whose primary is in the first region."""
    monkeypatch.setattr("moto.kms.models.generate_key_id", lambda _: f"mrk-{uuid.uuid4().hex}")
    return new_key(client_for, MultiRegion=True)


def new_key(client_for: Callable[[str], Any], region: str = PRIMARY, **more: Any) -> str:
    arn: str = client_for(region).create_key(**more)["KeyMetadata"]["Arn"]
    return arn


def replica(arn: str) -> str:
    """Of a multi-Region key, in the other region; moto's API does not take such ids."""
    account, key_id = arn.split(":")[4], arn.rpartition("/")[2]
    kms_backends[account][PRIMARY].replicate_key(key_id, OTHER)
    return arn.replace(PRIMARY, OTHER)


def without(region: str, client_for: Callable[[str], Any]) -> Callable[[str], Any]:
    """The same clients, but those of one region reach nobody."""
    dead = kms_clients(access_key_id="mock", secret_access_key="mock", endpoint_url="http://127.0.0.1:1")
    return lambda asked: dead(asked) if asked == region else client_for(asked)


def refusal(sample: Sample, ring: KmsKeyring, folder: Path) -> BackstopError:
    with pytest.raises(BackstopError) as caught:
        open_sample(sample, folder / "out", ring)
    assert caught.value.hint
    assert not (folder / "out").exists()
    return caught.value


def test_another_context_is_refused_by_kms_itself(client_for: Callable[[str], Any]) -> None:
    arn = new_key(client_for)
    asked: list[Any] = []

    def watched(region: str) -> Any:
        client = client_for(region)
        client.meta.events.register(
            "provide-client-params.kms.GenerateDataKey", lambda params, **_: asked.append(params)
        )
        client.meta.events.register(
            "after-call.kms.GenerateDataKey", lambda parsed, **_: asked.append(parsed)
        )
        return client

    seal(b"content", KmsKeyring([arn], client_for=watched))
    params, answer = asked

    client = client_for(PRIMARY)
    with pytest.raises(client.exceptions.InvalidCiphertextException):
        client.decrypt(
            CiphertextBlob=answer["CiphertextBlob"],
            EncryptionContext={**params["EncryptionContext"], "target": "another"},
        )


def test_a_stored_object_under_the_name_of_another_is_refused(client_for: Callable[[str], Any]) -> None:
    ring = KmsKeyring([new_key(client_for)], client_for=client_for)
    sample = seal(b"content", ring)
    other = {**sample.context, next(iter(sample.context)): "another"}

    with pytest.raises(BackstopError, match="was written for another object") as caught:
        list(decrypt_stream(io.BytesIO(sample.stored), keyring=ring, context=other))
    assert caught.value.hint


def test_another_key_is_refused_and_the_one_it_takes_is_named(
    tmp_path: Path, client_for: Callable[[str], Any]
) -> None:
    right, wrong = new_key(client_for), new_key(client_for)
    sample = seal(b"content", KmsKeyring([right], client_for=client_for))

    error = refusal(sample, KmsKeyring([wrong], client_for=client_for), tmp_path)

    assert type(error) is KeyUnavailableError
    assert right in error.message


def test_the_key_of_another_region_is_refused_and_the_one_it_takes_is_named(
    tmp_path: Path, client_for: Callable[[str], Any]
) -> None:
    right = new_key(client_for)
    sample = seal(b"content", KmsKeyring([right], client_for=client_for))

    error = refusal(sample, KmsKeyring([right.replace(PRIMARY, OTHER)], client_for=client_for), tmp_path)

    assert type(error) is KeyUnavailableError
    assert re.search(PRIMARY, error.message), error.message


def test_a_replica_of_a_multi_region_key_opens_when_the_first_region_is_gone(
    tmp_path: Path, client_for: Callable[[str], Any], multi_region: str
) -> None:
    sample = seal(b"content", KmsKeyring([multi_region], client_for=client_for))
    there = replica(multi_region)
    gone = without(PRIMARY, client_for)

    open_sample(sample, tmp_path / "out", KmsKeyring([there], client_for=gone))

    assert (tmp_path / "out").read_bytes() == b"content"


def test_the_primary_alone_says_that_its_region_does_not_answer(
    tmp_path: Path, client_for: Callable[[str], Any], multi_region: str
) -> None:
    sample = seal(b"content", KmsKeyring([multi_region], client_for=client_for))

    error = refusal(sample, KmsKeyring([multi_region], client_for=without(PRIMARY, client_for)), tmp_path)

    assert type(error) is KeyServiceUnavailableError
    assert error.retryable
    assert multi_region in error.message
