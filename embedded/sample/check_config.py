"""Whether Calibrify would start with these settings: exit code 0, and a line.

``python check_config.py <folder>``: the folder of ``calibrify.yaml``, ``logging.ini`` and ``secrets.env``.
"""

from __future__ import annotations

import configparser
import stat
import sys
from pathlib import Path
from typing import Any

import yaml

_NEEDED = ("site", "database", "media_root", "certificates")


def main(folder: Path) -> int:
    """0 it would start; 1 it would not, said on stderr."""
    faults = list(_faults(folder))
    for fault in faults:
        print(fault, file=sys.stderr)
    if not faults:
        print(f"{folder.name} holds what Calibrify needs")
    return 1 if faults else 0


def _faults(folder: Path) -> list[str]:
    try:
        settings: Any = yaml.safe_load((folder / "calibrify.yaml").read_text(encoding="utf-8"))
        logging = configparser.ConfigParser()
        logging.read_string((folder / "logging.ini").read_text(encoding="utf-8"))
        secrets = folder / "secrets.env"
        lines = [line for line in secrets.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, yaml.YAMLError, configparser.Error) as error:
        return [f"{type(error).__name__}: {error}"]
    found = [f"calibrify.yaml says nothing of {name}" for name in _NEEDED if name not in (settings or {})]
    found += ["logging.ini has no root logger"] if "logger_root" not in logging else []
    found += [
        f"secrets.env: line {number} sets nothing"
        for number, line in enumerate(lines, start=1)
        if not line.startswith("#") and "=" not in line
    ]
    if stat.S_IMODE(secrets.stat().st_mode) & 0o077:
        found.append("secrets.env can be read by others")
    return found


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
