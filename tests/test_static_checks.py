"""No shell, no pickle, no temporary file that others can read: looked for in the code itself."""

from __future__ import annotations

import ast
import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SHIPPED = sorted(path for folder in ("plugins", "dags") for path in (ROOT / folder).rglob("*.py"))

SHELLS = {
    "os.system", "os.popen", "subprocess.getoutput", "subprocess.getstatusoutput", "pty.spawn",
    "asyncio.create_subprocess_shell",
}  # fmt: skip
UNSAFE_READERS = {
    "pickle", "cPickle", "marshal", "shelve", "dill", "cloudpickle", "joblib", "jsonpickle",
}  # fmt: skip
RUNS_TEXT = {"eval", "exec", "compile", "__import__"}
PRIVATE = {"448", "_PRIVATE"}
"""0o700, as Python writes it, and what a module calls it."""
WIDE_FOLDERS = {
    "postgres/scratch.py": "the root of a sandbox, in a folder of mode 0700",
    "postgres/recovery.py": "the root of a sandbox, beside a data directory of mode 0700",
    "postgres/recovery_settings.py": "what the sandbox shows as /etc; nothing secret in it",
    "commands/rescue/rows.py": "in a temporary directory, which is 0700",
    "commands/drill/serving.py": "in the drill's folder, whose rights it decides itself",
    "commands/drill/folder.py": "to be passed through by the account that validators run as, not to be read",
    "commands/evidence/bundle.py": "evidence is made to be handed to others; until it is whole, in 0700",
    "files/place.py": "a restored file tree has the modes that it had",
}
"""Who makes folders that are not 0700, and why nothing can be read there that should not be."""


def name_of(call: ast.expr) -> str:
    return ast.unparse(call)


def faults(source: str, where: str) -> list[str]:
    """What is forbidden in one file, each with its line."""
    found = []
    for node in ast.walk(ast.parse(source)):
        what = _imported(node) if isinstance(node, ast.Import | ast.ImportFrom) else ""
        if isinstance(node, ast.Call):
            what = _called(node, where)
        if what:
            found.append(f"{where}:{node.lineno}: {what}")
    return found


def _imported(node: ast.Import | ast.ImportFrom) -> str:
    if isinstance(node, ast.ImportFrom):
        full = {f"{node.module}.{one.name}" for one in node.names} | {node.module or ""}
    else:
        full = {one.name for one in node.names}
    bad = {one for one in full if one.split(".")[0] in UNSAFE_READERS} | (full & SHELLS)
    bad |= {one for one in full if one.startswith("tempfile.")}  # written out, so that it is seen here
    return f"imports {sorted(bad)[0]}" if bad else ""


def _called(node: ast.Call, where: str) -> str:
    name = name_of(node.func)
    given = {one.arg: one.value for one in node.keywords}
    shell = given.get("shell")
    if name in SHELLS or (shell is not None and name_of(shell) != "False"):
        return "runs a shell"
    if name in RUNS_TEXT:
        return f"runs text: {name}"
    if name in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"} and "Safe" not in ast.unparse(node):
        return "reads YAML that can make objects"
    if name in {"tempfile.mktemp", "tempfile.NamedTemporaryFile", "tempfile.SpooledTemporaryFile"}:
        return f"{name}: a file in a directory of everybody's"
    if name == "tempfile.mkstemp" and "dir" not in given:
        return "mkstemp without a directory of ours"
    if name.endswith("mkdir") and where not in WIDE_FOLDERS:
        mode = given.get("mode") or next((one for one in node.args if ast.unparse(one) in PRIVATE), None)
        if mode is None or ast.unparse(mode) not in PRIVATE:
            return "a folder that is not 0700"
    return ""


def test_the_code_runs_no_shell_reads_no_pickle_and_makes_no_folder_for_others():
    found = []
    for path in SHIPPED:
        where = path.relative_to(ROOT).as_posix().removeprefix("plugins/backstop/")
        found += faults(path.read_text(), where)

    assert len(SHIPPED) > 400
    assert found == []


def test_every_exception_is_still_one():
    for where in WIDE_FOLDERS:
        source = (ROOT / "plugins" / "backstop" / where).read_text()

        assert faults(source, "anywhere"), f"{where} needs no exception any more"


@pytest.mark.parametrize(
    ("planted", "said"),
    [
        ("subprocess.run('pg_dump | gzip', shell=True)", "runs a shell"),
        ("subprocess.run(line, shell=wanted)", "runs a shell"),
        ("os.system('rm')", "runs a shell"),
        ("import pickle", "imports pickle"),
        ("from cloudpickle import loads", "imports cloudpickle"),
        ("from tempfile import mkdtemp", "imports tempfile.mkdtemp"),
        ("eval(text)", "runs text"),
        ("yaml.load(text, Loader=yaml.Loader)", "reads YAML"),
        ("tempfile.mktemp()", "everybody's"),
        ("tempfile.NamedTemporaryFile()", "everybody's"),
        ("tempfile.mkstemp(prefix='x')", "without a directory"),
        ("path.mkdir()", "not 0700"),
        ("path.mkdir(mode=0o755)", "not 0700"),
        ("os.mkdir(name, 0o777, dir_fd=live)", "not 0700"),
    ],
)
def test_what_is_forbidden_is_seen(planted: str, said: str):
    (found,) = faults(planted, "planted.py")

    assert said in found


@pytest.mark.parametrize(
    "fine",
    [
        "subprocess.run(['pg_dump'], shell=False)",
        "path.mkdir(mode=0o700)",
        "os.mkdir(name, 0o700, dir_fd=live)",
        "tempfile.mkstemp(dir=folder)",
        "tempfile.TemporaryFile()",
        "yaml.load(text, Loader=yaml.CSafeLoader)",
    ],
)
def test_what_is_allowed_is_left_alone(fine: str):
    assert faults(fine, "fine.py") == []


@pytest.fixture
def verdict():
    return runpy.run_path(str(ROOT / "scripts" / "audit.py"))["verdict"]


def report(*dependencies: dict[str, object]) -> str:
    return json.dumps({"dependencies": list(dependencies)})


def test_an_audit_that_could_ask_nobody_says_that_it_was_none(verdict):
    unseen = {"name": "zipp", "skip_reason": "Dependency not found on PyPI"}

    assert verdict("") == (0, ["audit skipped: the index of advisories cannot be reached"])
    assert verdict(report(unseen)) == (
        0,
        ["audit skipped: the index has no advisories on any of 1 packages"],
    )


def test_a_known_flaw_fails_the_audit_and_is_named(verdict):
    flaw = {"id": "CVE-2026-1", "fix_versions": ["2.0"], "description": ""}
    code, said = verdict(report({"name": "zipp", "version": "1.0", "vulns": [flaw]}))

    assert code == 1
    assert said == ["zipp 1.0: CVE-2026-1 (mended in 2.0)"]
