"""Whether anything that Backstop runs with is known to be vulnerable: pip-audit over what the image has,
requirements-compose.txt. That has requirements.txt in it.

pip-audit is content when it could ask nobody, so what it could not look at is counted here and named.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def verdict(report: str) -> tuple[int, list[str]]:
    """Exit code and sentences for what pip-audit printed as JSON; empty: it could ask nobody."""
    if not report.strip():
        return 0, ["audit skipped: the index of advisories cannot be reached"]
    dependencies = json.loads(report)["dependencies"]
    vulnerable = [one for one in dependencies if one.get("vulns")]
    unseen = [one["name"] for one in dependencies if one.get("skip_reason")]
    said = [
        f"{one['name']} {one['version']}: {flaw['id']}"
        f" (mended in {', '.join(flaw['fix_versions']) or 'no version yet'})"
        for one in vulnerable
        for flaw in one["vulns"]
    ]
    if dependencies and len(unseen) == len(dependencies):
        said.append(f"audit skipped: the index has no advisories on any of {len(unseen)} packages")
    elif unseen:
        said.append(f"not audited, the index has nothing on them: {', '.join(sorted(unseen))}")
    audited = len(dependencies) - len(unseen)
    if audited and not vulnerable:
        said.append(f"nothing known against {audited} packages")
    return (1 if vulnerable else 0), said


def main() -> int:
    argv = [
        sys.executable,
        "-m",
        "pip_audit",
        "--disable-pip",
        "--require-hashes",
        "--progress-spinner",
        "off",
    ]
    argv += ["--format", "json", "-r", str(ROOT / "requirements-compose.txt")]
    ended = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=600)
    code, said = verdict(ended.stdout)
    if not ended.stdout.strip():
        said += ended.stderr.strip().splitlines()[-1:]
    print("\n".join(said))
    return code


if __name__ == "__main__":
    sys.exit(main())
