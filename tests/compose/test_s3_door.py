"""The S3 server of docker-compose.yaml, and what can be reached of it."""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import time
from typing import TYPE_CHECKING

from embedded.home import CHECKOUT
from embedded.ports import free_ports
from tests.compose.test_files import SERVICES, mounts

if TYPE_CHECKING:
    from pathlib import Path


def test_of_seaweedfs_only_the_port_that_asks_for_a_key_can_be_reached() -> None:
    """Its filer, master and volume ports, and each one's gRPC, obey whoever reaches them."""
    seaweedfs, door = SERVICES["seaweedfs"], SERVICES["s3"]

    assert seaweedfs["network_mode"] == "none"
    assert {"-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0"} <= {*seaweedfs["command"]}
    (socket,) = (one.partition("=")[2] for one in seaweedfs["command"] if one.startswith("-s3.localSocket="))
    assert door["command"][-1] == socket
    assert mounts(door)["/run/s3"] == mounts(seaweedfs)["/run/s3"] == "s3-door"
    assert door["networks"] == {"storage": {"aliases": ["seaweedfs"]}}
    assert not door.get("secrets")
    # What the image has at /data belongs to the image's user, who is not whom this runs as.
    assert "s3-data:/data:nocopy" in seaweedfs["volumes"]


def test_the_door_passes_both_ways_and_says_when_nobody_is_behind_it(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    path = str(tmp_path / "s3.sock")
    door = subprocess.Popen(
        ["python3", str(CHECKOUT / "include/compose/s3_door.py"), path, "127.0.0.1", str(port)]
    )
    try:
        with reached(port) as nobody:
            assert nobody.recv(1) == b""
        with socket.socket(socket.AF_UNIX) as server:
            server.bind(path)
            server.listen()
            with reached(port) as client:
                behind, _ = server.accept()
                sent = os.urandom(3_000_000)
                threading.Thread(
                    target=lambda: (client.sendall(sent), client.shutdown(socket.SHUT_WR))
                ).start()
                with behind, behind.makefile("rb") as read:
                    assert read.read() == sent
                    behind.sendall(b"answer")
                with client.makefile("rb") as answered:
                    assert answered.read() == b"answer"
    finally:
        door.terminate()
        door.wait()


def reached(port: int) -> socket.socket:
    deadline = time.monotonic() + 30
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=30)
        except ConnectionRefusedError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
