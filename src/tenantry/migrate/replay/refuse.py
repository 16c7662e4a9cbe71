"""Rows that the server refuses: found by halving, retried when others have moved, and quarantined if they still fail."""

from __future__ import annotations

from collections.abc import Sequence

import psycopg
from psycopg import errors as pg

from tenantry.derivation.keys import (
    mapping_key,
)
from tenantry.journal.names import JOURNAL
from tenantry.migrate.replay.batch import (
    STATES,
    Batch,
    clear,
    fill,
    forget,
    restore_corrections,
)
from tenantry.migrate.replay.dependents import spread
from tenantry.migrate.replay.queue import Round
from tenantry.migrate.replay.remove import take_out
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.migrate.replay.write import derive, make_accounts
from tenantry.postgres import literal
from tenantry.statements.copy import RUN


def one_by_one(batch: Batch, keys: Sequence[str], done: Round, *, thorough: bool) -> None:
    """Halve a failed batch until single rows are left. Some were only blocked by others, and succeed once these have moved; two
    rows that exchange a unique value succeed once both have been taken out. The others are refused, row by row."""
    connection, mapping = batch.connection, batch.mapping
    failed: dict[str, psycopg.Error] = {}

    def attempt(some: Sequence[str]) -> None:
        batch.work.check_time()
        for evict in (False, True):
            try:
                with connection.transaction():
                    fill(connection, some)
                    done.rows += derive(batch, thorough=thorough, evict=evict)
                    return
            except ROW_ERRORS as error:
                if isinstance(error, pg.UniqueViolation) and not evict:
                    continue
                if len(some) == 1:
                    failed[some[0]] = error
                    return
                break
        attempt(some[: len(some) // 2])
        attempt(some[len(some) // 2 :])

    attempt(keys)
    while failed:
        again, before = list(failed), len(failed)
        failed.clear()
        for key in again:
            attempt([key])
        if len(failed) == before:
            break
    if failed:
        again = list(failed)
        failed.clear()
        with connection.transaction():
            # Dependents are derived twice: once without these rows, then with them.
            fill(connection, again)
            clear(connection, *STATES)
            connection.execute("insert into tenantry_all select key from tenantry_batch")
            connection.execute(batch.state_sql("batch", "before"))
            take_out(batch, "tenantry_batch")
            spread(batch, thorough=thorough)
        for key in again:
            attempt([key])
    plain = {index.name for index in mapping.target.indexes if set(index.columns) <= {c.name for c in mapping.columns}}
    for key, error in failed.items():
        if (
            not done.complete
            and isinstance(error, pg.UniqueViolation | pg.ExclusionViolation)
            and error.diag.constraint_name not in plain
        ):
            # The holder of the value is unknown, and the entry by which it gave up the value may not be taken yet.
            raise error
        refuse(batch, key, error, thorough=thorough)
        done.refused += 1
    if mapping is batch.facts.profiles:
        # People who were derived one by one may wait for each other's addresses.
        fill(connection, keys)
        make_accounts(batch, "tenantry_batch")


def refuse(batch: Batch, key: str, error: psycopg.Error, *, thorough: bool) -> None:
    """Put a refused row into the quarantine, with the server's message."""
    connection, mapping, position = batch.connection, batch.mapping, batch.position
    said = (
        "the server's message is withheld: the table holds secrets" if mapping.secrets else error.diag.message_primary
    )
    fill(connection, [key])
    clear(connection, *STATES)
    connection.execute("insert into tenantry_all select key from tenantry_batch")
    connection.execute(batch.state_sql("batch", "before"))
    forget(batch)
    take_out(batch, "tenantry_batch")
    connection.execute(
        f"insert into {JOURNAL}.quarantine (run_id, mapping, source_table, source_key, original, problems, reason,"
        f" column_name, detail) select {RUN}, {literal(mapping.name)}, {literal(mapping.source.name)},"
        f" {mapping_key(mapping)}, {JOURNAL}.row_json(s.*), 'row_refused', 'row_refused', {literal(error.diag.column_name)},"
        f" {literal(said)} from {batch.rows} s" + (f" where {mapping.where}" if mapping.where else "")
    )
    restore_corrections(batch)
    connection.execute("insert into tenantry_touched select %s, key from tenantry_batch", [position])
    spread(batch, thorough=thorough)
