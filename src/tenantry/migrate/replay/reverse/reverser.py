"""Carry changed rows of the target back into the source: one round's worth, within the caller's transaction.

Parents first: for the rows looked at, what the source says is derived again and compared with the target, and what differs is
written, all rows of a table in one statement. Where the server refuses a statement its rows are halved until single ones are
left; these are tried again when everything else is done, and what is refused then is a conflict, recorded and not retried.
Deletes come last, in one statement for all tables; a row to which others refer that stay is a conflict as well.
"""

from __future__ import annotations

from tenantry.derivation.reverse.strangers import TABLES
from tenantry.derivation.reverse.write import CHANGED, reverse_statements
from tenantry.errors import ManifestError
from tenantry.journal.journal import Connection
from tenantry.manifest.positions import Key, Places, Problem, in_order
from tenantry.mapping import Project
from tenantry.mapping.check_downs import check_downs
from tenantry.mapping.expressions import Expressions
from tenantry.migrate.replay.reverse.delete import delete_gone
from tenantry.migrate.replay.reverse.passes import park, pass_over, pass_waiting, retry
from tenantry.migrate.replay.reverse.settle import list_conflicts, settle
from tenantry.migrate.replay.reverse.state import Failure, Reversed, ReverseRound, UnreadableError, WayBack
from tenantry.migrate.replay.reverse.strangers import forget_moves, list_found_strangers, see_strangers


class Reverser:
    """Carries changes of one project's target back into its source.

    Raises:
        ManifestError: [source.down] does not fit.
    """

    def __init__(self, project: Project) -> None:
        places = Places(str(project.manifest.path), project.manifest.text)
        problems: list[Problem] = []

        def say(key: Key, message: str) -> None:
            problems.append(places.problem(key, message))

        check_downs(project.manifest, project.source, project.target, say, Expressions(say))
        if problems:
            raise ManifestError(in_order(problems))
        self._way = WayBack(
            project,
            tuple(reverse_statements(project)),
            frozenset(mapping.source.name for mapping in project if any(column.ids for column in mapping.columns)),
        )

    def apply(self, connection: Connection, changed: str = "pg_temp.tenantry_changed") -> Reversed:
        """Bring the source in line with these rows of the target, in the transaction that the caller has begun.

        Args:
            changed: a table (table_name text, legacy_id text) of rows that changed, came or went.

        Raises:
            TransformFailed: a Python function cannot run at all; nothing of the round may be kept.
            psycopg.Error: what no single row is to blame for; likewise.
        """
        refused: dict[tuple[str, str], Failure] = {}
        while True:
            try:
                with connection.transaction():
                    return _run(ReverseRound(connection, self._way, refused), changed)
            except UnreadableError as error:
                refused |= error.rows


def _run(state: ReverseRound, changed: str) -> Reversed:
    execute = state.connection.execute
    # A constraint that waits for the commit would refuse there, where no single row can be told.
    execute("set constraints all immediate")
    state.script(state.blocks["tables"])
    for statement in TABLES:
        execute(statement)
    see_strangers(state, state.tables)
    row = execute("select to_regclass('pg_temp.tenantry_entry') is not null").fetchone()
    state.both = bool(row and row[0]) and execute("select from tenantry_entry limit 1").fetchone() is not None
    execute(f"insert into {CHANGED} select distinct table_name, legacy_id from {changed} where legacy_id is not null")
    pass_over(state, {str(row[0]) for row in execute(f"select distinct table_name from {CHANGED}").fetchall()})
    pass_waiting(state)
    delete_gone(state)
    retry(state)
    pass_waiting(state)
    delete_gone(state)
    park(state)
    settle(state)
    list_conflicts(state)
    list_found_strangers(state)
    forget_moves(state)
    return Reversed(state.counts)


__all__ = ["Reverser"]
