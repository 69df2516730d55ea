"""Scripts of PostgreSQL's tools as text: each says in which encoding it is written."""

from __future__ import annotations

import re

_STATED = re.compile(r"^SET client_encoding = '(\w+)';$", re.MULTILINE)


def decode_script(script: bytes) -> str:
    """What pg_dumpall or pg_restore wrote, in the encoding it names, which is the database's, not ours."""
    text = script.decode("utf-8", errors="surrogateescape")
    stated = _STATED.search(text)
    if stated is None or stated[1] == "UTF8":
        return text
    return script.decode(python_codec(stated[1]), errors="surrogateescape")


def python_codec(encoding: str) -> str:
    """Python's name for a server encoding (PostgreSQL docs, 23.3.1)."""
    fixed = {"LATIN6": "iso8859_10", "LATIN7": "iso8859_13", "LATIN8": "iso8859_14", "LATIN9": "iso8859_15"}
    fixed |= {"LATIN10": "iso8859_16", "LATIN5": "iso8859_9", "KOI8R": "koi8_r", "KOI8U": "koi8_u"}
    # Bytes of any encoding; our sessions read them the same way (see ClusterConnection.connect).
    fixed |= {"SQL_ASCII": "iso8859_1"}
    fixed |= {"EUC_CN": "gb2312", "EUC_JP": "euc_jp", "EUC_JIS_2004": "euc_jis_2004", "EUC_KR": "euc_kr"}
    if encoding in fixed:
        return fixed[encoding]
    for prefix, codec in (("LATIN", "iso8859_"), ("ISO_8859_", "iso8859_"), ("WIN", "cp")):
        if encoding.startswith(prefix):
            return codec + encoding.removeprefix(prefix)
    # Bytes pass through unread; names of sequences in them will not compare, and verification will say so.
    return "ascii"
