"""Proves a database without a manifest: no tenant reaches another's rows, tried on the existing rows.

No manifest says what each role may do. Two rules hold anyway: a member of one tenant neither sees nor changes rows of another, and an
anonymous caller sees none. Every statement runs under a savepoint, in one transaction that is rolled back.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal
from uuid import uuid4

import psycopg
from psycopg import errors

from tenantry.postgres import explain, ident, idents, literal, load_blocks
from tenantry.postgres.json_text import read_json
from tenantry.prove.fixtures.synthetic import invent_rows
from tenantry.prove.lint.scope import Scope
from tenantry.prove.matrix.calls import Routine, call, functions_of
from tenantry.prove.matrix.executor import Progress
from tenantry.prove.model import Cell, Outcome, Proof

MATRIX = "matrix"
"""The name by which exceptions allow cells: `object` is a glob over `table`, or `table command caller relation`."""


_LOCK_TIMEOUT = "2s"
_STATEMENT_TIMEOUT = "10s"
_REACHED = (errors.IntegrityError,)
"""Constraints that are checked after a policy has let the row through."""


@dataclass(frozen=True, slots=True)
class _Table:
    schema: str
    name: str
    tenant: str
    type: str
    columns: tuple[str, ...]
    outside: str
    """Triggers whose effects a rollback would not undo."""
    oid: int = 0
    value: Callable[[str], str] | None = None
    """SQL for the tenant of a row, by its alias, if no column of the table holds it."""
    root: bool = False
    """This is the table of tenants itself: everybody may create one."""
    shared: bool = False
    """Visible rows of others may be shared on purpose: each row belongs to a person, who decides."""

    def owner(self, alias: str) -> str:
        """Return SQL for the tenant of a row."""
        return f"{alias}.{ident(self.tenant)}" if self.value is None else self.value(alias)

    @property
    def shown(self) -> str:
        return ident(self.schema, self.name)


@dataclass(frozen=True, slots=True)
class _Member:
    """A person with an account, and the tenants that they are a member of."""

    account: str
    tenants: tuple[str, ...]
    former: tuple[str, ...] = ()
    """Tenants in which the person's membership is inactive by a flag; rows of these tenants are tried first."""
    person: str = ""
    """The columns and values by which memberships name the person."""


@dataclass(frozen=True, slots=True)
class _Row:
    """The place of a row, valid for this transaction, and its values as JSON."""

    place: str
    tenant: str
    content: str


@dataclass(frozen=True, slots=True)
class _Caller:
    label: str
    role: str
    account: str | None
    member: _Member | None = None

    @property
    def claims(self) -> str:
        if self.account is None:
            return ""
        return json.dumps({"sub": self.account, "role": self.role, "aud": self.role})


def prove_found(
    owner: psycopg.Connection[Any], scope: Scope, *, on_copy: bool = False, progress: Progress | None = None
) -> Proof:
    """Try each table of tenants as each client role: without a caller, as an unknown account, and as a member of one tenant.

    Functions are called with ids of another tenant, as that member.

    Args:
        owner: a connection that may become the client roles, and sees every row.
        scope: what was discovered: which columns hold tenants, which roles are clients, which tables hold memberships.
        on_copy: the database is a copy: synthetic rows are made there, and volatile functions are called, too.

    Raises:
        TenantryError: the server refused a statement that the proof itself needs.
    """
    started = time.monotonic()
    cells: list[Cell] = []
    notes: list[str] = []
    try:
        with owner.transaction(force_rollback=True):
            owner.execute(f"set local lock_timeout = '{_LOCK_TIMEOUT}'")
            owner.execute(f"set local statement_timeout = '{_STATEMENT_TIMEOUT}'")
            owner.execute("set local row_security = off")
            if on_copy:
                notes += invent_rows(owner, scope)
            tables = _tables(owner, scope)
            if not tables:
                notes.append("no table with a column for the tenant was found, so that no statement could be tried")
            member = _member(owner, scope, notes)
            everybody = [*_callers(owner, scope, member, notes)]
            places = {table.shown: _rows(owner, table, member) for table in tables}
            routines = functions_of(owner, scope)
            ids = _ids(owner, scope, tables, places, member) if member is not None else {}
            owner.execute("set local row_security = on")
            for done, caller in enumerate(everybody):
                if progress is not None:
                    progress(caller.label, done, len(everybody))
                for table in tables:
                    cells += _try(owner, caller, table, *places[table.shown])
                if caller.member is not None:
                    cells += _calls(owner, caller, routines, ids, volatile=on_copy)
            if progress is not None:
                progress("", len(everybody), len(everybody))
    except psycopg.Error as error:
        raise explain(error, "trying the isolation of tenants") from error
    cells, blind = _without_the_blind(cells)
    notes += blind
    login = f"{owner.info.user}, in place, on the existing rows: one transaction, rolled back"
    if on_copy:
        login = f"{owner.info.user}, on a copy of the schema with synthetic rows"
    return Proof(
        tuple(cells), (), login, time.monotonic() - started, tuple(notes), unproved=_unproved(tables, member, cells)
    )


# -- reading the database ------------------------------------------------------------------------------------------------


def _tables(owner: psycopg.Connection[Any], scope: Scope) -> list[_Table]:
    rows = _described(owner, [oid for oid, _ in scope.tenant_columns], [number for _, number in scope.tenant_columns])
    tables = [_table(row, shared=scope.user_owned) for row in rows]
    if scope.tenant is not None and scope.tenant.schema in scope.schemas and scope.tenant.number:
        root = _described(owner, [scope.tenant.relation], [scope.tenant.number])
        tables += [replace(_table(row, shared=scope.user_owned), root=True) for row in root]
    return tables + _children(owner, scope, tables)


def _described(owner: psycopg.Connection[Any], relations: list[int], numbers: list[int]) -> list[tuple[Any, ...]]:
    parameters = {"relations": relations, "columns": numbers}
    return owner.execute(load_blocks("tenantry.prove.matrix", "without_manifest")["tables"], parameters).fetchall()


def _table(row: tuple[Any, ...], *, shared: bool) -> _Table:
    return _Table(row[1], row[2], row[3], row[4], tuple(row[5]), row[6] or "", row[0], shared=shared)


def _children(owner: psycopg.Connection[Any], scope: Scope, tables: list[_Table]) -> list[_Table]:
    """Return tables without a tenant column; the tenant is that of the row they reference."""
    known = {table.oid: table for table in tables if not scope.membership or table.oid != scope.membership.relation}
    direct = {table.oid for table in tables}
    found: list[_Table] = []
    ways = owner.execute(
        load_blocks("tenantry.prove.matrix", "without_manifest")["ways"], {"schemas": list(scope.schemas)}
    ).fetchall()
    while True:
        more = [way for way in ways if way[0] not in known and way[0] not in direct and way[1] in known]
        if not more:
            return found
        child, parent, mine, theirs = more[0]
        above = known[parent]
        row = _described(owner, [child], [1])[0]
        value = partial(_of_parent, above, f"p{len(found)}", tuple(mine), tuple(theirs))
        known[child] = replace(_table(row, shared=scope.user_owned), value=value, type=above.type)
        found.append(known[child])


def _of_parent(parent: _Table, name: str, mine: Sequence[str], theirs: Sequence[str], alias: str) -> str:
    tied = " and ".join(f"{name}.{ident(b)} = {alias}.{ident(a)}" for a, b in zip(mine, theirs, strict=True))
    return f"(select {parent.owner(name)} from {parent.shown} as {name} where {tied})"


def _member(owner: psycopg.Connection[Any], scope: Scope, notes: list[str]) -> _Member | None:
    """Return a member with an account and the fewest tenants (at least one); preferably one who is suspended in another tenant."""
    members = scope.membership or scope.owners
    if scope.user_owned:
        return _person(owner, scope, notes)
    if members is None or not members.user:
        notes.append("no memberships were found: no caller's own tenant is known, so only unknown accounts were tried")
        return None
    row = owner.execute(
        load_blocks("tenantry.prove.matrix", "without_manifest")["members"],
        {"relation": members.relation, "tenant": members.tenant, "user": members.user},
    ).fetchone()
    assert row is not None
    schema, table, tenant, user, people_schema, people, people_key, account = row
    whole = f"m.{ident(user)} as person, m.{ident(tenant)} as tenant, {_counts(owner, members.relation)} as counts"
    found = f"select m.{ident(user)} as account, {whole} from {ident(schema, table)} as m"
    if account is not None and (people_schema, people) != ("auth", "users"):
        found = (
            f"select p.{ident(account)} as account, {whole} from {ident(schema, table)} as m"
            f" join {ident(people_schema, people)} as p on p.{ident(people_key)} = m.{ident(user)}"
        )
    query = (
        "select account::text, array_agg(distinct tenant::text order by tenant::text) filter (where counts),"
        " coalesce(array_agg(distinct tenant::text) filter (where not counts), '{}'), min(person::text)"
        f" from ({found}) as f where account is not null and tenant is not null group by account having bool_or(counts)"
        " order by bool_and(counts), count(distinct tenant), 1 limit 1"
    )
    chosen = owner.execute(query.encode()).fetchone()
    if chosen is None:
        notes.append(
            "there is no member with an account: no caller's own tenant is known, so only unknown accounts were tried"
        )
        return None
    active = tuple(chosen[1])
    return _Member(str(chosen[0]), active, tuple(each for each in chosen[2] if each not in active), str(chosen[3]))


_YES = re.compile(r"^(is_)?(active|enabled|accepted|confirmed|approved)$", re.IGNORECASE)
_NO = re.compile(r"^(is_)?(suspended|disabled|blocked|banned|revoked|removed|deleted|archived)$", re.IGNORECASE)
_SINCE = re.compile(r"^(deleted|left|suspended|revoked|removed|disabled|ended)_(at|on)$", re.IGNORECASE)


def _counts(owner: psycopg.Connection[Any], relation: int) -> str:
    """Return SQL that says whether a membership `m` counts, judged by the names of its columns."""
    rows = owner.execute(
        "select a.attname::text, t.typname::text from pg_catalog.pg_attribute as a"
        " join pg_catalog.pg_type as t on t.oid = a.atttypid"
        " where a.attrelid = %s and a.attnum > 0 and not a.attisdropped order by a.attnum",
        [relation],
    ).fetchall()
    found = ["true"]
    for name, kind in rows:
        if kind == "bool" and _YES.match(name):
            found.append(f"coalesce(m.{ident(name)}, true)")
        elif kind == "bool" and _NO.match(name):
            found.append(f"m.{ident(name)} is not true")
        elif kind in ("timestamptz", "timestamp", "date") and _SINCE.match(name):
            found.append(f"m.{ident(name)} is null")
    return f"({' and '.join(found)})"


def _person(owner: psycopg.Connection[Any], scope: Scope, notes: list[str]) -> _Member | None:
    """Return a person who has rows of their own, for databases where each row belongs to a person."""
    for table in _described(owner, [oid for oid, _ in scope.tenant_columns], [n for _, n in scope.tenant_columns]):
        column = ident(str(table[3]))
        row = owner.execute(
            f"select {column}::text from {ident(str(table[1]), str(table[2]))} where {column} is not null limit 1".encode()
        ).fetchone()
        if row is not None:
            return _Member(str(row[0]), (str(row[0]),))
    notes.append("no caller has a row of their own: only strangers were tried")
    return None


def _unproved(tables: list[_Table], member: _Member | None, cells: list[Cell]) -> str:
    if not tables:
        return "no table of tenants was found"
    if all(cell.got == "not tried" for cell in cells):
        return "there is no row of another tenant to try anything on"
    if member is None:
        return "there is no member of a tenant who could try to reach another tenant's rows"
    others = [cell for cell in cells if cell.relation != "own tenant" and cell.role.endswith("member of one tenant")]
    if all(cell.got == "not tried" for cell in others):
        return "nothing could be tried as a member of one tenant"
    return ""


def _ids(
    owner: psycopg.Connection[Any],
    scope: Scope,
    tables: list[_Table],
    places: Mapping[str, tuple[_Row | None, _Row | None, str]],
    member: _Member,
) -> dict[str, list[str]]:
    """Return ids of the other tenant by type: the tenant's, its people's, and those of its rows."""
    found: dict[str, list[str]] = {}
    keys = owner.execute(
        load_blocks("tenantry.prove.matrix", "without_manifest")["keys"], {"relations": [table.oid for table in tables]}
    ).fetchall()
    names: dict[int, list[tuple[str, str]]] = {}
    for oid, name, kind in keys:
        names.setdefault(oid, []).append((name, kind))
    members = scope.membership
    # Ids of tenants and people first, since the number of calls is limited.
    ordered = sorted(tables, key=lambda table: members is None or table.oid != members.relation)
    for table in ordered:
        _, other, _ = places[table.shown]
        if other is None:
            continue
        content = read_json(other.content)
        chosen = [(table.tenant, table.type)] if not table.value else []
        for name, kind in (*chosen, *names.get(table.oid, ())):
            value = content.get(name)
            if value is not None and str(value) not in (*member.tenants, member.account, *found.get(kind, ())):
                found.setdefault(kind, []).append(str(value))
    return {kind: values[:_MOST_IDS] for kind, values in found.items()}


_MOST_IDS = 12


def _calls(
    owner: psycopg.Connection[Any],
    caller: _Caller,
    routines: Sequence[Routine],
    ids: Mapping[str, Sequence[str]],
    *,
    volatile: bool,
) -> Iterator[Cell]:
    """Call the functions that the role may call with ids of the other tenant."""
    for routine in routines:
        if caller.role not in routine.roles or not any(kind.removesuffix("[]") in ids for kind in routine.types):
            continue
        got: Outcome = "not tried"
        said = "it is volatile, and called on a copy only (--copy)"
        if volatile or not routine.volatile:
            with owner.transaction(force_rollback=True):
                _become(owner, caller)
                got, said = call(owner, routine, ids)
        yield Cell(caller.label, routine.shown, "call", "ids of the other tenant", "refuse", got, said)


def _become(owner: psycopg.Connection[Any], caller: _Caller) -> None:
    owner.execute(
        "select set_config('request.jwt.claims', %s, true), set_config('request.jwt.claim.sub', %s, true),"
        " set_config('request.jwt.claim.role', %s, true)",
        [caller.claims, caller.account or "", caller.role if caller.account else ""],
    )
    owner.execute(f"set local role {ident(caller.role)}".encode())


def _callers(
    owner: psycopg.Connection[Any], scope: Scope, member: _Member | None, notes: list[str]
) -> Iterator[_Caller]:
    right = "SET" if owner.info.server_version >= 160000 else "MEMBER"
    for role in scope.clients:
        if owner.execute("select pg_has_role(session_user, %s, %s)", [role, right]).fetchone() != (True,):
            notes.append(f"{owner.info.user} cannot become {role}: nothing was tried as that role")
            continue
        yield _Caller(f"{role}, no context", role, None)
        if role in scope.visitors or role in scope.logins:
            continue
        yield _Caller(f"{role}, unknown account", role, str(uuid4()))
        if member is not None:
            yield _Caller(f"{role}, member of one tenant", role, member.account, member)


def _rows(
    owner: psycopg.Connection[Any], table: _Table, member: _Member | None
) -> tuple[_Row | None, _Row | None, str]:
    """Return a row of the member's tenant, a row of another tenant, and why one of them is missing."""
    tenant = table.owner("t")
    content = (
        f"(select row_to_json(j)::text from (select {', '.join(f't.{ident(name)}' for name in table.columns)}) as j)"
    )
    query = (
        f"select t.tableoid::text || ' ' || t.ctid::text, {tenant}::text, {content} from {table.shown} as t"
        f" where {tenant} is not null and %s limit 1"
    )
    # Rows of the member may be visible to them in whichever tenant they are.
    theirs = {each for each in (member.account, member.person) if each} if member is not None else set()
    foreign = " and ".join(f"strpos(t::text, {literal(each)}) = 0" for each in sorted(theirs)) or "true"
    former = ", ".join(literal(each) for each in member.former) if member is not None and member.former else "null"
    mine = ", ".join(literal(each) for each in member.tenants) if member is not None else ""
    found: list[_Row | None] = []
    conditions = ("true", "true")
    if member is not None:
        conditions = (
            f"{tenant}::text in ({mine})",
            f"{tenant}::text not in ({mine}) and {foreign} order by coalesce({tenant}::text in ({former}), false) desc",
        )
    for condition in conditions:
        try:
            with owner.transaction():
                row = owner.execute(query.replace("%s", condition).encode()).fetchone()
        except (errors.QueryCanceled, errors.LockNotAvailable) as error:
            return None, None, f"its rows could not be looked at in time: {error.diag.message_primary}"
        except errors.InsufficientPrivilege as error:
            return None, None, f"its rows could not be looked at: {error.diag.message_primary}"
        found.append(_Row(*row) if row is not None else None)
    return found[0], found[1], "" if found[1] is not None else "the table has no row of another tenant"


# -- trying ------------------------------------------------------------------------------------------------------------


def _try(
    owner: psycopg.Connection[Any], caller: _Caller, table: _Table, own: _Row | None, other: _Row | None, reason: str
) -> Iterator[Cell]:
    relation = "any row" if caller.member is None else "other tenant"

    def cell(command: str, relation: str, expected: Literal["allow", "refuse"], got: Outcome, detail: str) -> Cell:
        return Cell(caller.label, table.shown, command, relation, expected, got, detail)

    if other is None:
        for command in ("select", "insert", "update", "delete"):
            yield cell(command, relation, "refuse", "not tried", reason)
        return
    with owner.transaction(force_rollback=True):
        _become(owner, caller)
        owner.execute("set constraints all deferred")
        if caller.member is not None and own is not None:
            got, said = _run(owner, f"select count(*) from {table.shown} where {_at(own)}")
            # Only a manifest can say whether this is allowed; it shows that these claims have an effect.
            yield cell("select", "own tenant", "allow" if got == "allow" else "refuse", got, said)
        got, said = _run(owner, f"select count(*) from {table.shown} where {_at(other)}")
        if got == "allow" and table.shared:
            got, said = "not tried", "the row is visible; it is unknown whether its owner shares it"
        yield cell("select", relation, "refuse", got, said)
        for command, statement in _writes(owner, table, own, other, member=caller.member is not None):
            name, _, what = command.partition(" ")
            if table.outside:
                said = f"its trigger may act outside of the transaction: {table.outside}"
                yield cell(name, what or relation, "refuse", "not tried", said)
            else:
                yield cell(name, what or relation, "refuse", *_run(owner, statement))


def _at(row: _Row) -> str:
    relation, _, place = row.place.partition(" ")
    return f"ctid = {literal(place)}::tid and tableoid = {relation}::oid"


def _writes(
    owner: psycopg.Connection[Any], table: _Table, own: _Row | None, other: _Row, *, member: bool
) -> Iterator[tuple[str, str]]:
    """Return each write with its description. Call it while the connection has the caller's role."""
    columns = idents(table.columns)
    tenant = ident(table.tenant)
    row = owner.execute(
        "select c from unnest(%s::text[]) with ordinality as w (c, n) where has_column_privilege(%s::regclass, c, 'UPDATE')"
        " order by c = %s, n limit 1",
        [list(table.columns), table.shown, table.tenant],
    ).fetchone()
    column = ident(str(row[0])) if row is not None else ident(table.columns[0]) if table.value else tenant
    if not table.root:
        yield (
            "insert",
            f"insert into {table.shown} ({columns}) overriding system value select {columns}"
            f" from json_populate_record(null::{table.shown}, {literal(other.content)}::json)",
        )
    yield "update", f"update {table.shown} set {column} = {column} where {_at(other)}"
    if member and own is not None and not table.value and not table.root:
        yield (
            "update move to the other tenant",
            f"update {table.shown} set {tenant} = {literal(other.tenant)}::{table.type} where {_at(own)}",
        )
    yield "delete", f"delete from {table.shown} where {_at(other)}"


def _run(owner: psycopg.Connection[Any], statement: str) -> tuple[Outcome, str]:
    try:
        with owner.transaction(force_rollback=True):
            cursor = owner.execute(statement.encode())
            row = cursor.fetchone() if cursor.description else None
            touched = cursor.rowcount if row is None else int(row[0])
    except errors.InsufficientPrivilege as error:
        return "refuse", error.diag.message_primary or ""
    except (errors.QueryCanceled, errors.LockNotAvailable) as error:
        return "not tried", error.diag.message_primary or ""
    except _REACHED as error:
        return "allow", f"the policy let it through: {error.sqlstate}"
    except errors.RaiseException as error:
        # A trigger refuses.
        return "refuse", error.diag.message_primary or ""
    except psycopg.Error as error:
        return "not tried", f"the server said {error.sqlstate}: {error.diag.message_primary}"
    return ("allow" if touched else "refuse"), ""


def _without_the_blind(cells: list[Cell]) -> tuple[list[Cell], list[str]]:
    """Drop members who see no row of their own: that they see no others proves nothing, since their claims have no effect."""
    kept: list[Cell] = []
    notes: list[str] = []
    for role in dict.fromkeys(cell.role for cell in cells):
        mine = [cell for cell in cells if cell.role == role]
        own = [cell for cell in mine if cell.relation == "own tenant"]
        if role.endswith("member of one tenant") and not any(cell.got == "allow" for cell in own):
            reason = "the member sees no row of their own tenant either: their claims do not count here"
            notes.append(f"{role}: {reason}, so refusals prove nothing (are contexts opened in another way?)")
            mine = [
                cell
                if cell.failed
                else Cell(cell.role, cell.table, cell.command, cell.relation, cell.expected, "not tried", reason)
                for cell in mine
            ]
        kept += mine
    return kept, notes


__all__ = ["MATRIX", "prove_found"]
