"""What a failed pg_restore lacked, in words that say how to get it."""

from __future__ import annotations

import re

# Modules of PostgreSQL's own source tree (docs, appendix F); Debian has shipped them in postgresql-<major>
# itself since 10, others in postgresql<major>-contrib.
_CONTRIB = frozenset(
    """amcheck autoinc bloom btree_gin btree_gist citext cube dblink dict_int dict_xsyn earthdistance
    file_fdw fuzzystrmatch hstore insert_username intagg intarray isn lo ltree moddatetime pageinspect
    pg_buffercache pg_freespacemap pg_logicalinspect pg_overexplain pg_prewarm pg_stat_statements pg_surgery
    pg_trgm pg_visibility pg_walinspect pgcrypto pgrowlocks pgstattuple postgres_fdw refint seg sslinfo
    tablefunc tcn tsm_system_rows tsm_system_time unaccent uuid-ossp xml2""".split()  # noqa: SIM905 fifty lines for fifty words help nobody
)
# Packages on apt.postgresql.org and in Debian, where their name is not the extension's.
_PACKAGES = {
    "address_standardizer": "postgresql-{major}-postgis-3",
    "h3": "postgresql-{major}-h3",
    "hypopg": "postgresql-{major}-hypopg",
    "ip4r": "postgresql-{major}-ip4r",
    "orafce": "postgresql-{major}-orafce",
    "pg_cron": "postgresql-{major}-cron",
    "pg_partman": "postgresql-{major}-partman",
    "pg_repack": "postgresql-{major}-repack",
    "pgaudit": "postgresql-{major}-pgaudit",
    "pgrouting": "postgresql-{major}-pgrouting",
    "plperl": "postgresql-plperl-{major}",
    "plperlu": "postgresql-plperl-{major}",
    "plpython3u": "postgresql-plpython3-{major}",
    "plr": "postgresql-{major}-plr",
    "pltcl": "postgresql-pltcl-{major}",
    "pltclu": "postgresql-pltcl-{major}",
    "postgis": "postgresql-{major}-postgis-3",
    "postgis_raster": "postgresql-{major}-postgis-3",
    "postgis_sfcgal": "postgresql-{major}-postgis-3",
    "postgis_tiger_geocoder": "postgresql-{major}-postgis-3",
    "postgis_topology": "postgresql-{major}-postgis-3",
    "prefix": "postgresql-{major}-prefix",
    "timescaledb": "timescaledb-2-postgresql-{major} (packagecloud.io/timescale)",
    "vector": "postgresql-{major}-pgvector",
}

_NO_CONTROL_FILE = re.compile(r'could not open extension control file ".*/(?P<name>[^/"]+)\.control"')
_NOT_AVAILABLE = re.compile(r'extension "(?P<name>[^"]+)" is not available')
_NO_LIBRARY = re.compile(r'could not (?:access file|load library) "(?:[^"]*/)?(?P<name>[^/"]+?)(?:\.so)?"')
_NO_ROLE = re.compile(r'role "(?P<name>.+)" does not exist')
_NO_COLLATION = re.compile(r'could not create locale "(?P<name>[^"]+)"')
_NOT_BUILT_IN = re.compile(r"compression method (?P<name>lz4) not supported|unsupported (?P<xml>XML) feature")


def explain_restore_failure(stderr: str, major: int) -> str | None:
    """The missing piece and the next step, or None when the messages tell of nothing that is missing.

    :param stderr: what pg_restore wrote to standard error; only its English messages are known.
    :param major: of the server that was restored into.
    """
    if (
        match := _NOT_AVAILABLE.search(stderr)
        or _NO_CONTROL_FILE.search(stderr)
        or _NO_LIBRARY.search(stderr)
    ):
        name = match["name"]
        return f"extension {name} is not installed on this server: install {extension_package(name, major)}"
    if match := _NO_ROLE.search(stderr):
        return f"role {match['name']} does not exist on this server: restore the roles first, or create it"
    if match := _NO_COLLATION.search(stderr):
        return (
            f"locale {match['name']} is not installed on this server's machine: install the package "
            "locales-all, or the package locales and run locale-gen"
        )
    if match := _NOT_BUILT_IN.search(stderr):
        feature = match["name"] or match["xml"]
        return (
            f"this PostgreSQL was built without {feature}: use the distribution's package postgresql-{major}"
        )
    return None


def extension_package(name: str, major: int) -> str:
    """The Debian package that most likely brings the extension."""
    if name in _CONTRIB:
        return f"postgresql-{major} (or postgresql{major}-contrib)"
    return _PACKAGES.get(name, "postgresql-{major}-" + name.replace("_", "-")).format(major=major)
