"""The guards of a run: nobody alters the tables, only Tenantry uses its login, and the server is the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from psycopg.types.json import Jsonb

from tenantry.errors import LoginShared, RightsMissing, RowsHidden, SourceAltered
from tenantry.journal.journal import Connection, Journal, Run
from tenantry.mapping import Project
from tenantry.postgres import load_blocks

_SQL = "tenantry.migrate.session"


@dataclass(frozen=True, slots=True)
class Signature:
    """A digest of the facts about each side that must not change, and this session's temporary tables whose rows are hidden."""

    source: str
    target: str
    hiding: tuple[str, ...] = ()


class Watch:
    """Checks, within the transaction that writes, that the tables still are as the run was planned."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._values = {
            "source": project.source.schema,
            "target": project.target.schema,
            "source_tables": [table.name for table in project.source_tables],
            "target_tables": [table.name for table in project.target.tables],
        }
        self._expected: Signature | None = None

    def signature(self, connection: Connection) -> Signature:
        row = connection.execute(load_blocks(_SQL, "guard")["signature"], self._values).fetchone()
        assert row is not None
        return Signature(str(row[0]), str(row[1]), tuple(str(name) for name in row[2]))

    def begin(self, connection: Connection) -> None:
        """Take the current state as the expected one."""
        self._expected = self.signature(connection)

    def check(self, connection: Connection) -> None:
        """Check the tables. Call it last in a transaction, whose reads lock the tables against alteration until it ends.

        Raises:
            SourceAltered: roll this transaction back.
            RowsHidden: likewise; an event trigger enables row-level security on this session's own tables.
        """
        now = self.signature(connection)
        if now.hiding:
            raise RowsHidden(
                f"Something in this database, most likely an event trigger, enables row-level security on the temporary tables"
                f" of Tenantry ({now.hiding[0]}), which hides their rows from the login. Nothing was migrated.",
                hint="`tenantry analyze` lists the event triggers. Disable the one that does it for the duration of the run (alter"
                " event trigger … disable), or make it ignore temporary tables. Then run the same command again.",
                detail={"tables": list(now.hiding)},
            )
        if self._expected is None:
            self._expected = now
        elif (now.source, now.target) != (self._expected.source, self._expected.target):
            side = "source" if now.source != self._expected.source else "target"
            schema = self._values[side]
            raise SourceAltered(
                f"Tables of schema {schema} ({side}) were altered during the run. This transaction was rolled back.",
                hint="Run the same command again: it compares the tables with the plan and says whether the run can be resumed.",
                detail={"side": side},
            )


def check_login(connection: Connection, run: Run | None, login: str) -> None:
    """Check the login. It distinguishes Tenantry's writes from those of applications, so nobody else may use it.

    Raises:
        LoginShared: other sessions use it, or the run was begun with another login.
    """
    if run is not None and run.migrator != login:
        raise LoginShared(
            f"The run was begun with the login {run.migrator!r}, but this connection uses {login!r}. Nothing was changed.",
            hint=f"Connect as {run.migrator!r}: the login tells Tenantry's writes from those of applications.",
        )
    others = connection.execute(load_blocks(_SQL, "guard")["others"]).fetchall()
    if others:
        said = "; ".join(f"pid {pid} ({name or 'no name'}, from {address})" for pid, name, address in others)
        raise LoginShared(
            f"Other sessions use the login {login!r} too: {said}. Their changes would not be recorded. Nothing was changed.",
            hint="Give Tenantry a login of its own that is a member of the tables' owner: create role tenantry_migrator login;"
            " grant <owner> to tenantry_migrator; then add options='-c role=<owner>' to its DSN.",
            detail={"login": login, "pids": [row[0] for row in others]},
        )


def check_owner(connection: Connection, project: Project) -> None:
    """Check, before any change, that the login owns the tables: only an owner may make triggers.

    Raises:
        RightsMissing: with the tables and their owners.
    """
    rows = connection.execute(
        load_blocks(_SQL, "guard")["not_owned"],
        {"schema": project.source.schema, "tables": [table.name for table in project.source_tables]},
    ).fetchall()
    if rows:
        owners = ", ".join(sorted({str(row[1]) for row in rows}))
        raise RightsMissing(
            f"The login does not own the source tables {', '.join(str(row[0]) for row in rows)}; {owners} does.",
            hint=f"Connect as {owners}, or as a member of it (GRANT {owners} TO …, with options='-c role={owners}' in the DSN).",
            detail={"tables": [row[0] for row in rows]},
        )


def refuse_standby(connection: Connection) -> None:
    """Check that the server accepts writes, without a query.

    Raises:
        SourceAltered: the server is a standby.
    """
    if connection.info.parameter_status("in_hot_standby") == "on":
        raise SourceAltered(
            "This server is a standby and cannot be written.",
            hint="Connect to the primary. If this server is to become the primary, promote it first.",
        )


def check_server(connection: Connection, journal: Journal, run: Run, notice: Callable[[str], None]) -> bool:
    """Whether this is the server on which the run was last seen; if it was restored or promoted meanwhile, the journal notes
    it, and a whole comparison is due again before the cut-over.
    """
    row = connection.execute(load_blocks(_SQL, "guard")["server"]).fetchone()
    assert row is not None
    now = {"system": row[0], "timeline": row[1], "database": row[2]}
    if not run.server:
        journal.say(connection, "set_server", server=Jsonb(now))
        return True
    if dict(run.server) == now:
        return True
    with connection.transaction():
        journal.say(connection, "set_server", server=Jsonb(now))
        journal.say(connection, "set_verified", verified=False)
        journal.event(
            connection, "server_changed", "the database was restored or promoted", before=dict(run.server), now=now
        )
    notice(
        "This database was restored or promoted since the run was last seen. The journal came with it, so the run resumes;"
        " source and target are compared as a whole again before the cut-over."
    )
    return False


__all__ = ["Signature", "Watch", "check_login", "check_owner", "check_server", "refuse_standby"]
