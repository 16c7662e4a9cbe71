"""The proof: executes every cell of the access matrix as the role it is about, over a login without rights."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg

from tenantry.access import missing_roles
from tenantry.catalog import Table
from tenantry.errors import RightsMissing, RolesMissing, RunInProgress
from tenantry.mapping.project import Project
from tenantry.postgres import connect, explain, load_sql
from tenantry.postgres.advisory import lock_holder
from tenantry.prove.expected.callers import ProofPerson, callers, people
from tenantry.prove.fixtures.build import Fixtures, in_order, make_fixtures, maker, remove_leftovers
from tenantry.prove.fixtures.login import check_login
from tenantry.prove.lint.checks import run_checks
from tenantry.prove.matrix.attempts import AttemptCatalog
from tenantry.prove.matrix.executor import MatrixExecutor, Progress
from tenantry.prove.matrix.membership_states import scenarios, stay_removable
from tenantry.prove.model import Proof

_LOCK = 7304871220352
"""Key of the advisory lock that allows one proof of a database at a time."""


def prove(
    project: Project,
    *,
    owner_dsn: str,
    login_dsn: str | None,
    writes: bool = True,
    tables: Collection[str] | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Prove that the database obeys the manifest's access matrix.

    Two tenants, people of every role and rows of every table are made. In place (no `login_dsn`) that happens in one
    transaction of the owner, which becomes each caller's role in turn and is rolled back. With a login, the rows are
    committed, and each caller's statements run over the login's connection in a transaction that is rolled back. The
    synthetic rows are always removed; if a proof was killed, the next one removes its rows.

    All members try again when their membership is inactive, when their tenant is inactive, and when the membership is removed while
    their transaction is open (tenantry.prove.matrix.membership_states).

    Args:
        owner_dsn: a login that is, or may act as, the owner of the target's tables.
        login_dsn: the application's login; None: prove in place.
        writes: False before the cut-over, when clients have no rights to write yet: every write must be refused.
        tables: try the cells of these tables only; the static checks cover all tables.

    Raises:
        RolesMissing: a role that the manifest names does not exist.
        UnfitLogin: the login can do more than the application may.
        RunInProgress: another proof of this database is running.
        TenantryError: tenants or people cannot be made, so nothing can be proved.
    """
    started = time.monotonic()
    if login_dsn is None:
        return _in_place(project, owner_dsn, writes, tables, progress, started)
    with connect(login_dsn, name="tenantry proof") as client, connect(owner_dsn, name="tenantry proof") as owner:
        _check_roles(owner, project)
        login = check_login(client, project.manifest)
        persons = people(project.manifest)
        try:
            with _alone(owner), _made(owner, project, persons) as fixtures:
                checks = run_checks(owner, project, login)
                chosen = _tried(project, tables)
                executor = _executor(owner, client, project, fixtures, persons, chosen, writes=writes)
                cells = tuple(executor.try_all(chosen, progress))
        except psycopg.Error as error:
            raise explain(error, "proving the access matrix") from error
    notes = [f"{table}: {reason}" for table, reason in sorted(fixtures.reasons.items())]
    return Proof(cells, checks, login, time.monotonic() - started, (*notes, *executor.notes()))


def _tried(project: Project, tables: Collection[str] | None, without: Collection[str] = ()) -> list[Table]:
    return [
        table
        for table in sorted(in_order(project), key=lambda table: table.name)
        if (tables is None or table.name in tables) and table.name not in without
    ]


_LOCK_TIMEOUT = "2s"


def _in_place(
    project: Project,
    owner_dsn: str,
    writes: bool,
    tables: Collection[str] | None,
    progress: Progress | None,
    started: float,
) -> Proof:
    schema = project.target.schema
    with connect(owner_dsn, name="tenantry proof") as owner:
        _check_roles(owner, project)
        _check_may_become(owner, project)
        persons = people(project.manifest)
        try:
            outside = owner.execute(load_sql("tenantry.prove.matrix", "outside"), {"schema": schema}).fetchall()
            without = {str(name): f"its trigger may act outside of the transaction: {said}" for name, said in outside}
            login = f"{owner.info.user}, in place: one transaction, rolled back"
            before = _traces(owner, schema)
            with _alone(owner), owner.transaction(force_rollback=True):
                owner.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
                remove_leftovers(owner)
                fixtures = make_fixtures(owner, project, persons, without=without, removable=False)
                checks = run_checks(owner, project, project.manifest.database_roles.login)
                chosen = _tried(project, tables, without)
                executor = _executor(owner, owner, project, fixtures, persons, chosen, writes=writes)
                cells = tuple(executor.try_all(chosen, progress))
                made = sum(len(rows) for rows in fixtures.rows.values())
            notes = [f"{table}: {reason}" for table, reason in sorted({**fixtures.reasons, **without}.items())]
            notes += executor.notes()
            notes.append(_left(before, _traces(owner, schema), made))
        except psycopg.Error as error:
            raise explain(error, "proving the access matrix") from error
    return Proof(cells, checks, login, time.monotonic() - started, tuple(notes))


@dataclass(frozen=True)
class _Traces:
    """What a rollback leaves behind: positions of sequences and the position of the log."""

    sequences: dict[str, int]
    wal: int


def _traces(owner: psycopg.Connection[Any], schema: str) -> _Traces:
    rows = owner.execute(load_sql("tenantry.prove.matrix", "sequences"), {"schema": schema}).fetchall()
    wal = owner.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
    assert wal is not None
    return _Traces({str(name): int(last) for name, last in rows}, int(wal[0]))


def _left(before: _Traces, after: _Traces, made: int) -> str:
    moved = [name for name, last in after.sequences.items() if last != before.sequences.get(name)]
    gaps = f"gaps in {', '.join(moved)}" if moved else "no gaps in sequences"
    wal = (after.wal - before.wal) / 2**20
    return (
        f"left after the rollback: dead tuples of {made} synthetic rows, {gaps}, {wal:.1f} MB of WAL (others' included)"
    )


def _check_may_become(owner: psycopg.Connection[Any], project: Project) -> None:
    roles = project.manifest.database_roles
    right = "SET" if owner.info.server_version >= 160000 else "MEMBER"
    missing = [
        role
        for role in (roles.anon, roles.authenticated)
        if owner.execute("select pg_has_role(session_user, %s, %s)", [role, right]).fetchone() != (True,)
    ]
    if missing:
        raise RightsMissing(
            f"{owner.info.user} cannot become {' and '.join(missing)}. A proof in place needs that. Nothing was tried.",
            hint="Run the roles script again (tenantry roles), or prove over the API's login (--login).",
        )


def _check_roles(owner: psycopg.Connection[Any], project: Project) -> None:
    missing = missing_roles(owner, project.manifest)
    if missing:
        raise RolesMissing(
            f"The cluster has no role {', '.join(missing)}.",
            hint="Ask a superuser, or a role with CREATEROLE, to run the script that `tenantry roles --sql` prints.",
            detail={"missing": list(missing)},
        )


@contextmanager
def _alone(owner: psycopg.Connection[Any]) -> Iterator[None]:
    """Allow one proof at a time; synthetic rows that exist at its start are leftovers."""
    if owner.execute("select pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
        raise RunInProgress(
            f"Another proof of this database is running: {lock_holder(owner, _LOCK)}.",
            hint="Wait until it is done. Its lock ends with its connection.",
        )
    try:
        yield
    finally:
        with suppress(psycopg.OperationalError):
            owner.execute("select pg_advisory_unlock(%s)", [_LOCK])


@contextmanager
def _made(owner: psycopg.Connection[Any], project: Project, persons: tuple[ProofPerson, ...]) -> Iterator[Fixtures]:
    remove_leftovers(owner)
    fixtures = make_fixtures(owner, project, persons)
    try:
        yield fixtures
    finally:
        remove_leftovers(owner)


def _executor(
    owner: psycopg.Connection[Any],
    client: psycopg.Connection[Any],
    project: Project,
    fixtures: Fixtures,
    persons: tuple[ProofPerson, ...],
    tables: Sequence[Table],
    *,
    writes: bool,
) -> MatrixExecutor:
    book = AttemptCatalog(project, fixtures, persons, writes)
    everybody = callers(project.manifest, persons)
    with owner.transaction(force_rollback=True):
        ready = maker(owner, project, fixtures.values(), persons)
        for table in in_order(project):
            if table in tables:
                book.prepare(ready, table)
        states, unknown = scenarios(ready, project, fixtures, everybody)
    if client is not owner:
        states = stay_removable(owner, states)
    return MatrixExecutor(owner, client, book, everybody, states, unknown)
