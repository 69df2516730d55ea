"""No statement of a plain dump may be about anything but the database it is restored into."""

from __future__ import annotations

import io

import pytest

from backstop.errors import RestoreError
from backstop.postgres.plain_dump import PlainDump, Statement
from backstop.postgres.plain_refusals import refuse_beyond


def statement(text: str) -> Statement:
    dump = f"{text}\n\n--\n-- PostgreSQL database dump complete\n--\n"
    [found] = PlainDump(io.BytesIO(dump.encode()), "old.sql")
    return found


@pytest.mark.parametrize(
    "text",
    [
        "ALTER DATABASE calibrify SET search_path = evil;",
        "alter\n-- so\n/* and /* so */ */ dataBASE calibrify CONNECTION LIMIT 0;",
        "CREATE DATABASE other;",
        "CREATE --\rDATABASE other\n;",
        "CREATE SCHEMA AUTHORIZATION app CREATE TABLE t (a int);",
        "DROP DATABASE calibrify;",
        "ALTER ROLE postgres PASSWORD 'x';",
        "CREATE USER evil SUPERUSER;",
        "ALTER GROUP calibrify ADD USER evil;",
        "DROP TABLESPACE fast;",
        "ALTER SYSTEM SET archive_command = 'x';",
        "GRANT calibrify TO evil;",
        'GRANT " ON " TO evil;',
        "GRANT a /* ON TABLE x */ TO evil;",
        "GRANT " + "a, " * 80 + "b TO evil;",
        "REVOKE calibrify FROM app;",
        "GRANT CONNECT ON DATABASE calibrify TO PUBLIC;",
        "REVOKE ALL ON  TABLESPACE fast FROM app;",
        "CREATE SCHEMA s CREATE TABLE t (a int) GRANT ALL ON DATABASE calibrify TO evil;",
        'GRANT CONNECT ON DATABASE x, "y ON z" TO app;',
        "COMMENT ON ROLE calibrify IS 'x';",
        "REASSIGN OWNED BY calibrify TO evil;",
        "DROP OWNED BY calibrify;",
        "create subscription s connection 'x' publication p;",
        "DO $$ BEGIN NULL; END $$;",
        "COPY public.t TO PROGRAM 'id';",
        "COPY public.t FROM '/etc/passwd';",
    ],
)
def test_what_reaches_beyond_the_database_is_refused_by_its_line(text: str):
    with pytest.raises(RestoreError, match=r"line 1 of the dump .* reaches beyond"):
        refuse_beyond(statement(text))


@pytest.mark.parametrize(
    "text",
    [
        "GRANT SELECT ON TABLE public.equipment TO reader;",
        "GRANT SELECT(a),INSERT(a) ON TABLE public.equipment TO reader;",
        'GRANT ALL ON TABLE public."database" TO reader WITH GRANT OPTION;',
        "REVOKE USAGE ON SCHEMA public FROM PUBLIC;",
        "GRANT ALL ON FUNCTION public.f(a integer) TO reader;",
        "ALTER DEFAULT PRIVILEGES FOR ROLE owner IN SCHEMA public GRANT SELECT ON TABLES TO reader;",
        "CREATE USER MAPPING FOR app SERVER far OPTIONS (user 'x');",
        "CREATE SCHEMA app;",
        "ALTER SCHEMA app OWNER TO owner;",
        "COMMENT ON TABLE public.database IS 'x';",
        "CREATE TABLE public.do (role integer);",
        "CREATE VIEW public.system AS SELECT 1 AS role;",
        "SET ROLE app;",
        "COPY public.t (a) FROM stdin;\n1\n\\.",
    ],
)
def test_what_pg_dump_writes_about_its_content_passes(text: str):
    refuse_beyond(statement(text))
