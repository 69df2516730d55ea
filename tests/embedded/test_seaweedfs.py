"""The S3 server starter."""

from __future__ import annotations

import os
import signal
import socket
from typing import TYPE_CHECKING, Any

import boto3
import psutil
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from embedded.errors import StackError
from embedded.ports import becomes_free
from embedded.seaweedfs import EmbeddedSeaweedFS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.integration


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedSeaweedFS]:
    server = EmbeddedSeaweedFS(tmp_path / "s3", buckets=["kept"], die_with_parent=True)
    yield server
    server.stop()


def client(server: EmbeddedSeaweedFS, secret_key: str | None = None) -> Any:
    return boto3.client(
        "s3",
        endpoint_url=server.endpoint_url,
        aws_access_key_id=server.access_key,
        aws_secret_access_key=secret_key or server.secret_key,
        region_name="us-east-1",
        config=Config(retries={"total_max_attempts": 1}),
    )


def test_a_wrong_secret_is_refused(seaweedfs: EmbeddedSeaweedFS) -> None:
    with pytest.raises(ClientError, match="SignatureDoesNotMatch"):
        client(seaweedfs, "guess").list_buckets()


def test_objects_survive_a_kill_and_a_new_start(server: EmbeddedSeaweedFS) -> None:
    server.start()
    client(server).put_object(Bucket="kept", Key="a", Body=b"x")
    pid = server.pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    psutil.wait_procs([psutil.Process(pid)] if psutil.pid_exists(pid) else [], timeout=5)

    server.start()

    assert client(server).get_object(Bucket="kept", Key="a")["Body"].read() == b"x"


def test_objects_survive_when_its_inner_port_was_taken_meanwhile(server: EmbeddedSeaweedFS) -> None:
    server.start()
    client(server).put_object(Bucket="kept", Key="a", Body=b"x")
    taken = server._ports()["master.port"]
    server.stop()

    assert becomes_free(taken)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", taken))
        other.listen()
        server.start()

    assert client(server).get_object(Bucket="kept", Key="a")["Body"].read() == b"x"


def test_the_credentials_are_readable_by_their_owner_only(seaweedfs: EmbeddedSeaweedFS) -> None:
    assert (seaweedfs.directory / "identities.json").stat().st_mode & 0o077 == 0


def test_a_port_that_was_asked_for_and_is_taken_is_named(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]

        with pytest.raises(StackError, match=f"port {port} .* is taken"):
            EmbeddedSeaweedFS(tmp_path / "s3", port=port).start()
