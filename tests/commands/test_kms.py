"""A whole backup and its proof with keys in AWS KMS. The KMS is moto's server, a MOCK.

It makes, wraps, opens and forgets keys and checks contexts, but knows neither disabled keys nor callers
without a grant: what KMS answers then is planted in the client.
"""

from __future__ import annotations

import urllib.request
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from moto.server import ThreadedMotoServer

from backstop.crypto.kms import KmsKeyring, kms_clients
from backstop.errors import KeyServiceUnavailableError, KeyUnavailableError
from backstop.model.backup import BackupLabel
from tests.commands.test_dump import ROWS
from tests.protection import Protection, protect

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from backstop.model.backup import Manifest
    from backstop.model.proof import Proof
    from backstop.postgres.connection import ClusterConnection

pytestmark = pytest.mark.integration


class MockKms:
    """moto's server, and clients of it that may be refused."""

    def __init__(self) -> None:
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self.url = f"http://{host}:{port}"
        self.clients = kms_clients(access_key_id="mock", secret_access_key="mock", endpoint_url=self.url)

    def new_key(self, region: str = "eu-central-1") -> str:
        arn: str = self.clients(region).create_key()["KeyMetadata"]["Arn"]
        return arn

    def forget_every_key(self) -> None:
        """As after a key's deletion: they are not found any more."""
        reset = urllib.request.Request(f"{self.url}/moto-api/reset", method="POST")  # noqa: S310 our own server
        urllib.request.urlopen(reset).close()  # noqa: S310

    def refusing(self, operation: str, code: str) -> Callable[[str], Any]:
        """Clients whose calls of one operation are answered with an error of KMS, without asking moto."""

        def answer(**_: Any) -> tuple[Any, dict[str, Any]]:
            http = AWSResponse("https://kms.invalid", 400, {}, None)
            return http, {"Error": {"Code": code, "Message": "planted"}, "ResponseMetadata": {}}

        def build(region: str) -> Any:
            client = self.clients(region)
            client.meta.events.register_first(f"before-call.kms.{operation}", answer)
            return client

        return build

    def stop(self) -> None:
        self._server.stop()


@pytest.fixture
def kms() -> Iterator[MockKms]:
    mock = MockKms()
    yield mock
    mock.stop()


@pytest.fixture
def protection(folder: Path, database: ClusterConnection) -> Protection:
    with database.connect() as session:
        session.execute("RESET search_path")
        session.execute(ROWS.encode())
    return protect(folder, database)


def manifest_of(protection: Protection, label: str) -> Manifest:
    return protection.repository("local").catalog.backup(BackupLabel(label)).manifest


def proofs_of(protection: Protection, label: str) -> tuple[Proof, ...]:
    catalog = protection.repository("local").catalog
    return catalog.proofs(catalog.backup(BackupLabel(label)))


def test_a_backup_under_a_key_in_kms_is_proven_and_names_that_key(protection: Protection, kms: MockKms):
    ring = KmsKeyring([kms.new_key()], client_for=kms.clients)

    report = protection.back_up(keyring=ring)
    proof = protection.prove(report.label, keyring=ring)

    assert proof.differences == ()
    assert proof.matched
    assert manifest_of(protection, report.label).keys == ring.key_ids


def test_a_writer_that_may_encrypt_but_not_decrypt_backs_up_and_the_verifier_proves_it(
    protection: Protection, kms: MockKms
):
    arn = kms.new_key()
    writer = KmsKeyring([arn], client_for=kms.refusing("Decrypt", "AccessDeniedException"))

    label = protection.back_up(keyring=writer).label

    with pytest.raises(KeyUnavailableError, match=f"{arn} .AccessDeniedException"):
        protection.prove(label, keyring=writer)
    assert proofs_of(protection, label) == ()
    assert protection.prove(label, keyring=KmsKeyring([arn], client_for=kms.clients)).matched


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("DisabledException", KeyUnavailableError),
        ("KMSInvalidStateException", KeyUnavailableError),  # pending deletion
        ("ThrottlingException", KeyServiceUnavailableError),
    ],
)
def test_a_key_that_cannot_be_used_for_reading_says_nothing_against_the_backup(
    protection: Protection, kms: MockKms, code: str, error: type[KeyUnavailableError]
):
    arn = kms.new_key()
    label = protection.back_up(keyring=KmsKeyring([arn], client_for=kms.clients)).label
    refused = KmsKeyring([arn], client_for=kms.refusing("Decrypt", code))

    with pytest.raises(KeyUnavailableError, match=f"cannot be opened: {arn} .{code}") as caught:
        protection.prove(label, keyring=refused)

    assert type(caught.value) is error
    assert caught.value.hint
    assert proofs_of(protection, label) == ()
    assert list((protection.folder / "staging").iterdir()) == []


def test_a_deleted_key_is_named_and_no_backup_is_called_damaged_for_it(protection: Protection, kms: MockKms):
    arn = kms.new_key()
    ring = KmsKeyring([arn], client_for=kms.clients)
    label = protection.back_up(keyring=ring).label
    kms.forget_every_key()

    with pytest.raises(KeyUnavailableError, match=f"{arn} .NotFoundException"):
        protection.prove(label, keyring=ring)
    with pytest.raises(KeyUnavailableError, match=f"{arn} .NotFoundException"):
        protection.back_up(keyring=ring)

    assert proofs_of(protection, label) == ()
    assert protection.published() == {"local": [label]}


def test_a_backup_wrapped_in_two_regions_is_proven_when_one_of_them_is_gone(
    protection: Protection, kms: MockKms
):
    arns = [kms.new_key("eu-central-1"), kms.new_key("eu-west-1")]
    label = protection.back_up(keyring=KmsKeyring(arns, client_for=kms.clients)).label
    refuse = kms.refusing("Decrypt", "KMSInvalidStateException")

    first_gone = KmsKeyring(
        arns, client_for=lambda region: (refuse if region == "eu-central-1" else kms.clients)(region)
    )

    assert manifest_of(protection, label).keys == tuple(sorted(arns))
    assert protection.prove(label, keyring=first_gone).matched


def test_a_further_key_out_of_reach_is_missing_from_the_manifest_when_policy_allows_that(
    protection: Protection, kms: MockKms
):
    first, further = kms.new_key("eu-central-1"), kms.new_key("eu-west-1")
    refuse = kms.refusing("Encrypt", "AccessDeniedException")

    def clients(region: str) -> Any:
        return (refuse if region == "eu-west-1" else kms.clients)(region)

    with pytest.raises(KeyUnavailableError, match=further):
        protection.back_up(keyring=KmsKeyring([first, further], client_for=clients))
    assert protection.published() == {"local": []}
    label = protection.back_up(
        keyring=KmsKeyring([first, further], client_for=clients, further_required=False)
    ).label

    assert manifest_of(protection, label).keys == (first,)
