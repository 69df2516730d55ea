"""A connection that names a role comes as that role: in S3 and in KMS, and longer than its credentials last.

STS, S3 and KMS are moto's server, a MOCK; one that refuses is a server of our own.
"""

from __future__ import annotations

import re
import threading
import traceback
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from moto.server import ThreadedMotoServer

from backstop.credentials import Credential
from backstop.errors import ConfigurationError, StorageUnavailableError
from backstop.storage.s3 import S3Storage
from backstop.storage.s3_client import s3_client
from backstop.storage.s3_retry import Patience
from backstop.targets.models import KmsKeys
from backstop.wiring.keys import kms_clients_of

ROLE = "arn:aws:iam::123456789012:role/backstop-writer"
KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"


def connection(**extra: Any) -> Credential:
    return Credential("s3_writer", "aws", login="AKIAWORKER", password="hunter2", extra=extra)


@pytest.fixture(scope="module")
def aws():
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture
def sts(aws, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", aws)


def signers(client: Any) -> list[str]:
    """Ids of the access keys of each request from now on."""
    found: list[str] = []

    def note(request: Any, **_: Any) -> None:
        said = request.headers["Authorization"]
        found.append(re.search(r"Credential=(\w+)/", said if isinstance(said, str) else said.decode())[1])

    client.meta.events.register("before-send", note)
    return found


@pytest.mark.usefixtures("sts")
def test_a_bucket_is_asked_as_the_role_and_not_as_who_assumed_it(aws):
    client = s3_client(connection(role_arn=ROLE), endpoint_url=aws, region="eu-central-1")
    found = signers(client)

    client.list_buckets()
    client.list_buckets()

    assert len(found) == 2
    assert found[0] == found[1] != "AKIAWORKER"


@pytest.mark.usefixtures("sts")
def test_credentials_of_a_role_are_renewed_before_they_end(aws):
    # A quarter of an hour is the least that AWS gives: botocore renews what ends within it.
    kwargs = {"DurationSeconds": 900, "ExternalId": "lab", "RoleSessionName": "lab"}
    client = s3_client(
        connection(role_arn=ROLE, assume_role_kwargs=kwargs), endpoint_url=aws, region="eu-central-1"
    )
    found = signers(client)

    client.list_buckets()
    client.list_buckets()

    assert len(set(found)) == 2


@pytest.mark.usefixtures("sts")
def test_a_key_is_used_as_the_role(aws):
    class Known:
        def get(self, conn_id: str) -> Credential:
            return connection(role_arn=ROLE)

    keys = KmsKeys(
        storage="aws-kms",
        key_arn=KEY,
        signing="/keys",
        endpoint_url=aws,
        connections={"decrypt": "kms_restorer"},
    )
    client = kms_clients_of(keys, "decrypt", Known())("eu-central-1")
    found = signers(client)

    client.list_keys()

    assert found != ["AKIAWORKER"]
    assert len(found) == 1


@pytest.fixture
def refusing(monkeypatch):
    """STS that answers everything with the status and code that a test sets."""

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, code = server.answer  # type: ignore[attr-defined]
            body = f"<ErrorResponse><Error><Code>{code}</Code><Message>no</Message></Error></ErrorResponse>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: Any) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Refusing)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", f"http://127.0.0.1:{server.server_port}")
    yield server
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize(
    ("answer", "error", "said"),
    [
        (
            (403, "AccessDenied"),
            ConfigurationError,
            f"role {ROLE} of connection 's3_writer' cannot be assumed",
        ),
        ((500, "InternalFailure"), StorageUnavailableError, "HTTP 500 InternalFailure"),
    ],
    ids=["refused", "failing"],
)
def test_a_role_that_cannot_be_assumed_is_named_and_a_service_that_fails_is_asked_again(
    aws, refusing, answer, error, said
):
    refusing.answer = answer
    client = s3_client(connection(role_arn=ROLE), endpoint_url=aws, region="eu-central-1")
    storage = S3Storage(client, bucket="lab", patience=Patience(attempts=2, first_pause_seconds=0.01))

    with pytest.raises(error, match=re.escape(said)) as caught:
        storage.check()

    assert caught.value.hint
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("extra", "said"),
    [
        ({"role_arn": "backstop-writer"}, "has a role_arn that is not the ARN of a role"),
        ({"role_arn": 7}, "has a role_arn that is not the ARN of a role"),
        ({"assume_role_kwargs": {}}, "has a role_arn that is not the ARN of a role"),
        ({"role_arn": ROLE, "assume_role_method": "assume_role_with_saml"}, "another assume_role_method"),
        ({"role_arn": ROLE, "assume_role_kwargs": {"Policy": "{}"}}, "has other assume_role_kwargs than"),
        ({"role_arn": ROLE, "assume_role_kwargs": {"DurationSeconds": "x"}}, "has other assume_role_kwargs"),
        ({"role_arn": ROLE, "assume_role_kwargs": "x"}, "has other assume_role_kwargs than"),
    ],
)
def test_what_cannot_be_done_is_refused_before_anybody_is_asked(extra, said):
    with pytest.raises(ConfigurationError, match=said) as caught:
        s3_client(connection(**extra), region="eu-central-1")

    assert "arn:aws:iam::123456789012:role/" in caught.value.hint
