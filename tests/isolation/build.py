"""Targets to try access on: Clinic, and a small schema of other names; built as a migration builds them."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import psycopg
from psycopg import errors, sql

from clinic import migration
from tenantry.access import context_sql, cutover_grants, roles_sql, secure_statements
from tenantry.accounts.auth_schema import auth_script
from tenantry.catalog import read_catalog
from tenantry.journal.ddl import journal_ddl
from tenantry.manifest import Manifest, load_manifest, target_files
from tenantry.manifest.model import Context
from tenantry.mapping import Project, resolve
from tenantry.postgres import ident, seal
from tenantry.postgres.seal import SealKey
from tests.conftest import Database

CLINIC = migration.MANIFEST
OWNER = "tenantry_test_owner"
LOGIN = "tenantry_login"

KEY = SealKey("test", b"the key of those who test, of 32")
"""With which tests open contexts."""

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Built:
    """A secured target, after its cut-over."""

    database: Database
    project: Project

    @property
    def owner_dsn(self) -> str:
        return self.database.dsn_as(OWNER)

    @property
    def login_dsn(self) -> str:
        return self.database.dsn_as(LOGIN)

    def owner(self) -> Connection:
        return self.database.connect(user=OWNER)

    def login(self) -> Connection:
        return self.database.connect(user=LOGIN)


def make_roles(database: Database, manifest: Manifest) -> None:
    """By a superuser; tests share the cluster, so that each role may be there, or be made in this moment."""
    with database.connect() as admin:
        with suppress(errors.DuplicateObject, errors.UniqueViolation):
            admin.execute(sql.SQL("create role {} login").format(sql.Identifier(OWNER)))
        run(admin, roles_sql(manifest, owner=OWNER, database=database.name))


def run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.execute(statement.encode())


def context(owner: Connection, manifest: Manifest) -> None:
    """Journal, accounts and context functions, in one transaction."""
    with owner.transaction():
        run(
            owner,
            journal_ddl()[0],
            auth_script(),
            context_sql(manifest),
        )
        if manifest.context.sealed:
            add_key(owner, KEY)


def add_key(owner: Connection, key: SealKey) -> None:
    key.register(owner)


def open_context(login: Connection, claims: str, key: SealKey = KEY) -> None:
    """As the application does: the token is the login's to give, whatever role it has taken."""
    role = login.execute("select current_setting('role')").fetchone()
    assert role is not None
    login.execute("reset role")
    seal.open_context(login, key, claims)
    login.execute("select set_config('role', %s, true)", [role[0]])


def build(
    database: Database, manifest: Manifest, source: str, scripts: Sequence[str], *, secured: bool = True
) -> Built:
    """Source and target in a fresh database, owned by a role that is nothing else."""
    make_roles(database, manifest)
    with database.connect(user=OWNER) as owner:
        context(owner, manifest)
        for schema, texts in ((manifest.source.schema_name, [source]), (manifest.target.schema_name, scripts)):
            if schema != "public":
                run(owner, f"create schema {ident(schema)}")
            with owner.transaction():
                run(owner, f"set local search_path = {ident(schema)}, pg_catalog", *texts)
        project = resolve(
            manifest,
            read_catalog(owner, manifest.source.schema_name),
            read_catalog(owner, manifest.target.schema_name),
        )
        if secured:
            secure(owner, project)
    return Built(database, project)


def secure(owner: Connection, project: Project) -> None:
    with owner.transaction():
        for entry in secure_statements(project, owner=OWNER):
            run(owner, *entry.statements)
        run(owner, *cutover_grants(project))


def build_clinic(database: Database, *, secured: bool = True, sealed: bool = True) -> Built:
    """Clinic without rows, in place of a database that is still empty."""
    return _cloned(
        database, f"clinic {secured} {sealed}", lambda empty: _built_clinic(empty, secured=secured, sealed=sealed)
    )


def build_once(database: Database, manifest: Manifest, source: str, scripts: Sequence[str]) -> Built:
    """As build(), in place of a database that is still empty."""
    key = "\n".join((manifest.model_dump_json(), source, *scripts))
    made = _cloned(database, key, lambda empty: build(empty, manifest, source, scripts))
    return Built(database, replace(made.project, manifest=manifest))


def _cloned(database: Database, key: str, build_in: Callable[[Database], Built]) -> Built:
    """A clone of a database that is built once for a server and process."""
    made = _TEMPLATES.get((database.server.dsn(), key))
    if made is None:
        name = f"built_{os.getpid()}_{next(_SERIAL)}"
        with psycopg.connect(database.server.dsn(), autocommit=True) as admin:
            admin.execute(f"create database {name} template template0 strategy file_copy".encode())
        made = build_in(Database(database.server, name))
        _TEMPLATES[database.server.dsn(), key] = made
    with psycopg.connect(database.server.dsn(), autocommit=True) as admin:
        run(
            admin,
            f"drop database {database.name}",
            f"create database {database.name} template {made.database.name} strategy file_copy",
        )
    # Rights on a database are not cloned with it.
    make_roles(database, made.project.manifest)
    return Built(database, made.project)


_TEMPLATES: dict[tuple[str, str], Built] = {}
"""By server, and what was built."""
_SERIAL = itertools.count()


def _built_clinic(database: Database, *, secured: bool, sealed: bool) -> Built:
    manifest = load_manifest(CLINIC).model_copy(update={"context": Context(sealed=sealed)})
    legacy = CLINIC.parent.joinpath("legacy", "schema.sql").read_text(encoding="utf-8")
    make_roles(database, manifest)
    with database.connect() as admin:
        run(admin, f"grant create, usage on schema public to {OWNER}")
    scripts = [path.read_text(encoding="utf-8") for path in target_files(manifest)]
    return build(database, manifest, legacy, scripts, secured=secured)


ORG_SOURCE = 'create table "OldUsers" ("Id" text primary key, "eMail" text not null);'

ORG_TARGET = """
    create table "Org" (
        id uuid primary key default gen_random_uuid(),
        "Label" text not null check (char_length("Label") between 3 and 12 and "Label" = upper("Label")),
        "Open" boolean not null default true);
    create table "Person" (
        id uuid primary key default gen_random_uuid(),
        "accountId" uuid unique references auth.users (id),
        "Nick Name" text not null);
    create table "Member" (
        "orgId" uuid not null references "Org" (id),
        id uuid not null default gen_random_uuid(),
        "personId" uuid not null references "Person" (id),
        "Level" text not null check ("Level" in ('guest', 'boss')),
        primary key ("orgId", id),
        unique ("orgId", "personId"));
    create table "Note" (
        "orgId" uuid not null references "Org" (id),
        id uuid not null default gen_random_uuid(),
        "authorId" uuid not null,
        body text not null,
        secret text,
        shade numeric(4,2) not null check (shade > 7 and shade < 8),
        span int generated always as (length(body)) stored,
        primary key ("orgId", id),
        foreign key ("orgId", "authorId") references "Member" ("orgId", "personId"));
    create table "Comment" (
        "orgId" uuid not null references "Org" (id),
        id bigint generated always as identity,
        "noteId" uuid not null,
        "Text" text not null,
        primary key ("orgId", id),
        foreign key ("orgId", "noteId") references "Note" ("orgId", id) on delete restrict);
    create table "Tag" (id serial primary key, "Tag Name" text not null unique);
    create view "Notes" with (security_invoker = true) as select "orgId", id, body from "Note";
"""

ORG_MANIFEST = """
name = "org"
[source]
schema = "Old One"
ignore = ["OldUsers"]
[target]
schema = "App"
files = ["*.sql"]
[ids]
namespace = "org"
[tenant]
table = "Org"
column = "orgId"
active = '"Open"'
[membership]
table = "Member"
profile = "personId"
role = "Level"
[roles]
order = ["guest", "boss"]
[users]
from = "OldUsers"
email = "eMail"
profile = "Person"
account = "accountId"
[tables.Org]
access = { select = "guest", insert = "super", update = "boss", delete = "super" }
[tables.Person.access]
select = { colleagues = "guest", own = "id" }
insert = "service"
update = { own = "id" }
delete = "service"
[tables.Member]
access = { select = "guest", insert = "boss", update = "boss", delete = "boss" }
[tables.Note.access]
select = "guest"
insert = { own = "authorId", role = "guest" }
update = { own = "authorId", role = "guest" }
delete = "boss"
hidden = ["secret"]
fixed = ["authorId"]
[tables.Comment.access]
select = { own = "noteId -> Note", role = "guest" }
insert = { own = "noteId -> Note", role = "guest" }
update = "boss"
delete = "boss"
[tables.Tag]
access = { select = "signed_in", insert = "signed_in", update = "super", delete = "super" }
"""


def org_manifest(folder: Path) -> Manifest:
    folder.joinpath("org.sql").write_text(ORG_TARGET, encoding="utf-8")
    path = folder / "tenantry.toml"
    path.write_text(ORG_MANIFEST, encoding="utf-8")
    return load_manifest(path)


def build_org(database: Database, folder: Path) -> Built:
    """A schema in which nothing is called as in Clinic: names that need quotes, keys of numbers, plain references."""
    return build_once(database, org_manifest(folder), ORG_SOURCE, [ORG_TARGET])


def build_sound_org(database: Database, folder: Path) -> Built:
    """The same without its one fault: clients ask the sequence that numbers comments of all tenants."""
    built = build_org(database, folder)
    with built.owner() as owner:
        run(owner, 'revoke all on sequence "App"."Comment_id_seq" from authenticated')
    return built
