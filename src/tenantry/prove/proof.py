"""The proof: every cell of the access matrix executed, as the role that it is about, over a login without rights."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from tenantry.access import missing_roles
from tenantry.catalog import Table
from tenantry.errors import RightsMissing, RolesMissing, RunInProgress
from tenantry.manifest.mapping import Project
from tenantry.postgres import connect, explain, ident, load_sql
from tenantry.postgres.seal import SealKey
from tenantry.prove.attempts import Attempt, Book
from tenantry.prove.checks import run_checks
from tenantry.prove.fixtures import Fixtures, in_order, make_fixtures, maker, remove_leftovers
from tenantry.prove.login import check_login
from tenantry.prove.model import Cell, Outcome, Proof
from tenantry.prove.people import Caller, Person, callers, people

Progress = Callable[[str, int, int], None]
"""Called with who is tried, how many callers are done, and how many there are."""

_LOCK = 7304871220352
"""Key of the advisory lock that keeps proofs of one database apart."""


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

    Two tenants, people of every role and rows of every table are invented. In place (no `login_dsn`) that happens in one
    transaction of the owner, which becomes each caller's role in turn, and is rolled back. With a login the rows are
    committed, and each caller's statements run over the login's connection, in a transaction that is rolled back; the
    invented rows are removed in any case, and those of a proof that was killed by the next one.

    Args:
        owner_dsn: a login that is, or may act as, the owner of the target's tables.
        login_dsn: the application's login; None: prove in place.
        writes: False before the cut-over, when no client has rights to write yet: then every write must be refused.
        tables: try the cells of these tables only; the static checks are made for all.

    Raises:
        RolesMissing: a role that the manifest names does not exist.
        UnfitLogin: the login could do more than the application may.
        RunInProgress: another proof of this database is running.
        TenantryError: nothing can be proved, because tenants or people cannot be made.
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
                book = _book(owner, project, fixtures, persons, writes=writes)
                everybody = callers(project.manifest, persons)
                cells = tuple(_try_all(client, book, everybody, _tried(project, tables), progress))
        except psycopg.Error as error:
            raise explain(error, "proving the access matrix") from error
    notes = tuple(f"{table}: {reason}" for table, reason in sorted(fixtures.reasons.items()))
    return Proof(cells, checks, login, time.monotonic() - started, notes)


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
            outside = owner.execute(load_sql("tenantry.prove", "outside"), {"schema": schema}).fetchall()
            without = {str(name): f"its trigger may act outside of the transaction: {said}" for name, said in outside}
            login = f"{owner.info.user}, in place: one transaction, rolled back"
            before = _traces(owner, schema)
            with _alone(owner), owner.transaction(force_rollback=True):
                owner.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
                remove_leftovers(owner)
                fixtures = make_fixtures(owner, project, persons, without=without, removable=False)
                checks = run_checks(owner, project, project.manifest.database_roles.login)
                book = _book(owner, project, fixtures, persons, writes=writes)
                everybody = callers(project.manifest, persons)
                cells = tuple(_try_all(owner, book, everybody, _tried(project, tables, without), progress))
                made = sum(len(rows) for rows in fixtures.rows.values())
            notes = [f"{table}: {reason}" for table, reason in sorted({**fixtures.reasons, **without}.items())]
            notes.append(_left(before, _traces(owner, schema), made))
        except psycopg.Error as error:
            raise explain(error, "proving the access matrix") from error
    return Proof(cells, checks, login, time.monotonic() - started, tuple(notes))


@dataclass(frozen=True)
class _Traces:
    """What a rollback leaves: how far sequences are, and the log."""

    sequences: dict[str, int]
    wal: int


def _traces(owner: psycopg.Connection[Any], schema: str) -> _Traces:
    rows = owner.execute(load_sql("tenantry.prove", "sequences"), {"schema": schema}).fetchall()
    wal = owner.execute("select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::bigint").fetchone()
    assert wal is not None
    return _Traces({str(name): int(last) for name, last in rows}, int(wal[0]))


def _left(before: _Traces, after: _Traces, made: int) -> str:
    moved = [name for name, last in after.sequences.items() if last != before.sequences.get(name)]
    gaps = f"gaps in {', '.join(moved)}" if moved else "no gaps in sequences"
    wal = (after.wal - before.wal) / 2**20
    return f"what is left after the rollback: dead tuples of {made} invented rows, {gaps}, {wal:.1f} MB of WAL (others' included)"


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
            f"{owner.info.user} cannot become {' and '.join(missing)}, which a proof in place has to.",
            hint="Run the roles script again (tenantry roles), or prove over the API's login (--login).",
        )


def _check_roles(owner: psycopg.Connection[Any], project: Project) -> None:
    missing = missing_roles(owner, project.manifest)
    if missing:
        raise RolesMissing(
            f"The cluster has no role {', '.join(missing)}.",
            hint="Let a superuser, or a role with CREATEROLE, run the roles script.",
            detail={"missing": list(missing)},
        )


@contextmanager
def _alone(owner: psycopg.Connection[Any]) -> Iterator[None]:
    """One proof at a time: whatever invented rows stand there then, nobody needs them."""
    if owner.execute("select pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
        raise RunInProgress(
            "Another proof of this database is running.",
            hint="Wait until it is done; the lock goes with its connection.",
        )
    try:
        yield
    finally:
        with suppress(psycopg.OperationalError):
            owner.execute("select pg_advisory_unlock(%s)", [_LOCK])


@contextmanager
def _made(owner: psycopg.Connection[Any], project: Project, persons: tuple[Person, ...]) -> Iterator[Fixtures]:
    remove_leftovers(owner)
    fixtures = make_fixtures(owner, project, persons)
    try:
        yield fixtures
    finally:
        remove_leftovers(owner)


def _book(
    owner: psycopg.Connection[Any], project: Project, fixtures: Fixtures, persons: tuple[Person, ...], *, writes: bool
) -> Book:
    book = Book(project, fixtures, persons, writes)
    with owner.transaction(force_rollback=True):
        ready = maker(owner, project, fixtures.values(), persons)
        for table in in_order(project):
            book.prepare(ready, table)
    return book


def _try_all(
    client: psycopg.Connection[Any],
    book: Book,
    everybody: Sequence[Caller],
    tables: Sequence[Table],
    progress: Progress | None,
) -> Iterator[Cell]:
    for done, caller in enumerate(everybody):
        if progress is not None:
            progress(caller.label, done, len(everybody))
        yield from _try(
            client, caller, book.fixtures.key, [attempt for table in tables for attempt in book.attempts(caller, table)]
        )
    if progress is not None:
        progress("", len(everybody), len(everybody))


def _open(client: psycopg.Connection[Any], caller: Caller, key: SealKey | None) -> None:
    """The caller's context. What is no JSON, and so can come from no application, stands there without a seal."""
    if key is not None and caller.claims and _is_json(caller.claims):
        client.execute("select tenantry.open(%s, %s)", [caller.claims, key.token(caller.claims)])
    else:
        client.execute("select set_config('request.jwt.claims', %s, true)", [caller.claims])


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _try(
    client: psycopg.Connection[Any], caller: Caller, key: SealKey | None, attempts: Iterable[Attempt]
) -> Iterator[Cell]:
    """All that one caller tries, in one transaction that is rolled back, as a request of the application would run."""
    with client.transaction(force_rollback=True):
        _open(client, caller, key)
        client.execute(f"set local role {ident(caller.database_role)}".encode())
        # Rows are found by their keys, and nobody's rows by none: no table is read from end to end, however large.
        client.execute("set local enable_seqscan = off")
        client.execute("set constraints all deferred")
        for attempt in attempts:
            got, detail = _run(client, attempt)
            yield Cell(caller.label, attempt.table, attempt.command, attempt.relation, attempt.expected, got, detail)


_REFERENCED = (errors.ForeignKeyViolation, errors.RestrictViolation)


def _run(client: psycopg.Connection[Any], attempt: Attempt) -> tuple[Outcome, str]:
    of_rights = attempt.relation.startswith("column")
    try:
        with client.transaction(force_rollback=True):
            cursor = client.execute(attempt.statement.encode())
            row = cursor.fetchone() if attempt.counts else None
            touched = cursor.rowcount if row is None else int(row[0])
    except errors.InsufficientPrivilege as error:
        found: tuple[Outcome, str] = "refuse", error.diag.message_primary or ""
    except psycopg.Error as error:
        said = f"{error.sqlstate}: {error.diag.message_primary}"
        if attempt.doubt:
            found = "not tried", f"{attempt.doubt}; the server said {said}"
        elif attempt.command == "delete" and isinstance(error, _REFERENCED):
            # Foreign keys are looked at after the policy has let the row through.
            found = "allow", said
        else:
            found = "error", said
    else:
        if of_rights:
            found = "allow", "the right to the column is there"
        elif attempt.doubt and not touched:
            found = "not tried", attempt.doubt
        else:
            found = ("allow" if touched else "refuse"), ""
    return found
