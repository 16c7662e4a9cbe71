"""A copy of the database for attacks, and a login like the application's that exists only as long as the copy.

The copy is made as for a rehearsal: by template if nobody is connected, otherwise by dump and restore. Production's rows and roles
stay unchanged: attacks commit their rows in the copy, and change settings only of the login that was made for them.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import psycopg

from tenantry.catalog import Catalog, read_catalog
from tenantry.dbcopy.checks import lacking_access
from tenantry.dbcopy.duplicate import duplicated
from tenantry.dbcopy.maker import CopyOptions, CopyReports
from tenantry.dbcopy.original import CopyRefused, reading
from tenantry.dbcopy.pg_programs import in_short
from tenantry.errors import TenantryError
from tenantry.manifest import Manifest
from tenantry.mapping.project import Project
from tenantry.postgres import connect, ident, literal, load_blocks, with_parameters

MARK = "made by tenantry prove"
_SQL = "tenantry.prove.attacks.harness.sql"


class NoLogin(TenantryError):
    """A login for the attacks cannot be made."""

    code: ClassVar[str] = "TN-212"
    remedy: ClassVar[str] = "Run the proof as a superuser or as a role with CREATEROLE, or on an embedded server."


@dataclass(frozen=True, slots=True)
class AttackCopy:
    """A database in which attacks may be tried. The DSNs contain a password: never show them.

    Attributes:
        method: how the copy was made, in words.
        notes: what the copy, or the login, lacks compared with the original.
    """

    owner_dsn: str
    login_dsn: str
    database: str
    method: str
    notes: tuple[str, ...]


@contextmanager
def attack_copy(
    project: Project,
    dsn: str,
    options: CopyOptions | None = None,
    reports: CopyReports | None = None,
) -> Iterator[AttackCopy]:
    """Make a copy of the database and a login for it; both are removed at the end, also after an error.

    Args:
        dsn: of the database itself, as a login that may make databases and roles there.
        options: where and how the copy is made, as for a rehearsal.
        reports: `left` also receives logins that could not be removed at the end, with the reason.

    Raises:
        RightsMissing, RolesMissing, CopyRefused, NoLogin: with what to do; nothing was left behind.
        RunInProgress: a rehearsal, or another proof by attacks, of this database is running.
    """
    manifest = _of_target(project.manifest)
    options, reports = replace(options or CopyOptions(), every_row=False), reports or CopyReports()
    with reading(dsn, manifest, every_row=False) as (connection, original):
        rights = connection.execute(load_blocks(_SQL, "copy")["database_rights"]).fetchall()
        # Outermost: the login can be dropped only after the copy, with everything that was granted there.
        with (
            _logins() as logins,
            duplicated(connection, original, manifest, options, reports) as copy,
        ):
            with connect(copy.dsn, name="tenantry proof: copy") as admin:
                _need_access(original.catalog, read_catalog(admin, original.catalog.schema), manifest)
                notes = [*copy.notes, *_grant_database(admin, copy.database, rights)]
                _open_fence(admin, project.manifest.target.schema_name)
                name, password = logins.make(
                    admin, copy.dsn, copy.database, f"{MARK}: a copy of {original.database}", reports.left
                )
                notes += _like_the_application(admin, project.manifest, name)
            login_dsn = with_parameters(copy.dsn, user=name, password=password, options="")
            try:
                yield AttackCopy(copy.dsn, login_dsn, copy.database, copy.method, tuple(notes))
            finally:
                logins.drop_owned()


def _need_access(original: Catalog, copy: Catalog, manifest: Manifest) -> None:
    """
    Raises:
        CopyRefused: clients reach less in the copy, so that attacks would fail there for another reason.
    """
    roles = manifest.database_roles
    lacking = lacking_access(original, copy, (roles.anon, roles.authenticated, roles.login))
    if lacking:
        raise CopyRefused(
            f"Clients reach less in the copy than in the original, so that attacks would prove nothing: it lacks {in_short(lacking)}.",
            hint="Run the proof as a superuser, or as a login that may act as every role that granted these rights.",
            detail={"lacking": lacking},
        )


def _of_target(manifest: Manifest) -> Manifest:
    """Return a manifest whose source is the target: the real source may no longer exist."""
    source = manifest.source.model_copy(update={"schema_name": manifest.target.schema_name})
    return manifest.model_copy(update={"source": source})


def _grant_database(admin: psycopg.Connection[Any], database: str, rights: list[tuple[Any, ...]]) -> Iterator[str]:
    """Grant the rights on the database itself (e.g. temporary tables), which a dump does not contain."""
    for grantee, privilege in rights:
        to = ident(grantee) if grantee else "public"
        try:
            admin.execute(f"grant {privilege} on database {ident(database)} to {to}".encode())
        except psycopg.Error as error:
            yield f"the right {privilege} of {grantee or 'PUBLIC'} was not copied: {error.diag.message_primary}"


def _open_fence(admin: psycopg.Connection[Any], schema: str) -> None:
    """Open the fence of the target. Until the cut-over it lets only the runs' login write; in a copy nothing can be lost.
    The rights still refuse clients, and those are what the proof checks."""
    for (statement,) in admin.execute(load_blocks(_SQL, "copy")["open_fence"], {"schema": schema}).fetchall():
        admin.execute(statement.encode())


class _Logins:
    """The logins that were made, each with its server."""

    def __init__(self) -> None:
        self.made: list[tuple[str, str]] = []
        self.lost: list[str] = []

    def make(
        self, admin: psycopg.Connection[Any], dsn: str, database: str, mark: str, lost: list[str]
    ) -> tuple[str, str]:
        """Make a login with a random name, and with a password that the server sees only as a digest."""
        self.lost = lost
        blocks = load_blocks(_SQL, "copy")
        for (old,) in admin.execute(blocks["leftovers"], {"mark": mark}).fetchall():
            with suppress(psycopg.Error):
                admin.execute(f"drop role if exists {ident(old)}".encode())
        name, password = "tenantry_proof_" + secrets.token_hex(6), secrets.token_urlsafe(32)
        digest = admin.pgconn.encrypt_password(password.encode(), name.encode(), b"scram-sha-256").decode()
        self.made.append((name, dsn))
        try:
            admin.execute(f"create role {ident(name)} login noinherit password {literal(digest)}".encode())
            admin.execute(f"comment on role {ident(name)} is {literal(mark)}".encode())
            with suppress(psycopg.errors.InsufficientPrivilege), admin.transaction():
                # Only members of a role end its sessions, and take away what it owns.
                admin.execute(f"grant {ident(name)} to current_user".encode())
            admin.execute(f"grant connect on database {ident(database)} to {ident(name)}".encode())
        except psycopg.errors.InsufficientPrivilege as error:
            raise NoLogin(
                f"No login for the attacks can be made: {error.diag.message_primary}.",
                hint="Let a superuser, or a role with CREATEROLE that may pass on the client roles (WITH ADMIN OPTION), run the"
                " proof; or run it on an embedded server, which allows all of this.",
            ) from None
        return name, password

    def drop_owned(self) -> None:
        """Drop what the logins own, while the copy and its server still exist; without the right to do so, drop() does it later."""
        for name, dsn in list(self.made):
            with suppress(psycopg.Error, TenantryError), connect(dsn, name="tenantry proof") as admin:
                _end_sessions(admin, name)
                admin.execute(f"drop owned by {ident(name)} cascade".encode())
                admin.execute(f"drop role {ident(name)}".encode())
                self.made.remove((name, dsn))

    def drop(self) -> None:
        """Drop the logins, over a connection to another database of the server."""
        for name, dsn in self.made:
            try:
                with connect(
                    with_parameters(dsn, dbname="postgres"), name="tenantry proof", any_encoding=True
                ) as admin:
                    _end_sessions(admin, name)
                    admin.execute(f"drop role if exists {ident(name)}".encode())
            except (psycopg.Error, TenantryError) as error:
                self.lost.append(f"role {name} ({' '.join(str(error).split())})")


def _end_sessions(admin: psycopg.Connection[Any], name: str) -> None:
    with suppress(psycopg.errors.InsufficientPrivilege):
        admin.execute("select pg_terminate_backend(pid, 2000) from pg_stat_activity where usename = %s", [name])


@contextmanager
def _logins() -> Iterator[_Logins]:
    logins = _Logins()
    try:
        yield logins
    finally:
        logins.drop()


def _like_the_application(admin: psycopg.Connection[Any], manifest: Manifest, name: str) -> Iterator[str]:
    """Give a login the application login's roles, settings, and rights that were granted by name; yield what failed."""
    blocks = load_blocks(_SQL, "copy")
    roles = manifest.database_roles
    parameters = {"login": roles.login, "like": name}
    version = admin.info.server_version // 10000
    memberships = dict.fromkeys((roles.anon, roles.authenticated), False)
    memberships.update(admin.execute(blocks["login_roles"], parameters).fetchall())
    statements = []
    for role, inherits in memberships.items():
        how = f" with inherit {str(inherits).lower()}, set true" if version >= 16 else ""
        statements.append(f"grant {ident(role)} to {ident(name)}{how}")
    statements += [row[0] for row in admin.execute(blocks["login_rights"], parameters)]
    for (setting,) in admin.execute(blocks["login_settings"], parameters):
        key, _, value = setting.partition("=")
        shown = value if key == "search_path" else literal(value)
        statements.append(f"alter role {ident(name)} set {ident(*key.split('.'))} to {shown}")
    for statement in statements:
        try:
            _as_owner(admin, statement, roles.definer)
        except psycopg.Error as error:
            yield f"the login for the attacks lacks a right or setting of {roles.login}: {error.diag.message_primary}"
    for row in admin.execute(blocks["login_attributes"], parameters):
        if any(row):
            yield f"{roles.login} has attributes that the login for the attacks has not been given"


def _as_owner(admin: psycopg.Connection[Any], statement: str, definer: str) -> None:
    """Run a GRANT on functions of the context as their owner, the definer: only the definer may grant it."""
    try:
        admin.execute(statement.encode())
    except psycopg.errors.InsufficientPrivilege:
        admin.execute(f"set role {ident(definer)}".encode())
        try:
            admin.execute(statement.encode())
        finally:
            admin.execute("reset role")


__all__ = ["MARK", "AttackCopy", "NoLogin", "attack_copy"]
