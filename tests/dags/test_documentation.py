from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]


def test_docs_dags_md_is_what_the_dags_say():
    made = subprocess.run(
        [sys.executable, str(CHECKOUT / "scripts" / "document_dags.py")],
        capture_output=True,
        text=True,
        check=True,
        cwd=CHECKOUT,
    ).stdout

    published = (CHECKOUT / "docs" / "dags.md").read_text(encoding="utf-8")
    assert published == made, "run: python scripts/document_dags.py > docs/dags.md"
