"""Random small databases: statements that build one, in an order that mostly works."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

_NAMES = [
    "plain", "UPPER", "with space", "quote\"d", "apos'd", "zürich", "表", "back\\slash", "select",
    "semi;colon", "$dollar$", "new\nline", "tab\there", "per%cent", "{brace}", "--dash", "/*star", "a" * 60, "😀", "é́",
]  # fmt: skip

# A type, and expressions for values of it; `{n}` is the row's number.
_TYPES: dict[str, list[str]] = {
    # ruff: noqa: E501
    "integer": ["{n}", "-2147483648", "2147483647"],
    "bigint": ["{n} * 1000000007::bigint", "9223372036854775807"],
    "smallint": ["{n} % 7"],
    "numeric": ["{n} / 7.0", "'NaN'", "'Infinity'", "1e-30", "12345678901234567890.123456789"],
    "numeric(12, 3)": ["{n} / 3.0", "0.0005"],
    "real": ["{n} / 3.0", "'NaN'", "'-Infinity'", "'-0'", "1e-40"],
    "double precision": ["random()", "'NaN'", "'Infinity'", "'-0'", "4.9e-324", "1.7976931348623157e308"],
    "text": ["'row {n}'", "''", "repeat('long ', 3000)", "E'\\ttab\\nline\\\\.'", "'表 😀 é́'", "'\\N'", "chr(1)"],
    "varchar(20)": ["'v{n}'"],
    "char(5)": ["'c'", "'    '"],
    "boolean": ["{n} % 2 = 0"],
    "date": ["date '2026-01-01' + {n}", "'infinity'", "'4713-01-01 BC'", "'0001-01-01'"],
    "timestamp": ["timestamp '2026-03-29 02:30' + {n} * interval '1 hour'", "'-infinity'"],
    "timestamptz": ["timestamptz '2026-10-25 00:30Z' + {n} * interval '17 min'", "'1880-01-01 LMT'", "'infinity'"],
    "time": ["time '00:00' + {n} * interval '1 s'", "'24:00'"],
    "timetz": ["'12:00+05:45'"],
    "interval": ["{n} * interval '1 month 3 days -2.5 s'", "'-1 year'"],
    "uuid": ["md5('{n}')::uuid"],
    "bytea": ["decode(md5('{n}'), 'hex')", "''", "'\\x00ff5c27'"],
    "json": ["'{{\"b\": 1,  \"a\": [1, 2.0], \"a\": null}}'", "'[]'"],
    "jsonb": ["'{{\"b\": 1,  \"a\": [1, 2.0, \"\\\\u00e9\"]}}'", "'1e400'", "to_jsonb({n})"],
    "integer[]": ["ARRAY[{n}, NULL, 3]", "'{{}}'", "'[5:6]={{1,2}}'"],
    "text[]": ["ARRAY['a', NULL, 'NULL', '', '{{\"}}']", "ARRAY[['a','b'],['c','d']]"],
    "int4range": ["int4range({n}, {n} + 5)", "'empty'", "'(,)'"],
    "tstzmultirange": ["'{{[2026-01-01, 2026-01-02), [2026-02-01,)}}'"],
    "inet": ["'10.0.0.1/8'", "'::1'"],
    "macaddr": ["'08:00:2b:01:02:03'"],
    "bit(5)": ["B'10101'"],
    "varbit": ["B''", "B'1'"],
    "point": ["point({n}, 1.5)"],
    "polygon": ["'((0,0),(1,1),(2,0))'"],
    "tsvector": ["to_tsvector('simple', 'fat cat {n}')"],
    "money": ["'12.34'"],
    "pg_lsn": ["'16/B374D848'"],
    "oid": ["{n}"],
    "name": ["'a name'"],
}  # fmt: skip


class SchemaMaker:
    """Draws statements; ``statements()`` gives them all."""

    def __init__(self, dice: random.Random) -> None:
        self._dice = dice
        self._tables: list[tuple[str, list[str]]] = []
        self._types = dict(_TYPES)
        self._used = 0

    def statements(self) -> list[str]:
        made: list[str] = []
        for schema in ("one", 'S "2"'):
            made.append(f"CREATE SCHEMA {quote(schema)}")
        self._schemas = ["public", "one", 'S "2"']
        for _ in range(self._dice.randint(0, 4)):
            made += self._dice.choice([self._enum, self._domain, self._composite])()
        for _ in range(self._dice.randint(1, 6)):
            made += self._dice.choice([self._table, self._table, self._partitioned, self._inherited])()
        decorations: list[Callable[[], list[str]]] = [
            self._index, self._view, self._materialized_view, self._function_and_trigger, self._rule, self._policy,
            self._sequence, self._comment, self._foreign_key, self._constraint, self._large_object, self._statistics,
            self._grant, self._more_rows, self._drop_column, self._event_trigger, self._database_setting,
        ]  # fmt: skip
        for _ in range(self._dice.randint(3, 20)):
            made += self._dice.choice(decorations)()
        return made

    def _name(self) -> str:
        self._used += 1
        stem = self._dice.choice(_NAMES)
        return quote(f"{stem}{self._used}" if self._used > 1 else stem)

    def _place(self) -> str:
        return f"{quote(self._dice.choice(self._schemas))}.{self._name()}"

    def _any_table(self) -> tuple[str, list[str]]:
        return self._dice.choice(self._tables) if self._tables else ("public.nothing", ["nothing"])

    def _enum(self) -> list[str]:
        name = self._place()
        labels = ["low", "Mid dle", "it's", "表"]
        self._types[name] = [literal(label) for label in labels]
        return [f"CREATE TYPE {name} AS ENUM ({', '.join(map(literal, labels))})"]

    def _domain(self) -> list[str]:
        name = self._place()
        self._types[name] = ["{n} + 1"]
        return [f"CREATE DOMAIN {name} AS integer DEFAULT 5 CHECK (VALUE > 0 AND VALUE = ANY (ARRAY[VALUE]))"]

    def _composite(self) -> list[str]:
        name = self._place()
        self._types[name] = ["ROW({n}, 'x, \"y\"')", "ROW(NULL, '')"]
        return [f'CREATE TYPE {name} AS (a integer, "B b" text)']

    def _columns(self) -> list[tuple[str, str]]:
        return [(self._name(), self._dice.choice(list(self._types))) for _ in range(self._dice.randint(1, 6))]

    def _rows(self, table: str, columns: list[tuple[str, str]]) -> list[str]:
        rows = self._dice.choice([0, 1, 3, 50, 400])
        made = []
        for _ in range(self._dice.randint(1, 3)):
            values = []
            for _, kind in columns:
                expression = self._dice.choice(self._types[kind])
                value = f"({expression.format(n='n')})" if "{n}" in expression else expression.format(n="n")
                if "'{n}'" in expression or "row {n}" in expression or "v{n}" in expression:
                    value = f"({expression.format(n='x')})"
                values.append("NULL" if self._dice.random() < 0.1 else f"({value})::{kind}")
            names = ", ".join(name for name, _ in columns)
            made.append(
                f"INSERT INTO {table} ({names}) SELECT {', '.join(values)} FROM generate_series(1, {rows}) n"
            )
        return made

    def _table(self) -> list[str]:
        table, columns = self._place(), self._columns()
        extra = self._dice.sample(
            [
                "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
                "ser serial",
                "made timestamptz DEFAULT now()",
                "twice integer GENERATED ALWAYS AS (1 + 1) STORED",
                "CHECK (true)",
                "checked varchar(9) DEFAULT 'a' CHECK (checked IN ('a', 'b'))",
                'sorted text COLLATE "C"',
            ],
            self._dice.randint(0, 4),
        )
        kind = "UNLOGGED " if self._dice.random() < 0.1 else ""
        options = " WITH (fillfactor=70, autovacuum_enabled=false)" if self._dice.random() < 0.2 else ""
        defined = ", ".join([f"{name} {of}" for name, of in columns] + extra)
        self._tables.append((table, [name for name, _ in columns]))
        return [f"CREATE {kind}TABLE {table} ({defined}){options}", *self._rows(table, columns)]

    def _partitioned(self) -> list[str]:
        table, part, rest = self._place(), self._place(), self._place()
        how = self._dice.choice(["RANGE", "LIST", "HASH"])
        bounds = {
            "RANGE": ("FROM (MINVALUE) TO (20)", "DEFAULT"),
            "LIST": ("IN (1, 2, NULL)", "DEFAULT"),
            "HASH": ("WITH (MODULUS 2, REMAINDER 0)", "WITH (MODULUS 2, REMAINDER 1)"),
        }[how]
        attach = [
            f"CREATE TABLE {name} PARTITION OF {table} " + (b if b == "DEFAULT" else f"FOR VALUES {b}")
            for name, b in zip((part, rest), bounds, strict=True)
        ]
        self._tables.append((table, ["k", "v"]))
        return [
            f"CREATE TABLE {table} (k integer, v text) PARTITION BY {how} (k)",
            *attach,
            f"INSERT INTO {table} SELECT n, 'p' || n FROM generate_series(1, 60) n",
        ]

    def _inherited(self) -> list[str]:
        parent, _ = self._any_table()
        child = self._place()
        return [
            f"CREATE TABLE {child} (own integer) INHERITS ({parent})",
            f"INSERT INTO {child} (own) VALUES (1)",
        ]

    def _index(self) -> list[str]:
        table, columns = self._any_table()
        column = self._dice.choice(columns)
        form = self._dice.choice(
            [
                f"({column})",
                f"USING hash ({column})",
                f"(({column} IS NULL))",
                f"({column} DESC NULLS LAST) WHERE {column} IS NOT NULL",
            ]
        )
        return [f"CREATE INDEX {self._name()} ON {table} {form}"]

    def _view(self) -> list[str]:
        table, columns = self._any_table()
        view = self._place()
        made = f"CREATE VIEW {view} WITH (security_barrier) AS SELECT *, count(*) OVER () FROM {table}"
        return [made, f"COMMENT ON VIEW {view} IS 'a view'"] if columns else []

    def _materialized_view(self) -> list[str]:
        table, _ = self._any_table()
        data = self._dice.choice(["", " WITH NO DATA"])
        return [f"CREATE MATERIALIZED VIEW {self._place()} AS SELECT count(*) AS n FROM {table}{data}"]

    def _function_and_trigger(self) -> list[str]:
        table, _ = self._any_table()
        function = self._place()
        body = self._dice.choice(["BEGIN RETURN NEW; END", "BEGIN -- Name: x; Type: TABLE\n RETURN NEW; END"])
        return [
            f"CREATE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SET search_path = public AS $b${body}$b$",
            f"CREATE TRIGGER {self._name()} BEFORE INSERT ON {table} FOR EACH ROW EXECUTE FUNCTION {function}()",
            *([f"ALTER TABLE {table} DISABLE TRIGGER ALL"] if self._dice.random() < 0.2 else []),
        ]

    def _rule(self) -> list[str]:
        table, _ = self._any_table()
        return [f"CREATE RULE {self._name()} AS ON DELETE TO {table} DO ALSO NOTHING"]

    def _policy(self) -> list[str]:
        table, _ = self._any_table()
        force = self._dice.choice(["ENABLE", "FORCE"])
        return [
            f"ALTER TABLE {table} {force} ROW LEVEL SECURITY",
            f"CREATE POLICY {self._name()} ON {table} USING (current_user = 'nobody')",
        ]

    def _sequence(self) -> list[str]:
        name = self._place()
        step = self._dice.choice([1, -1, 7])
        made = [f"CREATE SEQUENCE {name} INCREMENT {step} CACHE {self._dice.choice([1, 20])}"]
        return made + [f"SELECT nextval({literal(name)}::regclass)"] * self._dice.randint(0, 3)

    def _comment(self) -> list[str]:
        table, columns = self._any_table()
        text = self._dice.choice(
            ["it's", "--\n-- Name: fake; Type: TABLE; Schema: -; Owner: -\n--\n\n", "表", ";"]
        )
        column = self._dice.choice(columns)
        return [
            f"COMMENT ON COLUMN {table}.{column} IS {literal(text)}",
            f"COMMENT ON TABLE {table} IS {literal(text)}",
        ]

    def _foreign_key(self) -> list[str]:
        one, other = self._any_table()[0], self._any_table()[0]
        deferrable = self._dice.choice(["", " DEFERRABLE INITIALLY DEFERRED", " NOT VALID"])
        return [
            f"ALTER TABLE {one} ADD COLUMN IF NOT EXISTS id bigint GENERATED ALWAYS AS IDENTITY UNIQUE",
            f"ALTER TABLE {other} ADD COLUMN ref bigint REFERENCES {one} (id) ON DELETE SET NULL{deferrable}"
            if "VALID" not in deferrable
            else f"ALTER TABLE {other} ADD CONSTRAINT {self._name()} CHECK (1 > 2) NOT VALID",
        ]

    def _constraint(self) -> list[str]:
        table, columns = self._any_table()
        column = self._dice.choice(columns)
        return [
            f"ALTER TABLE {table} ADD CONSTRAINT {self._name()} CHECK (({column} IS NULL) IN (true, false))"
        ]

    def _large_object(self) -> list[str]:
        return [
            f"SELECT lo_from_bytea(0, repeat('x{self._dice.randint(0, 9)}', {self._dice.randint(0, 9000)})::bytea)",
            "SELECT lo_create(0)",
        ]

    def _statistics(self) -> list[str]:
        table, columns = self._any_table()
        target = f"ALTER TABLE {table} ALTER COLUMN {columns[0]} SET STATISTICS 7"
        if len(columns) < 2:
            return [target]
        return [target, f"CREATE STATISTICS {self._place()} ON {columns[0]}, {columns[1]} FROM {table}"]

    def _grant(self) -> list[str]:
        table, columns = self._any_table()
        return self._dice.choice(
            [
                [f"GRANT SELECT ({columns[0]}) ON {table} TO PUBLIC"],
                [f"REVOKE ALL ON {table} FROM CURRENT_USER"],
                ["ALTER DEFAULT PRIVILEGES IN SCHEMA one GRANT SELECT ON TABLES TO PUBLIC"],
                [f"GRANT UPDATE ON {table} TO pg_monitor WITH GRANT OPTION"],
            ]
        )

    def _more_rows(self) -> list[str]:
        table, _ = self._any_table()
        return [f"DELETE FROM {table} WHERE ctid IN (SELECT ctid FROM {table} LIMIT 1)", f"ANALYZE {table}"]

    def _drop_column(self) -> list[str]:
        table, columns = self._any_table()
        return [
            f"ALTER TABLE {table} DROP COLUMN {columns[-1]} CASCADE"
            if len(columns) > 2
            else f"ANALYZE {table}"
        ]

    def _event_trigger(self) -> list[str]:
        return [
            "CREATE FUNCTION public.noted() RETURNS event_trigger LANGUAGE plpgsql AS $b$BEGIN END$b$",
            "CREATE EVENT TRIGGER noted ON ddl_command_end EXECUTE FUNCTION public.noted()",
        ]

    def _database_setting(self) -> list[str]:
        setting = self._dice.choice(["DateStyle = 'SQL, DMY'", "search_path = one", "work_mem = '5MB'"])
        more = [
            "default_transaction_read_only = on",
            "TimeZone = 'Asia/Kathmandu'",
            "bytea_output = 'escape'",
        ]
        chosen = self._dice.choice([setting, *more])
        return [
            f"DO $d$ BEGIN EXECUTE format('ALTER DATABASE %I SET {chosen.replace(chr(39), chr(39) * 2)}', current_database()); END $d$"
        ]


def quote(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    if "\\" in text:
        return "E'" + text.replace("\\", "\\\\").replace("'", "''") + "'"
    return "'" + text.replace("'", "''") + "'"
