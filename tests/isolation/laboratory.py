"""The lab: for each check a schema on which it must fire, and a repaired twin without findings.

`lab/base.sql` is a small schema that is in order. `lab/<check>/bad.sql` breaks one thing in it, `good.sql` does the same as it
should be done; `bad_….sql` and `good_….sql` are further ways. Each is built, linted and rolled back in the lab's own database, those
of one check on the same base; roles that it makes go with it. The first comment lines of a lab say what the test must know:

    -- fires: app.notes     the object that the finding must name, or part of its detail where it names none
    -- manifest             lint as with a manifest that names the base's roles and tables
    -- since: 17           this version and newer ones
    -- without base         begin with an empty database
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import psycopg
from psycopg import errors
from psycopg._preparing import PrepareManager

from tenantry.postgres import EmbeddedServer
from tenantry.prove.lint.checks import check_files
from tenantry.prove.lint.run import Lint, LintFinding, run_lint
from tenantry.prove.lint.scope import discover

LAB = Path(__file__).parent / "lab"
OWNER = "lab_owner"
_NEWEST = 18
_ROLES = {
    "anon": "nologin noinherit",
    "authenticated": "nologin noinherit",
    "service_role": "nologin noinherit bypassrls",
    "lab_definer": "nologin",
    OWNER: "nologin",
    "lab_app": "login noinherit",
}

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Case:
    """One file of the lab."""

    check: str
    kind: str
    text: str

    @property
    def bad(self) -> bool:
        return self.kind.startswith("bad")

    @property
    def fires(self) -> str:
        return self._header("fires:")

    @property
    def since(self) -> int:
        """The first version that knows what the file says."""
        return int(self._header("since:") or 0)

    @property
    def manifest(self) -> bool:
        return "-- manifest" in self.text.splitlines()

    @property
    def with_base(self) -> bool:
        return "-- without base" not in self.text.splitlines()

    def _header(self, key: str) -> str:
        found = [line for line in self.text.splitlines() if line.startswith(f"-- {key}")]
        return found[0].partition(key)[2].strip() if found else ""


def cases(check: str, version: int) -> list[Case]:
    """The files of one check that a version knows: `bad*.sql`, each with another violation, and `good*.sql`."""
    found = [
        Case(check, path.stem, path.read_text(encoding="utf-8")) for path in sorted(LAB.joinpath(check).glob("*.sql"))
    ]
    return [each for each in found if version >= each.since]


def folders() -> list[str]:
    return sorted(path.name for path in LAB.iterdir() if path.is_dir())


def checks() -> list[str]:
    return [check.name for check in check_files()]


def make_roles(server: EmbeddedServer) -> None:
    """The roles that every lab uses; those of a cluster of its own, so that no other test has a hand in them."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        for name, attributes in _ROLES.items():
            with suppress(errors.DuplicateObject, errors.UniqueViolation):
                admin.execute(f"create role {name} {attributes}".encode())
        inherit = b" with inherit false" if server.version >= 16 else b""
        with suppress(errors.UniqueViolation, errors.InternalError_):
            admin.execute(b"grant anon, authenticated to lab_app" + inherit)


class _KeptStatements(PrepareManager):
    """The prepared statements of a connection, kept across rollbacks: hundreds of lints run the same checks, whose planning takes
    longer than their execution. They read catalogs only, which no lab drops."""

    prepare_threshold = 1
    prepared_max = 500

    def clear(self) -> bool:
        return False


@contextmanager
def lab_database(server: EmbeddedServer, name: str) -> Iterator[Connection]:
    """Make a properly restricted database: no temporary tables for PUBLIC, and only one login may connect."""
    make_roles(server)
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute(f"create database {name} template template0 strategy file_copy".encode())
        admin.execute(f"revoke all on database {name} from public".encode())
        admin.execute(f"grant connect on database {name} to lab_app".encode())
        admin.execute(f"grant create on database {name} to {OWNER}".encode())
        try:
            with psycopg.connect(server.dsn(name)) as connection:
                connection._prepared = _KeptStatements()
                connection.execute("set plan_cache_mode = force_generic_plan")
                connection.execute(
                    f"alter default privileges for role {OWNER} revoke execute on functions from public".encode()
                )
                connection.commit()
                yield connection
                connection.rollback()
        finally:
            admin.execute(f"drop database {name} with (force)".encode())


@contextmanager
def based(connection: Connection) -> Iterator[None]:
    """The schema that labs begin with, for the labs that are built in this context."""
    try:
        connection.execute(f"set local role {OWNER}".encode())
        connection.execute(LAB.joinpath("base.sql").read_bytes())
        yield
    finally:
        connection.rollback()


def lint(connection: Connection, wanted: Case, *, only: str | None = None) -> Lint:
    """Build, lint as the owner of the tables (with one check, or with all), and take everything back."""
    if wanted.with_base:
        with based(connection):
            return lint_on_base(connection, wanted, only=only)
    with connection.transaction(force_rollback=True):
        connection.execute(f"set local role {OWNER}".encode())
        return lint_on_base(connection, wanted, only=only)


def lint_on_base(connection: Connection, wanted: Case, *, only: str | None = None) -> Lint:
    """As lint(), on the base that is there."""
    chosen = None if only is None else [only]
    with connection.transaction(force_rollback=True):
        connection.execute(wanted.text.encode())
        connection.execute(f"set local role {OWNER}".encode())
        if not wanted.manifest:
            return run_lint(connection, only=chosen)
        scope = replace(
            discover(connection),
            clients=("anon", "authenticated", "lab_app"),
            manifest=True,
            login="lab_app",
            definer="lab_definer",
        )
        return run_lint(connection, scope=scope, only=chosen)


def named(finding: LintFinding, wanted: Case) -> bool:
    """Whether a finding is the one that a lab says, about the object that it says."""
    if finding.check != wanted.check:
        return False
    return finding.object == wanted.fires if finding.object else bool(wanted.fires) and wanted.fires in finding.detail


# -- the confusion table -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What became of one check on one version.

    Attributes:
        silent: bad schemas on which it did not fire.
        wrong: bad schemas on which it fired, but not on the object that is broken.
        fired: good schemas on which it fired.
        others: other checks that fired on a good schema, as `good: check`.
    """

    check: str
    version: int
    bad: int
    good: int
    silent: list[str] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    fired: list[str] = field(default_factory=list)
    others: list[str] = field(default_factory=list)

    @property
    def right(self) -> bool:
        return self.bad > 0 and self.good > 0 and not (self.silent or self.wrong or self.fired or self.others)

    @property
    def cell(self) -> str:
        if self.right:
            return f"{self.bad}/{self.bad} {self.good}/{self.good}"
        problems = {"SILENT": self.silent, "WRONG OBJECT": self.wrong, "FIRED": self.fired, "OTHERS": self.others}
        said = "; ".join(f"{word} {', '.join(names)}" for word, names in problems.items() if names)
        return said or "NO LAB"


def tried(connection: Connection, version: int, check: str) -> Row:
    """The labs of one check, on one server: all of them on the newest version, with what else fires on a sound schema. Ways in which a
    schema is broken do not differ by version, so that on others the first of each kind, and those of the newer catalog, are enough."""
    wanted = cases(check, version)
    if version != _NEWEST:
        kinds = [next((each for each in wanted if each.bad is bad), None) for bad in (True, False)]
        wanted = [each for each in wanted if each in kinds or each.since]
    row = Row(check, version, sum(each.bad for each in wanted), sum(not each.bad for each in wanted))
    for each, findings in _linted(connection, version, wanted):
        own = [finding for finding in findings if finding.check == check]
        others = sorted({finding.check for finding in findings} - {check})
        if not each.bad:
            row.fired.extend([each.kind] if own else [])
            row.others.extend(f"{each.kind}: {other}" for other in others)
            continue
        if not own:
            row.silent.append(each.kind)
        elif not any(named(finding, each) for finding in own):
            row.wrong.append(f"{each.kind} ({'; '.join(str(finding) for finding in own)})")
    return row


def _linted(connection: Connection, version: int, wanted: list[Case]) -> Iterator[tuple[Case, tuple[LintFinding, ...]]]:
    def only(each: Case) -> str | None:
        return each.check if each.bad or version != _NEWEST else None

    with based(connection):
        for each in wanted:
            if each.with_base:
                yield each, lint_on_base(connection, each, only=only(each)).findings
    for each in wanted:
        if not each.with_base:
            yield each, lint(connection, each, only=only(each)).findings


def _folder() -> Path:
    return Path(os.environ["TENANTRY_TEST_SERVERS"]) / "confusion"


def keep(row: Row) -> None:
    """Store it where the session's summary finds it, from any worker."""
    _folder().mkdir(exist_ok=True)
    _folder().joinpath(f"{row.version}_{row.check}.json").write_text(json.dumps(asdict(row)), encoding="utf-8")


def kept() -> list[Row]:
    if not _folder().exists():
        return []
    return [Row(**json.loads(path.read_text(encoding="utf-8"))) for path in sorted(_folder().iterdir())]


def confusion_lines(rows: list[Row]) -> list[str]:
    """The table: a line for each check; by version how many of its bad schemas it named, and on how many good ones it, and all
    others, kept silent."""
    versions = sorted({row.version for row in rows})
    width = max(len(row.check) for row in rows)
    heads = "  ".join(f"{f'pg{version} bad good':15}" for version in versions)
    lines = [f"{'check':{width}}  {heads}"]
    for check in sorted({row.check for row in rows}):
        mine = {row.version: row for row in rows if row.check == check}
        cells = "  ".join(f"{mine[version].cell if version in mine else '':15}" for version in versions)
        lines.append(f"{check:{width}}  {cells}".rstrip())
    bad, good = sum(row.bad for row in rows), sum(row.good for row in rows)
    missed = sum(len(row.silent) + len(row.wrong) for row in rows)
    alarms = sum(len(set(row.fired) | {other.partition(":")[0] for other in row.others}) for row in rows)
    lines.append(
        f"{len({row.check for row in rows})} checks on {len(versions)} versions: {bad - missed} of {bad} broken schemas named,"
        f" {missed} missed; {good - alarms} of {good} mended ones clean, {alarms} false alarms."
    )
    return lines
