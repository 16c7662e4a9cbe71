"""python -m tests.linters: pgrls over Clinic's target and those that are drafted for the corpus, squawk over the SQL of their migrations;
exit code 1 where something stands.

Both are in a virtual environment of their own (`make lint` makes it), since pgrls needs another pglast than Tenantry. Findings of
level error and warning fail, but for those that exceptions.toml, and corpus.toml for the corpus, except, each with its reason. Before
that each linter has to find what is wrong with something that is wrong: one that finds nothing anywhere would pass forever.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path

from tenantry.manifest import load_manifest
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database
from tests.isolation.build import CLINIC, OWNER, build_clinic, make_roles, run
from tests.linters.corpus import corpus_findings, steps_of
from tests.linters.findings import Finding, load_exceptions, standing, unused

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}

BROKEN = """
    create table clinic.broken (clinic_id uuid not null, note text);
    grant select, insert on clinic.broken to authenticated;
    alter table clinic.goals disable row level security;
    create policy broken on clinic.locations for select to authenticated using (tenantry.uid() is null or clinic_id is null);
"""
BROKEN_FINDINGS = {
    ("SEC001", "clinic.broken"),
    ("SEC032", "clinic.goals"),
    ("SEC004", "clinic.locations.broken"),
    ("SEC038", "clinic.locations.broken"),
}
BROKEN_SQL = {"type": "alter table orders alter column total type bigint;", "typo": "create table notes (id integer;"}
BROKEN_SQL_FINDINGS = {"changing-column-type", "syntax-error"}


def main(tools: Path) -> int:
    """Exit code: 0 nothing stands, 1 something does, 2 a linter could not run."""
    with tempfile.TemporaryDirectory(prefix="tl-", dir="/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)  # as root another account serves
        server = EmbeddedServer(folder, settings=_SETTINGS).start()
        try:
            with fresh_database(server) as target:
                build_clinic(target)
                found = pgrls(tools, target)
                with target.connect() as admin:
                    admin.execute(BROKEN.encode())
                _must_find("pgrls", BROKEN_FINDINGS - {(each.rule, each.place) for each in pgrls(tools, target)})
            with fresh_database(server) as source:
                scripts = _scripts(source)
            found += squawk(tools, folder / "sql", scripts)
            wrong = squawk(tools, folder / "broken", BROKEN_SQL)
            _must_find("squawk", BROKEN_SQL_FINDINGS - {each.rule for each in wrong})
            drafted = corpus_findings(server, folder, partial(pgrls, tools), partial(squawk, tools))
        finally:
            server.stop()
    return max(_judged("Clinic", found, "exceptions.toml"), _judged("the corpus", drafted, "corpus.toml"))


def _judged(what: str, found: Sequence[Finding], file: str) -> int:
    exceptions = load_exceptions(HERE / file)
    left, stale = standing(found, exceptions), unused(found, exceptions)
    for each in left:
        print(each)
    for text in stale:
        print(f"{file}: nothing is found any more for {text}: take it out")
    counts = ", ".join(f"{tool} {sum(each.tool == tool for each in found)}" for tool in ("pgrls", "squawk"))
    print(f"linters, {what}: {counts} findings, {len(found) - len(left)} of them excepted; {len(left)} stand.")
    return 1 if left or stale else 0


def _must_find(tool: str, missed: set[tuple[str, str]] | set[str]) -> None:
    if missed:
        sys.exit(f"linters: {tool} does not find what is wrong: {missed}")


def _json(command: Sequence[str | Path]) -> object:
    """A linter's own report. Exit code 1 says that there are findings; anything else that it could not run."""
    done = subprocess.run([str(part) for part in command], cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode not in (0, 1) or not done.stdout.strip():
        print(f"{Path(command[0]).name} failed ({done.returncode}): {done.stderr.strip()[-2000:]}", file=sys.stderr)
        sys.exit(2)
    return json.loads(done.stdout)


def pgrls(tools: Path, database: Database, config: Path = HERE / "pgrls.toml") -> list[Finding]:
    report = _json([
        tools / "pgrls", "lint", "--config", config, "--format", "json", "--database-url", database.dsn,
    ])  # fmt: skip
    assert isinstance(report, dict)
    return [
        Finding("pgrls", each["rule_id"], each["location"], each["severity"], each["message"])
        for each in report["violations"]
        if each["severity"] != "info"
    ]


def squawk(tools: Path, folder: Path, scripts: dict[str, str]) -> list[Finding]:
    folder.mkdir()
    for name, text in scripts.items():
        (folder / f"{name}.sql").write_text(text, encoding="utf-8")
    paths = sorted(folder.iterdir())
    report = _json([tools / "squawk", "--config", ROOT / ".squawk.toml", "--reporter", "json", *paths])
    assert isinstance(report, list)
    return [
        Finding("squawk", each["rule_name"], Path(each["file"]).stem, each["level"].lower(),
                f"{each['message']} (line {each['line'] + 1})")
        for each in report
    ]  # fmt: skip


# -- what is generated ---------------------------------------------------------------------------------------------------


def _scripts(database: Database) -> dict[str, str]:
    """The plan's steps by id, each with the settings that it runs under, and the script of the roles."""
    manifest = load_manifest(CLINIC)
    make_roles(database, manifest)
    with database.connect() as admin:
        run(admin, f"grant create, usage on schema public to {OWNER}")
    with database.connect(user=OWNER) as owner:
        run(owner, files("clinic.migration.legacy").joinpath("schema.sql").read_text(encoding="utf-8"))
    return {**steps_of(_tenantry("plan", "--sql", database=database)), "roles": _tenantry("roles", database=database)}


def _tenantry(*arguments: str, database: Database) -> str:
    program = "from tenantry.cli.main import main; main()"
    command = [sys.executable, "-c", program, *arguments, "--dsn", database.dsn_as(OWNER), "--manifest", str(CLINIC)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
