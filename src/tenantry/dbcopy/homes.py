"""The places where a copy can be: beside the original, on an embedded server, or in a given database."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.rows import dict_row

from tenantry.access import missing_roles, roles_sql
from tenantry.dbcopy.checks import emptied_tables, roles_missing
from tenantry.dbcopy.fill import by_template_or_dump, cannot_copy, dump_programs, fill, finish, like_the_original
from tenantry.dbcopy.make_roles import make_roles
from tenantry.dbcopy.maker import KEPT, CopyMaker
from tenantry.dbcopy.original import SQL, Copy, CopyRefused
from tenantry.dbcopy.pg_programs import in_short
from tenantry.errors import RightsMissing
from tenantry.postgres import EmbeddedServer, connect, describe_dsn, ident, literal, load_blocks, with_parameters


@contextmanager
def beside(maker: CopyMaker) -> Iterator[Copy]:
    """A new database on the original's server."""
    original = maker.original
    if not original.may_create and not original.login_creates:
        raise RightsMissing(
            f"The login {original.login} may not create a database for the copy.",
            hint=f"Ask a superuser to run: alter role {ident(original.login)} createdb; or give an empty database on another"
            " server with --copy-dsn, or rehearse on the embedded server with --embedded.",
        )
    missing = missing_roles(maker.connection, maker.manifest)
    if missing:
        raise roles_missing(missing, "this server", "")
    by_template, why = by_template_or_dump(maker)
    maker.remove_leftovers(maker.administer, maker.connection)
    name = maker.free_name(maker.connection)
    if by_template:
        maker.reports.notice(
            f"Copying {original.database} into {name} by template: no other session is connected to it."
        )
        try:
            maker.create(f"create database {ident(name)} template {ident(original.database)} strategy file_copy")
        except (psycopg.errors.ObjectInUse, psycopg.errors.InsufficientPrivilege):
            # Another session connected after the check.
            if dump_programs(maker, original.version) is None:
                raise cannot_copy(maker, "another session has just connected") from None
            by_template = False
    if not by_template:
        if why:
            maker.reports.notice(why)
        maker.create(f"create database {ident(name)} {like_the_original(maker)}")
    dsn = with_parameters(original.dsn, dbname=name)
    with maker.marked(name, maker.administer, maker.connection):
        maker.set_up(maker.administer, name)
        copy = Copy(dsn, name, "the same server", "template" if by_template else "dump and restore", True)
        if not by_template:
            fill(maker, copy, original.version)
        finish(copy)
        yield copy


@contextmanager
def embedded(maker: CopyMaker, folder: Path) -> Iterator[Copy]:
    """A new database on an embedded server, for a login with the original's attributes."""
    original = maker.original
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

            maker.remove_leftovers(run, admin)
            name = maker.free_name(admin)
            make_roles(maker, admin)
            try:
                run(f"create database {ident(name)} {like_the_original(maker)} owner {ident(original.user)}")
            except psycopg.Error:
                # The locale of another machine may not exist here.
                run(f"create database {ident(name)} template template0 owner {ident(original.user)}")
                maker.reports.notice(
                    "The copy has another locale than the original, whose locale this machine does not know."
                )
            run(roles_sql(maker.manifest, owner=original.user, database=name))
            with maker.marked(name, run, admin):
                maker.set_up(run, name)
                copy = Copy(server.dsn(name, original.login), name, "the embedded server", "dump and restore", False)
                if original.user != original.login:
                    copy.dsn = with_parameters(copy.dsn, options=f"-c role={original.user}")
                # As superuser, so that every object gets the owner it has in the original.
                fill(maker, copy, server.version * 10000, restore=server.dsn(name))
                finish(copy)
                yield copy


@contextmanager
def elsewhere(maker: CopyMaker, dsn: str) -> Iterator[Copy]:
    """An empty database that the user provided."""
    blocks = load_blocks(SQL, "duplicate")
    with connect(dsn, name="tenantry: rehearsal") as home:
        with home.cursor(row_factory=dict_row) as cursor:
            found = cursor.execute(blocks["home"]).fetchone()
        assert found is not None
        where = describe_dsn(dsn)
        if (found["system"], found["database"]) == (maker.original.system, maker.original.database):
            raise CopyRefused("--copy-dsn leads to the original itself.", hint="Give an empty database.")
        if found["version"] // 10000 < maker.original.version // 10000:
            raise CopyRefused(
                f"The server of --copy-dsn is PostgreSQL {found['version'] // 10000}, and the original"
                f" {maker.original.version // 10000}: a newer dump cannot be restored into an older server.",
                hint="Give a database of a server that is not older.",
            )
        if not found["owned"]:
            raise RightsMissing(
                f"The login of --copy-dsn does not own that database ({where}).",
                hint=f"Run: alter database {ident(found['database'])} owner to …; the rehearsal empties the database when it ends.",
            )
        left_over = str(found["comment"] or "").startswith(maker.original.mark) and KEPT not in str(found["comment"])
        if left_over:
            maker.reports.notice(f"{found['database']} holds the copy of an earlier rehearsal, which is removed.")
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
        missing = missing_roles(home, maker.manifest)
        if missing:
            raise roles_missing(missing, "the server of --copy-dsn", " there")
        before = "" if left_over else found["comment"]

        def run(statement: str) -> None:
            home.execute(statement.encode())

        run(f"comment on database {ident(found['database'])} is {literal(maker.comment())}")
        try:
            copy = Copy(dsn, found["database"], "the server of --copy-dsn", "dump and restore", False)
            fill(maker, copy, found["version"])
            finish(copy)
            yield copy
        finally:
            if maker.kept:
                run(f"comment on database {ident(found['database'])} is {literal(maker.comment(kept=True))}")
            elif refused := emptied_tables(home):
                maker.reports.left.append(f"{found['database']} ({in_short(refused)})")
            else:
                run(f"comment on database {ident(found['database'])} is {literal(before or None)}")
