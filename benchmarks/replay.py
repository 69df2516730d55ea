"""Starts a server on a restored base backup and waits until its recovery has ended.

python -m benchmarks.replay DATA BIN_DIR RESTORE_COMMAND
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_READY = "database system is ready to accept connections"
_PATIENCE_SECONDS = 600.0


def replay(data: Path, *, bin_dir: Path, restore_command: str) -> dict[str, Any]:
    """Recover to the end of the archive under the settings of a Backstop recovery; then stop the server.

    :param data: a restored data directory; the server runs as its owner.
    :returns: seconds until the server was open.
    """
    (data / "recovery.signal").touch()
    os.chown(data / "recovery.signal", data.stat().st_uid, data.stat().st_gid)
    settings = {
        "restore_command": restore_command,
        "recovery_target_timeline": "current",
        "archive_mode": "off",
        "listen_addresses": "",
        "unix_socket_directories": str(data),
        "hot_standby": "off",
        "fsync": "off",
        "max_wal_size": "8GB",
        "checkpoint_timeout": "1h",
        "shared_buffers": "256MB",
        "autovacuum": "off",
        "logging_collector": "off",
    }
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as log:
        server = subprocess.Popen(
            [str(bin_dir / "postgres"), "-D", str(data), *options],
            stdout=log,
            stderr=subprocess.STDOUT,
            user=data.stat().st_uid if os.geteuid() == 0 else None,
            group=data.stat().st_gid if os.geteuid() == 0 else None,
            extra_groups=[] if os.geteuid() == 0 else None,
            cwd="/",
        )
        said = ""
        while _READY not in said:
            if server.poll() is not None or time.monotonic() - began > _PATIENCE_SECONDS:
                raise RuntimeError(f"recovery failed: {said[-3000:]}")
            time.sleep(0.05)
            log.seek(0)
            said = log.read()
        seconds = time.monotonic() - began
        server.terminate()
        server.wait()
    restored = said.count("restored log file")
    return {"replay_seconds": round(seconds, 2), "restored_files": restored}


if __name__ == "__main__":
    print(json.dumps(replay(Path(sys.argv[1]), bin_dir=Path(sys.argv[2]), restore_command=sys.argv[3])))
