"""Small applications for tests of single situations: organizations, users and memberships, and whatever a test adds.

A test gives the SQL of its own source and target tables and their part of the manifest; `Small` runs the command line on it,
in process, and writes as the application does. Who connects: `small_mig` is the engine's login and acts as the owner
`small_owner`; `small_web` is an application with rights on the tables; `small_prisma` is one that acts as their owner.
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg
import pytest
from psycopg import sql

from tenantry.access import roles_sql
from tenantry.accounts.auth_schema import auth_script
from tenantry.manifest import Manifest, load_manifest
from tenantry.postgres import EmbeddedServer
from tests.conftest import Database, fresh_database, running_server
from tests.migrate_support import PATIENCE, Rows, Said, cli, rows, shared_template, tenantry

OWNER, MIGRATOR, APPLICATION, OWNING_APPLICATION = "small_owner", "small_mig", "small_web", "small_prisma"

SOURCE = """
create table "Organization" (id text primary key, name text not null);
create type "Role" as enum ('USER', 'ADMIN');
create table "User" (id text primary key, email text not null unique, name text, password text, role "Role" not null default 'USER',
    "organizationId" text not null references "Organization" (id) on update cascade on delete restrict);
insert into "Organization" values ('o1', 'One'), ('o2', 'Two');
insert into "User" (id, email, name, role, "organizationId") values
    ('u1', 'ann@one.example', 'Ann', 'ADMIN', 'o1'), ('u2', 'bob@one.example', 'Bob', 'USER', 'o1'),
    ('u3', 'cem@two.example', 'Cem', 'ADMIN', 'o2');
"""

TARGET = """
create table orgs (id uuid primary key default gen_random_uuid(), legacy_id text not null unique, name text not null);
create table people (id uuid primary key default gen_random_uuid(), legacy_id text not null unique,
    account_id uuid unique references auth.users (id) on delete set null deferrable initially immediate,
    email text not null unique, name text);
create table members (org_id uuid not null references orgs (id) deferrable initially immediate,
    id uuid not null default gen_random_uuid(), legacy_id text not null,
    person_id uuid not null references people (id) deferrable initially immediate, role text not null,
    primary key (org_id, id), unique (org_id, legacy_id), unique (org_id, person_id));
create index on members (person_id);
"""

MANIFEST = """
name = "small"
[source]
schema = "public"
{source}
[target]
schema = "app"
files = ["target.sql"]
[ids]
namespace = "small"
[tenant]
table = "orgs"
column = "org_id"
[membership]
table = "members"
profile = "person_id"
role = "role"
[roles]
order = ["member", "admin"]
[users]
from = "User"
email = "email"
profile = "people"
account = "account_id"
password = "password"
{users}

[tables.orgs]
from = "Organization"
access = {{ select = "member", insert = "super", update = "admin", delete = "super" }}
[tables.people]
from = "User"
access = {{ select = {{ colleagues = "member", own = "id" }}, insert = "service", update = {{ own = "id" }}, delete = "service" }}
columns = {{ email = {{ as = "email" }} }}
[tables.members]
from = "User"
part = "member"
tenant = ["organizationId"]
access = "managed"
columns = {{ person_id = {{ from = "id", ref = "people" }}, role = {{ map = {{ USER = "member", ADMIN = "admin" }} }} }}

{tables}
"""


def target_table(name: str, columns: str = "", *constraints: str) -> str:
    """SQL of a tenant's table: tenant column, id, legacy_id and the usual keys, and these columns (each with a comma before)."""
    more = "".join(f",\n    {constraint}" for constraint in constraints)
    return (
        f"create table {name} (org_id uuid not null references orgs (id) deferrable initially immediate,\n"
        f"    id uuid not null default gen_random_uuid(), legacy_id text not null{columns},\n"
        f"    primary key (org_id, id), unique (org_id, legacy_id){more});\n"
    )


@dataclass(frozen=True)
class Small:
    """One small application in a database of its own."""

    database: Database
    folder: Path

    @property
    def path(self) -> Path:
        return self.folder / "tenantry.toml"

    @property
    def manifest(self) -> Manifest:
        return load_manifest(self.path)

    @property
    def dsn(self) -> str:
        """The engine's: its login acts as the owner of the source."""
        return f"{self.database.dsn_as(MIGRATOR)} options='-c role={OWNER}'"

    @property
    def environment(self) -> dict[str, str]:
        return {"TENANTRY_DSN": self.dsn, "TENANTRY_MANIFEST": str(self.path)}

    def run(self, *arguments: str, code: int | None = None) -> Said:
        """A command, in process. `code`: the exit code that it must end with."""
        said = cli(*arguments, environment=self.environment)
        assert code is None or said.code == code, said.out + said.err
        return said

    def process(self, *arguments: str, timeout: float = 2 * PATIENCE) -> Said:
        """A command in a process of its own: where its end is what is tested."""
        return tenantry(*arguments, environment=self.environment, timeout=timeout)

    def migrate(self) -> Said:
        """Up to the moment in which it can be cut over."""
        return self.run("migrate", code=0)

    def cut_over(self) -> Said:
        return self.run("cutover", code=0)

    def roll_back(self, *arguments: str) -> Said:
        return self.run("rollback", "--yes", *arguments, code=0)

    def rewrite(self, old: str, new: str) -> None:
        """Change the manifest; what is replaced must be there."""
        text = self.path.read_text(encoding="utf-8")
        assert old in text
        self.path.write_text(text.replace(old, new), encoding="utf-8")

    @contextmanager
    def connect(self, user: str = APPLICATION) -> Iterator[psycopg.Connection[tuple[Any, ...]]]:
        """A connection of the application, or of another login; `small_prisma` acts as the owner."""
        options = f" options='-c role={OWNER}'" if user in (MIGRATOR, OWNING_APPLICATION) else ""
        with psycopg.connect(self.database.dsn_as(user) + options, autocommit=True) as connection:
            yield connection

    def write(self, *statements: str, user: str = APPLICATION) -> None:
        """As the application does, each statement in a transaction of its own."""
        with self.connect(user) as connection:
            for statement in statements:
                connection.execute(statement.encode())

    def as_owner(self, *statements: str) -> None:
        """As an application that acts as the owner of its tables."""
        self.write(*statements, user=OWNING_APPLICATION)

    def as_superuser(self, *statements: str) -> None:
        self.write(*statements, user="postgres")

    def rows(self, query: str, parameters: Sequence[object] | Mapping[str, object] | None = None) -> Rows:
        """What a superuser sees."""
        return rows(self.database, query, parameters)

    def one(self, query: str) -> Any:
        ((value,),) = self.rows(query)
        return value

    def accounting(self) -> dict[str, tuple[int, int, int]]:
        """By mapping: source rows, target rows, and rows in quarantine, as `verify --json` counts them."""
        return accounting_of(self.run("verify", "--json"))


def accounting_of(said: Said) -> dict[str, tuple[int, int, int]]:
    """The same of a `verify --json` that ran already."""
    return {
        check["account"]["mapping"]: tuple(check["account"][name] for name in ("source", "target", "quarantined"))
        for check in said.json["checks"]
        if check["account"] is not None
    }


MakeSmall = Callable[..., Small]


def _fill(database: Database, accounts: bool) -> None:
    with database.connect() as admin:
        admin.execute("select pg_advisory_lock(4712)")
        for role, attributes in (
            (OWNER, "nologin"),
            (MIGRATOR, "login"),
            (APPLICATION, "login"),
            (OWNING_APPLICATION, "login"),
        ):
            admin.execute(
                sql.SQL("do $$ begin if to_regrole({0}) is null then create role {1} {2}; end if; end $$").format(
                    sql.Literal(role), sql.Identifier(role), sql.SQL(attributes)
                )
            )
        admin.execute(f"grant {OWNER} to {MIGRATOR}, {OWNING_APPLICATION}")
        admin.execute(f"alter schema public owner to {OWNER}")
        admin.execute(f"grant usage on schema public to {APPLICATION}")
        for kind in ("tables", "sequences"):
            admin.execute(f"alter default privileges for role {OWNER} grant all on {kind} to {APPLICATION}")
        admin.execute(roles_sql(_any_manifest(), owner=OWNER, database=database.name))
        admin.execute(f"set role {OWNER}")
        if accounts:
            admin.execute(auth_script().encode())
        admin.execute(SOURCE)


def _any_manifest() -> Manifest:
    """The manifest without further tables: its roles are everybody's."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "tenantry.toml")
        path.write_text(MANIFEST.format(tables="", users="", source=""), encoding="utf-8")
        Path(folder, "target.sql").write_text(TARGET, encoding="utf-8")
        return load_manifest(path)


def _template(server: EmbeddedServer, accounts: bool) -> str:
    name = "small_with_accounts" if accounts else "small_base"
    return shared_template(server, name, lambda database: _fill(database, accounts))


@contextmanager
def make_small(
    server: EmbeddedServer,
    folder: Path,
    *,
    source: str = "",
    target: str = "",
    tables: str = "",
    users: str = "",
    section: str = "",
    before: str = "",
    after: str = "",
    accounts: bool = True,
) -> Iterator[Small]:
    """A small application.

    Args:
        source: SQL of further source tables and their rows, run as the owner.
        target: SQL of further target tables; `target_table` writes the usual one.
        tables: further text of the manifest, `[tables.…]` and whatever follows.
        users: further lines of `[users]`.
        section: further lines of `[source]`.
        before, after: SQL that a superuser runs before and behind the source's.
        accounts: schema auth is there, as behind a rollback of another run; else a run creates it, which Clinic's tests show, and takes a tenth
            longer.
    """
    with fresh_database(server, _template(server, accounts)) as database:
        text = MANIFEST.format(tables=textwrap.dedent(tables), users=textwrap.dedent(users), source=section)
        (folder / "tenantry.toml").write_text(text, encoding="utf-8")
        (folder / "target.sql").write_text(TARGET + textwrap.dedent(target), encoding="utf-8")
        made = Small(database, folder)
        with database.connect() as admin, psycopg.connect(server.dsn(), autocommit=True) as lock:
            if before:
                admin.execute(before.encode())
            if source:
                admin.execute(f"set role {OWNER}")
                admin.execute(source.encode())
                admin.execute("reset role")
            if after:
                admin.execute(after.encode())
            # Roles are the cluster's: workers would stand in each other's way.
            lock.execute("select pg_advisory_lock(4711)")
            admin.execute(roles_sql(made.manifest, owner=OWNER, database=database.name))
        yield made


@pytest.fixture
def small(servers: dict[int, EmbeddedServer], tmp_path: Path) -> Iterator[MakeSmall]:
    """Makes small applications: `small(source=…, target=…, tables=…, version=18)`; see `make_small`."""
    with ExitStack() as stack:
        made = 0

        def make(*, version: int = 18, accounts: bool = True, **parts: str) -> Small:
            nonlocal made
            made += 1
            folder = tmp_path / f"small{made}"
            folder.mkdir()
            return stack.enter_context(make_small(running_server(servers, version), folder, accounts=accounts, **parts))

        yield make
