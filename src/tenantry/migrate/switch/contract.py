"""Contract, the one step that cannot be undone: drops the source."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import psycopg

from tenantry.errors import NotReady, SourceAltered
from tenantry.manifest import Manifest
from tenantry.migrate.replay.queue import EVERYTHING
from tenantry.migrate.run.handle import RunHandle
from tenantry.migrate.session.locks import LockedTables, capture_tables
from tenantry.migrate.session.observer import Observer
from tenantry.postgres import ident, load_blocks
from tenantry.postgres.programs import dump_schema
from tenantry.statements.capture import fed_tables


@dataclass(frozen=True, slots=True)
class Reader:
    """A session or object that still reads a source table."""

    table: str
    what: str


@dataclass(frozen=True, slots=True)
class Contracted:
    """What the contract did.

    Attributes:
        dropped: the source tables.
        archive: the file into which the source was archived before, or None.
        kept: views and functions of the source schema that do not depend on the tables and were kept.
    """

    dropped: tuple[str, ...]
    archive: Path | None
    seconds: float = 0.0
    already: bool = False
    """It was done before; this call changed nothing."""


def readers(live: RunHandle, since: dict[str, int] | None = None) -> tuple[list[Reader], dict[str, int]]:
    """Find what still uses the source: dependent objects, sessions that hold locks on it, and scans that the statistics counted
    since an earlier look.

    Args:
        since: the counts of an earlier look.
    """
    blocks = load_blocks("tenantry.migrate.switch", "contract")
    values = {"schema": live.project.source.schema, "tables": [t.name for t in live.project.source_tables]}
    found = [Reader(str(table), str(what)) for table, what in live.main.execute(blocks["dependents"], values)]
    found += [Reader(str(table), str(what)) for table, what in live.main.execute(blocks["sessions"], values)]
    live.main.execute("select pg_stat_clear_snapshot()")
    counts = {str(table): int(scans) for table, scans in live.main.execute(blocks["scans"], values)}
    for table, scans in counts.items():
        before = (since or {}).get(table)
        if before is not None and scans > before:
            found.append(Reader(table, f"was read {scans - before} times since the previous check"))
    return found, counts


def contract(
    dsn: str,
    manifest: Manifest,
    *,
    archive: Path | None = None,
    look: float = 3.0,
    force: bool = False,
    patience: float = 60.0,
    observer: Observer | None = None,
) -> Contracted:
    """Make a cut-over final: archive the source if requested, drop its tables, and remove what only a rollback needs.

    Args:
        archive: a file for pg_dump's custom format.
        look: seconds for which the statistics are watched for reads of the source.
        force: contract even if something still reads the source.

    Raises:
        NotReady: the run is not cut over, the dual-write window is open, or something still reads the source.
        StepFailed: pg_dump failed; nothing was dropped.
    """
    import time  # noqa: PLC0415

    begun = time.monotonic()
    with RunHandle(dsn, manifest, observer) as live:
        if live.run.status == "contracted" and not _left(live):
            dropped = tuple(ident(live.project.source.schema, table.name) for table in live.project.source_tables)
            return Contracted(dropped, None, already=True)
        if live.run.direction != "reverse":
            raise NotReady(
                "Applications still write the source"
                + (" (dual-write window)." if live.run.direction == "both" else ".")
                + " Nothing was dropped.",
                hint="Run `tenantry cutover` first. A contracted run can never be rolled back.",
            )
        if not live.prepared.plan.has_done("drops source", live.done):
            try:
                live.check()
                live.round(limit=EVERYTHING)
            except SourceAltered as error:
                # It is dropped anyway, so changes that others made to it no longer matter.
                live.observer.notice(
                    f"{error.message} The last changes of the target are not replayed into the source, and its archive does not contain them."
                )
            # Tenantry's own connections read the source too; their counts arrive after they have been idle for a moment.
            counts = readers(live)[1]
            time.sleep(1.2)
            counts = readers(live)[1]
            time.sleep(look)
            found, _ = readers(live, counts)
            if found and not force:
                listed = "\n  ".join(f"{reader.table}: {reader.what}" for reader in found[:20])
                raise NotReady(
                    f"The source is still in use. Nothing was dropped. It is used by:\n  {listed}",
                    hint="Make it use the new tables, or drop it. --force contracts nevertheless, unless views use the source.",
                    detail={"readers": [f"{reader.table}: {reader.what}" for reader in found]},
                )
            if archive is not None:
                live.observer.notice(f"Archiving schema {live.project.source.schema} into {archive}.")
                dump_schema(dsn, live.project.source.schema, archive)
        target = [table.name for table in fed_tables(live.project)]
        for step in live.prepared.plan.phase("contract"):
            if step.id in live.done:
                continue
            live.observer.started(step, rows=0, done_rows=0)
            begun_step = time.monotonic()

            def mark(step_id: str = step.id) -> None:
                # Blocking sessions are found before anything is dropped; until then the run stays cut over.
                live.journal.say(
                    live.main, "turn", direction="reverse", status="contracted", phase="contract", grace=None
                )
                live.journal.say(live.main, "step_started", step=step_id)
                live.journal.say(live.main, "step_done", step=step_id, rows=None, message=None)

            try:
                capture_tables(
                    live.main,
                    LockedTables(
                        live.project.source.schema,
                        [table.name for table in live.project.source_tables],
                        (live.project.target.schema, target),
                    ),
                    [*_lock_target(live), *step.sql],
                    mark,
                    patience=patience,
                    notice=live.observer.notice,
                )
            except psycopg.errors.DependentObjectsStillExist as error:
                raise NotReady(
                    f"Other objects depend on the source's tables. Nothing was dropped. {error.diag.message_detail}",
                    hint="Drop them, or make them use the new tables, and run the same command again.",
                ) from error
            live.observer.finished(step, seconds=time.monotonic() - begun_step, rows=None)
        live.journal.event(live.main, "contracted", "the source was dropped", archive=str(archive) if archive else None)
        return Contracted(
            tuple(ident(live.project.source.schema, table.name) for table in live.project.source_tables),
            archive,
            time.monotonic() - begun,
        )


def _lock_target(live: RunHandle) -> list[str]:
    """Return a statement that locks the existing target tables as strongly as dropping their triggers does."""
    names = [ident(table.schema, table.name) for table in fed_tables(live.project)]
    there = live.main.execute("select n from unnest(%s::text[]) n where to_regclass(n) is not null", [names]).fetchall()
    return [f"lock table {', '.join(str(row[0]) for row in there)} in access exclusive mode"] if there else []


def _left(live: RunHandle) -> bool:
    return any(step.id not in live.done for step in live.prepared.plan.phase("contract"))


__all__ = ["Contracted", "Reader", "contract", "readers"]
