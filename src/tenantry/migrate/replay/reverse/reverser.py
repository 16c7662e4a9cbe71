"""Writes changed rows of the target back into the source: one round, within the caller's transaction.

Parents first: the rows are derived from the source again and compared with the target, and differences are
written, all rows of a table in one statement. If the server refuses a statement, its rows are halved until single ones are
left. These are tried again at the end; a row that is refused then is a conflict, which is recorded and not retried.
Deletes come last, in one statement for all tables; a deleted row that remaining rows reference is a conflict as well.
"""

from __future__ import annotations

from tenantry.derivation.reverse.columns import waiting
from tenantry.derivation.reverse.deleted_ids import record_deleted, record_quarantined
from tenantry.derivation.reverse.examined_rows import CHANGED
from tenantry.derivation.reverse.strangers import TABLES
from tenantry.derivation.reverse.write import reverse_statements
from tenantry.derivation.tenant_values import name_new_tenants
from tenantry.errors import ManifestError
from tenantry.journal.journal import Connection
from tenantry.manifest.positions import Key, Places, Problem, in_order
from tenantry.mapping import Project
from tenantry.mapping.check_downs import check_downs
from tenantry.mapping.expressions import Expressions
from tenantry.migrate.replay.reverse.delete import delete_gone
from tenantry.migrate.replay.reverse.passes import look_again, park, pass_over, pass_waiting, retry
from tenantry.migrate.replay.reverse.settle import list_conflicts, settle
from tenantry.migrate.replay.reverse.state import Failure, Reversed, ReverseRound, UnreadableError, WayBack
from tenantry.migrate.replay.reverse.strangers import forget_moves, list_found_strangers, see_strangers


class Reverser:
    """Writes changes of one project's target back into its source.

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
        """Bring the source in line with these rows of the target, in the caller's transaction.

        Args:
            changed: a table (table_name text, legacy_id text) of rows that were inserted, updated or deleted.

        Raises:
            TransformFailed: a Python function cannot run; roll back the round.
            psycopg.Error: an error that no single row caused; roll back the round.
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
    # A deferred constraint would refuse the commit, where the row is unknown.
    execute("set constraints all immediate")
    state.script(state.blocks["tables"])
    for statement in TABLES:
        execute(statement)
    see_strangers(state, state.tables)
    row = execute("select to_regclass('pg_temp.tenantry_entry') is not null").fetchone()
    state.both = bool(row and row[0]) and execute("select from tenantry_entry limit 1").fetchone() is not None
    execute(f"insert into {CHANGED} select distinct table_name, legacy_id from {changed} where legacy_id is not null")
    if state.project.manifest.tenant.values is not None and execute(name_new_tenants(state.project)).rowcount:
        execute(state.blocks["waiting"], {"reasons": [waiting(state.project.manifest.tenant.table)]})
    for statement in (*record_quarantined(state.project), *record_deleted(state.project, CHANGED)):
        execute(statement)
    pass_over(state, {str(row[0]) for row in execute(f"select distinct table_name from {CHANGED}").fetchall()})
    pass_waiting(state)
    delete_gone(state)
    retry(state)
    pass_waiting(state)
    delete_gone(state)
    look_again(state)
    delete_gone(state)
    park(state)
    settle(state)
    list_conflicts(state)
    list_found_strangers(state)
    forget_moves(state)
    return Reversed(state.counts)


__all__ = ["Reverser"]
