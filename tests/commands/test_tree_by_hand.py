"""A file tree can be read without Backstop: the published script alone, or tar for a single file."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from backstop.commands.decrypt import decrypt_backup
from backstop.commands.progress import Silent
from backstop.model.file_tree import EntryKind
from backstop.settings.arguments import utc_now
from tests.commands.tree_restoring import Site
from tests.fidelity.trees import ROOT, make_everything, needs_acl, needs_rsync, rsync_differences
from tests.tree_making import entry

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


def decrypt(site: Site, label: object) -> Path:
    decrypt_backup(
        site.maker.repository, label, keyring=site.maker.keyring,
        destination=site.folder / "decrypted", jobs=2, clock=utc_now, progress=Silent(),
    )  # fmt: skip
    return site.folder / "decrypted"


def unpack(site: Site, decrypted: Path) -> subprocess.CompletedProcess[str]:
    # -I: no PYTHONPATH, so that nothing of Backstop can be imported.
    return subprocess.run(
        [sys.executable, "-I", DOCS / "by-hand" / "unpack_tree.py", decrypted, site.folder / "out"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.system
@needs_rsync
@needs_acl
def test_everything_comes_back_by_the_published_script(site: Site) -> None:
    site.media.rmdir()
    make_everything(site.media, as_root=ROOT)

    done = unpack(site, decrypt(site, site.back_up()))

    assert done.returncode == 0, done.stderr
    assert rsync_differences(site.media, site.folder / "out" / site.media.relative_to("/")) == ""


def test_the_script_follows_no_link_of_a_list_and_no_path_that_leads_elsewhere(site: Site) -> None:
    victim = site.folder / "victim"
    victim.mkdir()
    tree = site.tree()
    entries = [
        entry(site.media),
        entry(site.media / "a", EntryKind.SYMLINK, link_target=os.fsencode(victim)),
        tree.file(site.media / "a" / "x", b"written through"),
    ]
    decrypted = decrypt(site, tree.publish(entries, roots=[str(site.media)]).manifest.label)

    done = unpack(site, decrypted)

    assert "leads elsewhere" in done.stderr
    assert list(victim.iterdir()) == []


def test_the_script_notices_a_damaged_piece(site: Site) -> None:
    (site.media / "a").write_bytes(b"content" * 1000)
    decrypted = decrypt(site, site.back_up())
    pack = decrypted / "0-1.tar"
    pack.write_bytes(pack.read_bytes().replace(b"content", b"CONTENT", 1))

    assert "is damaged" in unpack(site, decrypted).stderr


def test_one_file_comes_out_of_its_pack_by_tar_alone(site: Site) -> None:
    (site.media / "a").write_bytes(b"the whole file")
    label = site.back_up()
    decrypted = decrypt(site, label)
    [line] = [
        one
        for pack in decrypted.glob("0-l*.tar")
        for one in subprocess.run(["tar", "-xOf", pack], capture_output=True, check=True).stdout.splitlines()
        if b'media/a"' in one
    ]
    [(sha256, pack)] = re.findall(rb'\[0,14,"([0-9a-f]+)","([0-9a-z-]+)"\]', line)

    done = subprocess.run(
        ["tar", "-xOf", decrypted / f"{pack.decode()}.tar", sha256.decode()], capture_output=True, check=True
    )

    assert done.stdout == b"the whole file"


def test_format_md_names_the_script() -> None:
    assert "docs/by-hand/unpack_tree.py" in (DOCS / "format.md").read_text()
