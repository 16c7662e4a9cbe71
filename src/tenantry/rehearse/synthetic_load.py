"""The part of a rehearsal that writes as an application does, in the source and in the target."""

from __future__ import annotations

import time
from contextlib import ExitStack

from tenantry.migrate.session.prepare import Prepared
from tenantry.rehearse.choose_places import source_places, target_places
from tenantry.rehearse.contexts import client_contexts
from tenantry.rehearse.rehearsing import RehearsalRun
from tenantry.rehearse.synthetic_writes import Writer, stamped_columns
from tenantry.rehearse.write_login import CannotWrite, allowed, opened


def source_writer(run: RehearsalRun, stack: ExitStack, prepared: Prepared) -> Writer | None:
    """Open the writer of the source, with rights until the end."""
    project = prepared.project
    try:
        connection = stack.enter_context(opened(run.copy.dsn, run.manifest, run.wishes.login_dsn))
        row = connection.execute("select session_user::text").fetchone()
        assert row is not None
        stack.enter_context(allowed(run.connection, project.source.schema, str(row[0])))
        places, left = source_places(connection, project, run.keys)
    except CannotWrite as error:
        _not_written(run, str(error))
        return None
    run.result.notes += [f"not written in the source: {each}" for each in left]
    _stamp(run, stamped_columns(project, places, target=False))
    writer = Writer(connection, places, "source")
    run.writers.append(writer)
    run.result.written.append(writer.done)
    return writer


def _not_written(run: RehearsalRun, why: str) -> None:
    run.result.notes.append(
        f"NOT rehearsed: changes of an application, because no login could make them: {why}. Give the API's login with --login, or a"
        " password in PGPASSWORD or ~/.pgpass."
    )


def _stamp(run: RehearsalRun, more: dict[str, set[str]]) -> None:
    for table, columns in more.items():
        run.also.setdefault(table, set()).update(columns)


def write_source(run: RehearsalRun, writer: Writer | None, until: float) -> None:
    """Write the source, and replay its changes to the target: back and forth, or continuously under load."""
    if writer is None:
        run.follow()
        return
    if run.wishes.load:
        run.follow(until)
        return
    for write in (writer.forth, writer.back):
        write()
        run.follow()


def write_target(run: RehearsalRun, prepared: Prepared) -> None:
    """Do the same in the target, as members of the tenants; at the end every value is restored."""
    project, client = prepared.project, run.manifest.database_roles.authenticated
    with ExitStack() as stack:
        try:
            connection = stack.enter_context(opened(run.copy.dsn, run.manifest, run.wishes.login_dsn, role=client))
            stack.enter_context(allowed(run.connection, project.target.schema, client))
            contexts = stack.enter_context(client_contexts(run.connection, project))
            places, left = target_places(connection, project, run.keys, contexts)
        except CannotWrite as error:
            if not any("NOT rehearsed" in note for note in run.result.notes):
                _not_written(run, str(error))
            return
        run.result.notes += [f"not written in the target: {each}" for each in left]
        _stamp(run, stamped_columns(project, places, target=True))
        writer = Writer(connection, places, "target", contexts)
        run.writers.append(writer)
        run.result.written.append(writer.done)
        if run.wishes.load:
            writer.start()
            stack.callback(writer.stop)
            run.follow(time.monotonic() + run.wishes.load)
            writer.stop()
        else:
            writer.forth()
            run.follow()
        writer.back()
    run.follow()
