"""What a bundle says of how to check it without Backstop; a test carries out every line of it."""

from __future__ import annotations

README = """\
Evidence of {target}, recorded from {begins_at} until {ends_at}
===============================================================

Written by Backstop {version} at {exported_at}. Nothing in here needs Backstop, or a network, to be
read or checked.

  index.html            what was done in the period; begin here, in any browser
  records/<repository>/<number>.json    each record as it lies in that repository, signed
  reports/<repository>/<number>-….html  the page of that record
  keys/<key id>.pem     public keys that sign evidence; compare them with those you were given another way
  heads.json            the newest record of each repository at the time of this export
  verification.json     what `python -m backstop evidence verify` found at the time of this export
  check.py              the check below, for all records
  SHA256SUMS            of every file but itself

How a record is protected: its `signature` is over the rest of it, written as JSON with sorted keys, without
spaces, in UTF-8. Its `previous_sha256` is the SHA-256 of the file of the record before, in the same
repository; that of record 1 is 64 zeros. Its `report_sha256` is that of its page. Whoever changes, removes or
adds one breaks one of these. The newest ones could be cut off without that: keep heads.json of each export,
and see that later exports contain the records it names.

A record and its signature say who signed what. They do not say that what was signed is true.

Check by hand
-------------

1. Nothing was damaged on the way:

    sha256sum --check --quiet SHA256SUMS

2. One record's signature, with openssl 3 ({example}):

    python3 -c 'import json, sys
    record = json.load(open(sys.argv[1], encoding="utf-8"))
    signature = record.pop("signature")
    text = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    open("signed.bin", "wb").write(text.encode())
    value = signature.get("ed25519") or signature["ecdsa-p256-sha256"]
    open("signature.bin", "wb").write(bytes.fromhex(value))' {example}
    {openssl}

3. One record names the one before it (these two are equal):

    grep -o '"previous_sha256":"[0-9a-f]*"' records/<repository>/00000002.json
    sha256sum records/<repository>/00000001.json

4. All of that for every record (needs python3 and openssl alone; read it first, it is short):

    python3 check.py
"""

OPENSSL = {
    "ed25519": (
        "openssl pkeyutl -verify -pubin -inkey keys/{key}.pem -rawin -in signed.bin -sigfile signature.bin"
    ),
    "ecdsa-p256-sha256": ("openssl dgst -sha256 -verify keys/{key}.pem -signature signature.bin signed.bin"),
}

CHECK = '''\
"""Checks this bundle: every file's SHA-256, every signature, and that each record names the one before it."""

import hashlib
import json
import pathlib
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
wrong = []


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verified(record, signature):
    signed = json.dumps(record, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    key = here / "keys" / (signature["key"] + ".pem")
    with tempfile.TemporaryDirectory() as folder:
        text, value = pathlib.Path(folder, "signed"), pathlib.Path(folder, "signature")
        text.write_bytes(signed)
        if "ed25519" in signature:
            value.write_bytes(bytes.fromhex(signature["ed25519"]))
            argv = ["pkeyutl", "-verify", "-pubin", "-inkey", key, "-rawin", "-in", text, "-sigfile", value]
        else:
            value.write_bytes(bytes.fromhex(signature["ecdsa-p256-sha256"]))
            argv = ["dgst", "-sha256", "-verify", key, "-signature", value, text]
        return key.exists() and subprocess.run(["openssl", *argv], capture_output=True).returncode == 0


for line in (here / "SHA256SUMS").read_text(encoding="utf-8").splitlines():
    expected, name = line.split("  ", 1)
    if not (here / name).exists() or sha256(here / name) != expected:
        wrong.append(name + " is missing or was changed")
count = 0
for folder in sorted(here.glob("records/*")):
    previous = None
    for path in sorted(folder.glob("*.json")):
        name = path.relative_to(here).as_posix()
        count += 1
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
            number = record["number"]
            if not verified(record, record.pop("signature")):
                wrong.append(name + ": the signature does not hold")
            if path.name != "%08d.json" % number:
                wrong.append(name + " is record %d" % number)
            if record["report_sha256"]:
                page = "%08d-%s.html" % (number, record["report_sha256"][:16])
                page = here / "reports" / folder.name / page
                if not page.exists() or sha256(page) != record["report_sha256"]:
                    wrong.append(name + ": its report is missing or was changed")
            if number == 1 and record["previous_sha256"] != "0" * 64:
                wrong.append(name + " names one before the first")
            if previous is not None and (number, record["previous_sha256"]) != previous:
                wrong.append(name + " does not follow the record before it")
            previous = (number + 1, sha256(path))
        except (KeyError, TypeError, ValueError) as error:
            wrong.append(name + " is no record: %r" % error)
for sentence in wrong:
    print(sentence)
print("%d records checked, %d faults" % (count, len(wrong)))
sys.exit(1 if wrong else 0)
'''
