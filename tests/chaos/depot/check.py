"""Whether the depot's two sides agree, with each other and with what its applications were told."""

from __future__ import annotations

from tenantry.mapping import Project
from tenantry.postgres import connect
from tests.chaos.compare import Database, short, verification
from tests.chaos.depot.rows import read_rows
from tests.chaos.ledger import Held, token_violations
from tests.chaos.load import State


def compare(database: Database, project: Project, state: State, *, owner: str) -> list[str]:
    """Everything in which source, target and the applications' memory do not agree; the applications stand still."""
    wrong = list(state.problems)
    with connect(database.dsn) as connection, connection.transaction():
        connection.execute("set transaction isolation level repeatable read, read only")
        source, twice = read_rows(connection, "source")
        target, again = read_rows(connection, "target")
        wrong += twice + again
        for name, rows in (("source", source), ("target", target)):
            tokens: Held = {table: {key: row[0] for key, row in each.items()} for table, each in rows.items()}
            wrong += short(token_violations(state.may_be, tokens, name))
        wrong += short(
            f"oracle: {table} {key}: the source says {source[table].get(key)}, the target {target[table].get(key)}"
            for table in source
            for key in source[table].keys() | target[table].keys()
            if source[table].get(key) != target[table].get(key)
        )
        for what, query in (
            (
                "quarantine",
                "select mapping || ' ' || source_key || ': ' || problems from tenantry.quarantine where state = 'open'",
            ),
            (
                "conflict",
                "select direction || ' ' || table_name || ' ' || legacy_id || ': ' || reason from tenantry.conflict"
                " where reason not like 'the source row was replayed again%'",
            ),
            (
                "kept",
                "select table_name || ' ' || legacy_id || ' ' || column_name || ': ' || reason from tenantry.kept",
            ),
        ):
            wrong += short(f"{what}: {line}" for (line,) in connection.execute(query))
    return wrong + verification(database.dsn_as(owner), project)


__all__ = ["compare"]
