"""Fixtures of the tests that migrate: the legacy Clinic and the migrated one as template databases, cloned for each test.

Each template is made once for a server, by whichever worker comes first; the migrated one is made by a role that merely
owns the source tables and has CREATE on the database, so that every test that starts from it rests on that.
"""

from __future__ import annotations

import base64
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import psycopg
import pytest
import typer.main
from psycopg import sql

from clinic import migration
from clinic.migration.legacy import Planted, create_schema, generate, load
from clinic.platform import tokens
from tenantry.access import roles_sql
from tenantry.catalog import read_catalog
from tenantry.journal.journal import Journal
from tenantry.manifest import Manifest, load_manifest
from tenantry.mapping import Project
from tenantry.migrate.run.engine import Migration, Options, Outcome
from tenantry.migrate.session.observer import Observer
from tenantry.migrate.session.prepare import prepare
from tenantry.migrate.switch.cutover import cut_over
from tenantry.migrate.verify.compare import find_candidates, settle
from tenantry.migrate.verify.results import Verification
from tenantry.migrate.verify.whole_target import verify_target
from tenantry.postgres import EmbeddedServer, connect, ident
from tests.conftest import Database, fresh_database, running_server, version_parameters

Rows = list[tuple[Any, ...]]

OWNER = "clinic_owner"
"""Owns the source tables and has CREATE on the database; no superuser, no CREATEROLE, no BYPASSRLS."""

VALUES, CLINICS, SEED = 2000, 4, 7
MANIFEST = migration.MANIFEST
TOKEN_KEY = base64.urlsafe_b64encode(b"a key of the tests, of 32 bytes!").decode()
PATIENCE = 120.0
"""Seconds until a test gives up waiting for an event: a loaded machine may need long, and who waits for the event loses nothing."""
# Small ranges, so that a table has several and a kill can fall between them.
OPTIONS = Options(workers=2, chunk_rows=400, lock_patience=60)


# -- templates -----------------------------------------------------------------------------------------------------------


def shared_template(
    server: EmbeddedServer, name: str, fill: Callable[[Database], None], *, template: str = "template0"
) -> str:
    """The database of this name on the server, copied from `template` and filled by the first who asks, whatever worker that is."""
    with psycopg.connect(server.dsn(), autocommit=True) as admin:
        admin.execute("select pg_advisory_lock(hashtext(%s))", [name])
        made = admin.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [name]
        ).fetchone()
        if made != ("complete",):
            quoted = sql.Identifier(name)
            admin.execute(sql.SQL("drop database if exists {} with (force)").format(quoted))
            admin.execute(
                sql.SQL("create database {} template {} strategy file_copy").format(quoted, sql.Identifier(template))
            )
            fill(Database(server, name))
            admin.execute(sql.SQL("comment on database {} is 'complete'").format(quoted))
    return name


def let_own(database: Database, manifest: Manifest, *, owner: str = OWNER, schema: str = "public") -> None:
    """As a DBA would: the owner and its tables, and the one script that makes the roles."""
    with database.connect() as admin:
        admin.execute(
            sql.SQL(
                "do $$ begin if to_regrole({0}) is null then create role {1} login; end if;"
                " exception when duplicate_object or unique_violation then null; end $$"
            ).format(sql.Literal(owner), sql.Identifier(owner))
        )
        for (table,) in admin.execute(
            "select oid::regclass::text from pg_class where relnamespace = %s::regnamespace and relkind in ('r', 'p')",
            [ident(schema)],
        ).fetchall():
            admin.execute(f"alter table {table} owner to {ident(owner)}")
        grant_rights(database, manifest, owner=owner)


def grant_rights(database: Database, manifest: Manifest, *, owner: str = OWNER) -> None:
    """Run the roles script; rights on a database are not cloned with it."""
    # Roles are the cluster's: workers would stand in each other's way.
    with database.connect() as admin, psycopg.connect(database.server.dsn(), autocommit=True) as lock:
        lock.execute("select pg_advisory_lock(4711)")
        admin.execute(roles_sql(manifest, owner=owner, database=database.name))


def fill_legacy(database: Database) -> None:
    with connect(database.dsn) as connection:
        create_schema(connection, "public")
        load(connection, values=VALUES, clinics=CLINICS, seed=SEED)
    let_own(database, clinic_manifest())


def _fill_finished(database: Database) -> None:
    fill_legacy(database)
    migrate(database)


@cache
def planted() -> Planted:
    """What the legacy template holds: the generator says it without a database."""
    sample = generate(clinics=CLINICS, values=VALUES, seed=SEED)
    for _, rows in sample.rows():
        for _row in rows:
            pass
    return sample.planted()


@cache
def clinic_manifest() -> Manifest:
    return load_manifest(MANIFEST)


def copy_of_clinic(folder: Path) -> Path:
    """Copy Clinic's manifest and the files of its target to a folder, to be changed there; returns the manifest."""
    shutil.copytree(MANIFEST.parents[1] / "schema", folder / "schema")
    manifest = folder / "migration" / MANIFEST.name
    manifest.parent.mkdir()
    return Path(shutil.copy(MANIFEST, manifest))


@contextmanager
def clone_legacy(server: EmbeddedServer) -> Iterator[Database]:
    with fresh_database(server, shared_template(server, "clinic_legacy", fill_legacy)) as made:
        grant_rights(made, clinic_manifest())
        yield made


def finished_template(server: EmbeddedServer) -> str:
    """A migrated Clinic."""
    return shared_template(server, "clinic_finished", _fill_finished)


@contextmanager
def clone_finished(server: EmbeddedServer) -> Iterator[Database]:
    with fresh_database(server, finished_template(server)) as made:
        grant_rights(made, clinic_manifest())
        yield made


# -- fixtures ------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="session", autouse=True)
def _token_key() -> Iterator[None]:
    before = os.environ.get(tokens.VARIABLE)
    os.environ[tokens.VARIABLE] = TOKEN_KEY
    yield
    if before is None:
        os.environ.pop(tokens.VARIABLE, None)
    else:
        os.environ[tokens.VARIABLE] = before


@pytest.fixture
def legacy(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    """The legacy Clinic on PostgreSQL 18, roles made, nothing migrated."""
    with clone_legacy(running_server(servers, 18)) as made:
        yield made


@pytest.fixture(params=version_parameters())
def legacy_each(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest) -> Iterator[Database]:
    with clone_legacy(running_server(servers, request.param)) as made:
        yield made


@pytest.fixture
def finished(servers: dict[int, EmbeddedServer]) -> Iterator[Database]:
    """A migrated Clinic on PostgreSQL 18 that the test may spoil."""
    with clone_finished(running_server(servers, 18)) as made:
        yield made


@pytest.fixture(params=version_parameters())
def finished_each(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated Clinic that the test may spoil, on the newest version and the oldest."""
    with clone_finished(running_server(servers, request.param)) as made:
        yield made


@pytest.fixture(scope="session", params=version_parameters(every=True))
def migrated(servers: dict[int, EmbeddedServer], request: pytest.FixtureRequest) -> Iterator[Database]:
    """A migrated Clinic on every version, to be read only: all tests of a worker share it."""
    with clone_finished(running_server(servers, request.param)) as made:
        yield made


# -- doing ---------------------------------------------------------------------------------------------------------------


def migrate(
    database: Database,
    manifest: Manifest | None = None,
    *,
    observer: Observer | None = None,
    options: Options = OPTIONS,
    owner: str = OWNER,
) -> Outcome:
    """A whole run with its cut-over, as the owner."""
    outcome = carry_over(database, manifest, observer=observer, options=options, owner=owner)
    cut_over(database.dsn_as(owner), manifest or clinic_manifest(), observer=observer)
    return outcome


def carry_over(
    database: Database,
    manifest: Manifest | None = None,
    *,
    observer: Observer | None = None,
    options: Options = OPTIONS,
    owner: str = OWNER,
) -> Outcome:
    """A run up to the cut-over, as the owner."""
    os.environ.setdefault(tokens.VARIABLE, TOKEN_KEY)
    return Migration(database.dsn_as(owner), manifest or clinic_manifest(), options, observer).run()


def verify_all(connection: Any, project: Project, run: int) -> list[Verification]:
    """Every check, for a database in which nobody writes."""
    suspects = find_candidates(connection, project, Journal(run))
    with connection.transaction():
        rows = [settle(connection, project, mapping, suspects[mapping.name]) for mapping in project]
    return [*rows, *verify_target(connection, project)]


@contextmanager
def engine(database: Database, user: str = OWNER) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
    """A connection as the engine opens it."""
    with connect(database.dsn_as(user)) as connection:
        yield connection


def project_of(database: Database, manifest: Manifest | None = None, *, owner: str = OWNER) -> Project:
    with engine(database, owner) as connection:
        return prepare(connection, manifest or clinic_manifest()).project


@dataclass(frozen=True)
class Said:
    """What a command of the tool said."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def everything(self) -> str:
        """Both streams, on one line: the terminal's width breaks lines anywhere."""
        return " ".join((self.out + self.err).split())


def tenantry(
    *arguments: str,
    folder: Path | None = None,
    environment: Mapping[str, str] | None = None,
    timeout: float = 2 * PATIENCE,
) -> Said:
    """The command line, as its users run it: a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "tenantry", *arguments],
        capture_output=True,
        text=True,
        cwd=folder,
        env=tool_environment(environment),
        timeout=timeout,
        check=False,
    )
    return Said(done.returncode, done.stdout, done.stderr)


@cache
def _build_once() -> None:
    """The command line takes longer to be put together than many a command to run; it is the same each time."""
    typer.main.get_command = cache(typer.main.get_command)


def cli(*arguments: str, environment: Mapping[str, str] | None = None) -> Said:
    """The same, within this process: for the many calls whose subject is what is said, not how a process ends."""
    from tenantry.cli import console  # noqa: PLC0415
    from tenantry.cli import main as tool  # noqa: PLC0415

    _build_once()
    out, err = io.StringIO(), io.StringIO()
    before, widths = sys.argv, (console.out.width, console.err.width)
    sys.argv, console.out.width, console.err.width = ["tenantry", *arguments], 300, 300
    handler, variables = signal.getsignal(signal.SIGTERM), dict(os.environ)
    os.environ.update(environment or {})
    code: object = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            tool.main()
    except SystemExit as end:
        code = end.code
    finally:
        os.environ.clear()
        os.environ.update(variables)
        signal.signal(signal.SIGTERM, handler)
        sys.argv, (console.out.width, console.err.width) = before, widths
    return Said(int(str(code or 0)), out.getvalue(), err.getvalue())


def tool_environment(more: Mapping[str, str] | None = None) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PG")}
    return {**kept, tokens.VARIABLE: TOKEN_KEY, "COLUMNS": "300", "NO_COLOR": "1", **(more or {})}


def wait_for(what: str, condition: Callable[[], Any], *, seconds: float = PATIENCE) -> Any:
    """Poll until the condition is true and return its value; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = condition()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"did not come within {seconds} s: {what}")


@contextmanager
def unguarded(connection: psycopg.Connection[Any], *tables: str) -> Iterator[None]:
    """Switch all triggers of these tables off for a while, fences too, as somebody does who spoils what a run made."""
    states = {
        "O": "enable trigger",
        "A": "enable always trigger",
        "R": "enable replica trigger",
        "D": "disable trigger",
    }
    before = connection.execute(
        "select t.tgrelid::regclass::text, t.tgname, t.tgenabled::text from pg_trigger t"
        " where t.tgrelid = any (%s::text[]::regclass[]) and not t.tgisinternal",
        [list(tables)],
    ).fetchall()
    for table in tables:
        connection.execute(f"alter table {table} disable trigger user".encode())
    yield
    for table, name, state in before:
        connection.execute(f"alter table {table} {states[str(state)]} {ident(str(name))}".encode())


# -- looking -------------------------------------------------------------------------------------------------------------


def rows(database: Database, query: str, parameters: Sequence[object] | Mapping[str, object] | None = None) -> Rows:
    """What a superuser sees."""
    with database.connect() as connection:
        return connection.execute(query, parameters).fetchall()


def one(database: Database, query: str, parameters: Sequence[object] | Mapping[str, object] | None = None) -> Any:
    ((value,),) = rows(database, query, parameters)
    return value


def source_digest(database: Database, schema: str = "public") -> str:
    with engine(database, "postgres") as connection:
        return read_catalog(connection, schema).digest()


_JOURNAL = {
    "tenantry.quarantine": "mapping, source_table, source_key, original, patch, problems, reason, column_name, detail,"
    " parent_mapping, parent_table, parent_key, state",
    "tenantry.merged": "mapping, source_table, source_key, into_key, reason, original, derived",
    "tenantry.change": "mapping, source_table, source_key, column_name, original, carried, rule",
    "tenantry.account_link": "source_key, account_id, flagged",
    "tenantry.id_map": "source_table, target_table, old_id, new_id, state",
    "auth.users": "*",
    "auth.identities": "provider_id, user_id, identity_data, provider, created_at, updated_at",
}


def end_state(
    database: Database, *, schema: str = "clinic", unstable: Sequence[str] = ()
) -> dict[str, tuple[int, str]]:
    """Rows and an order-independent checksum of all that a migration leaves, but for times and numbers of the journal.

    Args:
        unstable: columns that are never twice the same, as `google_credentials.access_token_encrypted`.
    """
    state: dict[str, tuple[int, str]] = {}
    with database.connect() as connection:
        columns: dict[str, list[str]] = {}
        for table, column in connection.execute(
            "select c.oid::regclass::text, a.attname from pg_class c join pg_attribute a on a.attrelid = c.oid"
            " where c.relnamespace = %s::regnamespace and c.relkind = 'r' and a.attnum > 0 and not a.attisdropped"
            " order by a.attnum",
            [ident(schema)],
        ):
            if f"{str(table).rpartition('.')[2]}.{column}" not in unstable:
                columns.setdefault(str(table), []).append(ident(str(column)))
        wanted = {**{table: ", ".join(names) for table, names in columns.items()}, **_JOURNAL}
        for table, names in wanted.items():
            if connection.execute("select to_regclass(%s)", [table]).fetchone() == (None,):
                continue
            found = connection.execute(
                "select count(*), coalesce(sum(hashtextextended(x::text, 0)::numeric), 0)::text"
                f" from (select {names} from {table}) x"
            ).fetchone()
            assert found is not None
            state[table] = (int(str(found[0])), str(found[1]))
    return state


TOKENS = ("google_credentials.access_token_encrypted", "google_credentials.refresh_token_encrypted")
"""Fernet tokens begin with the time and a random vector."""


def decrypted(database: Database) -> dict[str, tuple[str, str | None]]:
    """The access and refresh tokens that the target holds, by old id, as they were."""
    found = {}
    for key, access, refresh in rows(
        database, "select legacy_id, access_token_encrypted, refresh_token_encrypted from clinic.google_credentials"
    ):
        back = tokens.decrypt([access])[0]
        found[str(key)] = (back, None if refresh is None else tokens.decrypt([refresh])[0])
    return found
