"""AWS KMS key rings against moto's server: a MOCK of KMS.

It wraps and checks contexts, but does not refuse disabled keys or callers without a grant: what KMS
answers then is planted in the client.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.awsrequest import AWSResponse
from moto.server import ThreadedMotoServer

from backstop.crypto.keyring import CombinedKeyring, LocalKeyring
from backstop.crypto.kms import KmsKeyring, kms_clients
from backstop.crypto.kms_rotation import ensure_rotation, rotate_at_once
from backstop.errors import (
    ConfigurationError,
    IntegrityError,
    KeyServiceUnavailableError,
    KeyUnavailableError,
)
from tests.crypto.samples import open_sample, seal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

UNKNOWN_ARN = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-0000-0000-000000000000"


@pytest.fixture(scope="module")
def client_for() -> Iterator[Callable[[str], Any]]:
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield kms_clients(access_key_id="mock", secret_access_key="mock", endpoint_url=f"http://{host}:{port}")
    server.stop()


def new_key(client_for: Callable[[str], Any], region: str = "eu-central-1") -> str:
    arn: str = client_for(region).create_key()["KeyMetadata"]["Arn"]
    return arn


def refusing(client_for: Callable[[str], Any], operation: str, code: str) -> Callable[[str], Any]:
    """The same clients, whose calls of one operation are answered with an error of KMS."""

    def answer(**_: Any) -> tuple[Any, dict[str, Any]]:
        http = AWSResponse("https://kms.invalid", 400, {}, None)
        return http, {"Error": {"Code": code, "Message": "planted"}, "ResponseMetadata": {}}

    def build(region: str) -> Any:
        client = client_for(region)
        client.meta.events.register_first(f"before-call.kms.{operation}", answer)
        return client

    return build


def test_an_object_wrapped_by_kms_opens_with_kms(tmp_path: Path, client_for: Callable[[str], Any]) -> None:
    ring = KmsKeyring([new_key(client_for)], client_for=client_for)

    sample = seal(b"content", ring)
    open_sample(sample, tmp_path / "out", ring)

    assert (tmp_path / "out").read_bytes() == b"content"
    assert sample.keys == ring.key_ids
    assert ring.check() == ()


def test_kms_is_told_the_context_of_every_object(client_for: Callable[[str], Any]) -> None:
    arn = new_key(client_for)
    seen: list[Any] = []

    def watched(region: str) -> Any:
        client = client_for(region)
        client.meta.events.register(
            "provide-client-params.kms.GenerateDataKey", lambda params, **_: seen.append(params)
        )
        return client

    sample = seal(b"content", KmsKeyring([arn], client_for=watched))

    assert [params["EncryptionContext"] for params in seen] == [sample.context]


def test_each_of_two_regions_keys_opens_alone(tmp_path: Path, client_for: Callable[[str], Any]) -> None:
    arns = [new_key(client_for, region) for region in ("eu-central-1", "eu-west-1")]
    sample = seal(b"content", KmsKeyring(arns, client_for=client_for))

    assert sample.keys == tuple(arns)
    for arn in arns:
        open_sample(sample, tmp_path / "out", KmsKeyring([arn], client_for=client_for))


def test_a_key_that_is_not_configured_is_never_used_to_open(
    tmp_path: Path, client_for: Callable[[str], Any]
) -> None:
    wrapped_by, other = new_key(client_for), new_key(client_for)
    sample = seal(b"content", KmsKeyring([wrapped_by], client_for=client_for))

    with pytest.raises(KeyUnavailableError, match=re.escape(f"it was wrapped by {wrapped_by}")):
        open_sample(sample, tmp_path / "out", KmsKeyring([other], client_for=client_for))


def test_a_local_ring_beside_kms_opens_when_kms_is_gone(
    tmp_path: Path, keyring: LocalKeyring, client_for: Callable[[str], Any]
) -> None:
    kms = KmsKeyring([new_key(client_for)], client_for=client_for)
    sample = seal(b"content", CombinedKeyring(kms, keyring))

    open_sample(sample, tmp_path / "out", keyring)
    gone = KmsKeyring(kms.key_ids, client_for=kms_clients_of_nobody())
    open_sample(sample, tmp_path / "out", CombinedKeyring(gone, keyring))

    assert (tmp_path / "out").read_bytes() == b"content"


def kms_clients_of_nobody() -> Callable[[str], Any]:
    """KMS at a port where nobody listens; one attempt, so that the test is quick."""
    from botocore.config import Config
    from botocore.session import Session

    def client_for(region: str) -> Any:
        session = Session()
        session.set_credentials("mock", "mock")
        return session.create_client(
            "kms",
            region_name=region,
            endpoint_url="http://127.0.0.1:9",
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client_for


def test_a_kms_that_does_not_answer_may_be_tried_again_later() -> None:
    ring = KmsKeyring([UNKNOWN_ARN], client_for=kms_clients_of_nobody())

    with pytest.raises(KeyServiceUnavailableError, match="EndpointConnectionError") as caught:
        seal(b"content", ring)
    assert caught.value.retryable
    with pytest.raises(KeyServiceUnavailableError, match=UNKNOWN_ARN):
        ring.check()


@pytest.mark.parametrize(
    ("code", "error", "retryable"),
    [
        ("AccessDeniedException", KeyUnavailableError, False),
        ("KMSInvalidStateException", KeyUnavailableError, False),
        ("DisabledException", KeyUnavailableError, False),
        ("ThrottlingException", KeyServiceUnavailableError, True),
        ("KMSInternalException", KeyServiceUnavailableError, True),
        ("InvalidCiphertextException", IntegrityError, False),
    ],
)
def test_what_kms_answers_to_decrypt_decides_what_is_wrong(
    code: str,
    error: type[Exception],
    retryable: bool,
    tmp_path: Path,
    client_for: Callable[[str], Any],
) -> None:
    arn = new_key(client_for)
    sample = seal(b"content", KmsKeyring([arn], client_for=client_for))
    ring = KmsKeyring([arn], client_for=refusing(client_for, "Decrypt", code))

    with pytest.raises(error, match=arn) as caught:
        open_sample(sample, tmp_path / "out", ring)

    assert type(caught.value) is error
    assert caught.value.retryable is retryable  # type: ignore[attr-defined]


def test_a_key_that_does_not_exist_stops_the_backup_before_anything_is_written(
    client_for: Callable[[str], Any],
) -> None:
    ring = KmsKeyring([UNKNOWN_ARN], client_for=client_for)

    with pytest.raises(KeyUnavailableError, match="NotFoundException"):
        ring.check()
    with pytest.raises(KeyUnavailableError, match="NotFoundException"):
        seal(b"content", ring)


def test_a_disabled_key_fails_its_check(client_for: Callable[[str], Any]) -> None:
    disabled = refusing(client_for, "GenerateDataKey", "DisabledException")

    with pytest.raises(KeyUnavailableError, match="DisabledException"):
        KmsKeyring([new_key(client_for)], client_for=disabled).check()


def test_a_further_key_out_of_reach_stops_the_backup_or_is_reported_as_policy_says(
    tmp_path: Path, client_for: Callable[[str], Any]
) -> None:
    arns = [new_key(client_for), UNKNOWN_ARN]

    with pytest.raises(KeyUnavailableError, match=UNKNOWN_ARN):
        seal(b"content", KmsKeyring(arns, client_for=client_for))
    best_effort = KmsKeyring(arns, client_for=client_for, further_required=False)
    sample = seal(b"content", best_effort)

    assert sample.keys == (arns[0],)
    assert best_effort.check() == (UNKNOWN_ARN,)
    open_sample(sample, tmp_path / "out", best_effort)


def test_a_role_that_may_only_encrypt_can_still_check_its_ring(client_for: Callable[[str], Any]) -> None:
    ring = KmsKeyring(
        [new_key(client_for)], client_for=refusing(client_for, "Decrypt", "AccessDeniedException")
    )

    assert ring.check(opening=False) == ()
    with pytest.raises(KeyUnavailableError, match="AccessDeniedException"):
        ring.check()


@pytest.mark.parametrize(
    "arn",
    [
        "alias/backup",
        "00000000-0000-0000-0000-000000000000",
        "arn:aws:kms:eu-central-1:123456789012:alias/backup",
        "arn:aws:s3:::bucket",
    ],
)
def test_only_full_key_arns_are_accepted(arn: str) -> None:
    with pytest.raises(ConfigurationError, match="is not the ARN of a KMS key"):
        KmsKeyring([arn], client_for=kms_clients_of_nobody())


def test_no_key_at_all_is_a_mistake_in_the_configuration() -> None:
    with pytest.raises(ConfigurationError, match="no KMS key is named"):
        KmsKeyring([], client_for=kms_clients_of_nobody())


# -- Rotation ------------------------------------------------------------------------------------------------


def test_a_key_that_does_not_rotate_is_told_to_every_ninety_days(client_for: Callable[[str], Any]) -> None:
    arn, client = new_key(client_for), client_for("eu-central-1")
    asked: list[dict[str, Any]] = []
    client.meta.events.register(
        "before-parameter-build.kms.EnableKeyRotation", lambda params, **_: asked.append(params)
    )

    with pytest.raises(KeyUnavailableError, match=r"rotates never; every 90 days were agreed.*rotate-keys"):
        ensure_rotation(client, arn, timedelta(days=90), apply=False)
    assert "every 90 days from now on; before: never" in ensure_rotation(
        client, arn, timedelta(days=90), apply=True
    )

    assert asked == [{"KeyId": arn, "RotationPeriodInDays": 90}]
    assert client.get_key_rotation_status(KeyId=arn)["KeyRotationEnabled"]


def test_new_material_at_once_opens_what_the_former_wrapped(
    client_for: Callable[[str], Any], tmp_path: Path
) -> None:
    arn = new_key(client_for)
    ring = KmsKeyring([arn], client_for=client_for)
    before = seal(b"before", ring)

    assert "new material" in rotate_at_once(client_for("eu-central-1"), arn)

    rotations = client_for("eu-central-1").list_key_rotations(KeyId=arn)["Rotations"]
    assert [one["RotationType"] for one in rotations] == ["ON_DEMAND"]
    for sample, plain in ((before, b"before"), (seal(b"after", ring), b"after")):
        open_sample(sample, tmp_path / "opened", ring)
        assert (tmp_path / "opened").read_bytes() == plain


def test_who_may_not_rotate_a_key_is_told_which_permission_is_missing(
    client_for: Callable[[str], Any],
) -> None:
    arn = new_key(client_for)
    client = refusing(client_for, "EnableKeyRotation", "AccessDeniedException")("eu-central-1")

    with pytest.raises(KeyUnavailableError, match="kms:EnableKeyRotation"):
        ensure_rotation(client, arn, timedelta(days=90), apply=True)
