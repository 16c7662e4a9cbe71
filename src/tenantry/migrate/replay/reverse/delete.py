"""Deletes source rows that the target has deleted, in one statement for all tables, unless remaining rows reference them."""

from __future__ import annotations

from tenantry.derivation.reverse.write import SourceTable
from tenantry.migrate.replay.reverse.state import Failure, ReverseRound
from tenantry.migrate.replay.reverse.write import halved
from tenantry.migrate.replay.row_errors import ROW_ERRORS


def delete_gone(state: ReverseRound) -> None:
    """Delete source rows that the target has deleted, unless remaining rows reference them."""
    going = [table for table in state.made.values() if state.count(table.gone)]
    if not going:
        return
    held = True
    while held:
        held = False
        for table in going:
            for child, statement in table.held_back(going):
                rows = state.connection.execute(statement).fetchall()
                held = held or bool(rows)
                for row in rows:
                    state.failures[table.name, str(row[0])] = Failure(
                        "delete", f"rows of {child} that stay in the source refer to it"
                    )
    going = [table for table in going if state.count(table.gone)]
    if not going:
        return
    parts = ", ".join(f"d{i} as ({table.delete()} returning 1)" for i, table in enumerate(going))
    try:
        with state.connection.transaction():
            state.connection.execute(
                f"with {parts} select {', '.join(f'(select count(*) from d{i})' for i in range(len(going)))}"
            )
    except ROW_ERRORS:
        for table in reversed([each for each in state.tables if each in going]):
            _delete_some(state, table)
    for table in going:
        counted = state.count(table.gone)
        state.counts[table.name].deleted += counted
        if counted:
            state.whole -= {table.name, *state.documented}
        for statement in table.forget():
            state.connection.execute(statement)
        state.connection.execute(f"update {table.keys} k set state = null from {table.gone} d where k.key = d.key")
        state.connection.execute(f"delete from {table.gone}")


def _delete_some(state: ReverseRound, table: SourceTable) -> None:
    state.connection.execute(
        f"update {table.gone} d set n = o.n from (select key, row_number() over (order by key) as n from {table.gone}) o"
        " where o.key = d.key"
    )
    before = set(state.failures)
    halved(state, table, "delete", lambda condition: table.delete(condition.replace("w.n", "d.n")), state.count(table.gone)
    )  # fmt: skip
    failed = [key for name, key in set(state.failures) - before if name == table.name]
    failed += [key for (name, key), each in state.failures.items() if name == table.name and each.kind == "delete"]
    state.connection.execute(f"delete from {table.gone} where key = any (%s)", [failed])
