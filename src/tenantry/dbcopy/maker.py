"""Creates, marks and drops the databases of copies."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import psycopg

from tenantry.dbcopy.checks import drop_database
from tenantry.dbcopy.original import SQL, Count, Original
from tenantry.errors import TenantryError
from tenantry.journal.journal import Connection
from tenantry.manifest import Manifest
from tenantry.postgres import connect, ident, literal, load_blocks, short_name

KEPT = "kept on purpose"


@dataclass(frozen=True, slots=True)
class CopyOptions:
    """Where a copy is made, and how.

    Attributes:
        copy_dsn: an empty database elsewhere, owned by its login, to copy into.
        embedded: the folder of an embedded server to copy to. Without both, the copy is made on the original's server.
        keep: the copy stays after the context.
        jobs: connections of pg_dump and of pg_restore.
        scratch: a folder with room for the dump.
        every_row: False: tables whose rows row-level security hides from pg_dump are copied empty; the copy's notes list them.
    """

    copy_dsn: str | None = None
    embedded: Path | None = None
    keep: bool = False
    jobs: int = 2
    scratch: Path | None = None
    every_row: bool = True


@dataclass(frozen=True, slots=True)
class CopyReports:
    """What is told while a copy is made and dropped.

    Attributes:
        notice: is called with each sentence for people.
        count: is called with the progress of a part: its name, what is done, and of how much.
        left: receives what could not be dropped in the end, with the reason; it is marked, and the next rehearsal drops it.
    """

    notice: Callable[[str], None] = lambda _text: None
    count: Count = lambda _name, _done, _total: None
    left: list[str] = field(default_factory=list)


class CopyMaker:
    """Makes one copy, and drops it."""

    def __init__(
        self,
        connection: Connection,
        original: Original,
        manifest: Manifest,
        options: CopyOptions,
        reports: CopyReports,
    ) -> None:
        self.connection, self.original, self.manifest = connection, original, manifest
        self.options, self.reports = options, reports
        self.kept = False

    # -- homes -------------------------------------------------------------------------------------------------------

    # -- creating and dropping -----------------------------------------------------------------------------------------

    def administer(self, statement: str) -> None:
        """Run one statement about databases over the connection that otherwise only reads."""
        self.connection.execute("set default_transaction_read_only = off")
        try:
            self.connection.execute(statement.encode())
        finally:
            with suppress(psycopg.OperationalError):
                self.connection.execute("set default_transaction_read_only = on")

    def create(self, statement: str) -> None:
        if self.original.may_create:
            self.administer(statement)
            return
        self.connection.execute("set role none")
        try:
            self.administer(f"{statement} owner {ident(self.original.user)}")
        finally:
            self.connection.execute("reset role")

    def comment(self, *, kept: bool = False) -> str:
        said = f"{self.original.mark}, {datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        return f"{said}; {KEPT}" if kept else f"{said}; the next rehearsal drops it if this one could not"

    @contextmanager
    def marked(self, name: str, run: Callable[[str], None], connection: Connection) -> Iterator[None]:
        """Create and mark the database, and drop it at the end."""
        try:
            run(f"comment on database {ident(name)} is {literal(self.comment())}")
            yield
        finally:
            if self.kept:
                run(f"comment on database {ident(name)} is {literal(self.comment(kept=True))}")
            else:
                self.drop(name, run, connection)

    def drop(self, name: str, run: Callable[[str], None], connection: Connection) -> None:
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
        self.reports.left.append(f"{name} ({why})")

    def free_name(self, connection: Connection) -> str:
        taken = {row[0] for row in connection.execute("select datname::text from pg_database")}
        number = 1
        while (name := short_name(self.original.database, "rehearsal", str(number))) in taken:
            number += 1
        return name

    def remove_leftovers(self, run: Callable[[str], None], connection: Connection) -> None:
        """Drop copies of this database that an earlier rehearsal could not drop; return the names of those it was asked to
        keep."""
        rows = connection.execute(
            load_blocks(SQL, "duplicate")["leftovers"], {"mark": f"{self.original.mark},"}
        ).fetchall()
        for name, comment, sessions, ours in rows:
            if KEPT in comment:
                self.reports.notice(
                    f"{name} is a copy that was kept on purpose: drop it when it is not needed any more."
                )
            elif sessions or not ours:
                why = f"{sessions} sessions are connected to it" if sessions else "it belongs to another role"
                self.reports.notice(
                    f"{name} is a copy that an earlier rehearsal left behind; it is not dropped: {why}."
                )
            else:
                self.reports.notice(f"Dropping {name}, a copy that an earlier rehearsal left behind.")
                drop_database(name, run)

    def set_up(self, run: Callable[[str], None], name: str) -> None:
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
                self.reports.notice(f"The setting {key} of the database could not be made for the copy.")
