"""The scope of a lint: taken from a manifest, or discovered in a database without one, with sentences that say how."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import psycopg

from tenantry.manifest.model import Manifest
from tenantry.postgres import ident, load_blocks

VISITOR = "anon"
SIGNED_IN = "authenticated"
SERVICE = "service_role"

PLATFORM = frozenset(
    (
        *("auth", "storage", "realtime", "vault", "extensions", "graphql", "graphql_public", "net", "cron", "pgsodium"),
        *("pgsodium_masks", "pgbouncer", "pgmq", "pgtle", "supabase_functions", "supabase_migrations", "_analytics"),
        *("_realtime", "repack", "tiger", "tiger_data", "topology", "tenantry", "tenantry_auth"),
    )
)
"""Schemas of the platform and of Tenantry, which has its own checks: inspected only on request."""

_PEOPLE = re.compile(
    r"^(auth_?)?(users?|profiles?|people|persons?|members?|accounts?_?users?|identities)$", re.IGNORECASE
)
_PERSON = re.compile(
    r"^(user|owner|author|profile|person|member|account_user|auth_user|created|updated|subject)", re.IGNORECASE
)
_MEMBERS = re.compile(r"member|role|_users?$|^users?_|access|team|seat", re.IGNORECASE)
_ROLE = re.compile(r"role|level|permission|is_?admin|access", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ScopeColumn:
    """A column of a table, with its names and catalog numbers."""

    schema: str
    table: str
    column: str
    relation: int = 0
    number: int = 0

    def __str__(self) -> str:
        return f"{ident(self.schema, self.table)}.{ident(self.column)}"


@dataclass(frozen=True, slots=True)
class MembershipTable:
    """The table of memberships: which person belongs to which tenant."""

    schema: str
    table: str
    relation: int
    tenant: int
    user: int
    role: int
    """Numbers of its columns; 0 if there is no such column."""


@dataclass(frozen=True, slots=True)
class Scope:
    """What a lint inspects, and which roles, tables and columns have which meaning.

    Attributes:
        schemas: the schemas whose tables, views and functions are inspected.
        clients: roles that run statements of untrusted callers, including logins.
        visitors: the clients without a sign-in.
        logins: the clients that can log in.
        tenant: the tenant table's key; None if none was found.
        tenant_column: the column that holds the tenant in other tables; "" if none was found.
        tenant_columns: that column in each table that has it, as (oid, number).
        manifest: whether the scope comes from a manifest: everything that it does not name is closed to clients.
    """

    schemas: tuple[str, ...]
    clients: tuple[str, ...]
    visitors: tuple[str, ...] = ()
    logins: tuple[str, ...] = ()
    tenant: ScopeColumn | None = None
    tenant_column: str = ""
    tenant_columns: tuple[tuple[int, int], ...] = ()
    membership: MembershipTable | None = None
    owners: MembershipTable | None = None
    """The tenant table itself, if no membership table was found and one of its columns names the tenant's owner."""
    manifest: bool = False
    members_closed: tuple[str, ...] = ()
    """The rights on the membership table that the manifest reserves for the service."""
    user_owned: bool = False
    """Whether each row belongs to a person, who then is the tenant."""
    service: tuple[str, ...] = ()
    definer: str = ""
    login: str = ""
    protected: tuple[str, ...] = ()
    """Columns that no client may change, besides the tenant's."""
    sentences: tuple[str, ...] = ()
    """What was discovered, and how."""


@dataclass(frozen=True, slots=True)
class _Role:
    name: str
    login: bool
    superuser: bool
    bypasses: bool
    owner: bool
    becomes: tuple[str, ...]
    """All roles that it is a member of, or can become by a chain of SET ROLE."""
    plainly: tuple[str, ...]
    """The roles that it reaches without passing through a powerful role."""
    granted: bool
    sign_in: bool
    """Whether it is the login of the sign-in server, which has rights on the accounts and on nothing else."""

    @property
    def powerful(self) -> bool:
        return self.superuser or self.bypasses or self.owner


# -- from a manifest ---------------------------------------------------------------------------------------------------


def _left_to_the_service(manifest: Manifest) -> tuple[str, ...]:
    rule = manifest.tables.get(manifest.membership.table)
    if rule is None:
        return ()
    cells = {"INSERT": rule.access.insert, "UPDATE": rule.access.update, "DELETE": rule.access.delete}
    return tuple(right for right, cell in cells.items() if cell == "service")


def manifest_scope(
    conn: psycopg.Connection[Any], manifest: Manifest, *, login: str | None = None, protected: Sequence[str] = ()
) -> Scope:
    """Return the scope that a manifest states; nothing is guessed."""
    roles = manifest.database_roles
    schema, tenant, membership = manifest.target.schema_name, manifest.tenant, manifest.membership
    name = login or roles.login
    found = Scope(
        schemas=(schema,),
        clients=tuple(dict.fromkeys((roles.anon, roles.authenticated, name))),
        visitors=(roles.anon,),
        logins=(name,),
        tenant_column=tenant.column,
        manifest=True,
        members_closed=_left_to_the_service(manifest),
        service=(roles.service, roles.backup, roles.definer),
        definer=roles.definer,
        login=name,
        protected=tuple(protected),
        sentences=(
            f"The manifest {manifest.path} gives the scope: schema {ident(schema)}, clients {ident(roles.anon)} and"
            f" {ident(roles.authenticated)} over the login {ident(name)}, tenant column {ident(tenant.column)} for"
            f" {ident(tenant.table)}, memberships in {ident(membership.table)}.",
        ),
    )
    others = [
        name
        for name, usable, filled, granted in _all_schemas(conn, found.clients)
        if usable and filled and granted and name != schema and name not in PLATFORM
    ]
    if others:
        said = f"Not looked at, though clients have rights there: {_named(others)} (--discover looks there)."
        found = replace(found, sentences=(*found.sentences, said))
    found = _resolved(conn, found, schema, tenant.table)
    place = _place(conn, schema, membership.table, tenant.column)
    if place is None:
        return found
    user = _place(conn, schema, membership.table, membership.profile)
    role = _place(conn, schema, membership.table, membership.role)
    return replace(
        found,
        membership=MembershipTable(
            schema, membership.table, place[0], place[1], user[1] if user else 0, role[1] if role else 0
        ),
    )


# -- from the database -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Sought:
    """Parts of the scope that are given; discover() finds the others.

    Attributes:
        schemas: the schemas to inspect.
        roles: the clients.
        tenant_column: the name of the column that holds the tenant.
    """

    schemas: Sequence[str] = ()
    roles: Sequence[str] = ()
    tenant_column: str | None = None


def discover(
    conn: psycopg.Connection[Any],
    *,
    schemas: Sequence[str] = (),
    roles: Sequence[str] = (),
    tenant_column: str | None = None,
) -> Scope:
    """Discover the most likely scope of a database without a manifest; its sentences say what was found and how.

    Args:
        schemas: the schemas to inspect; by default those that clients may use.
        roles: the clients; by default the discovered ones.
        tenant_column: the name of the column that holds the tenant; by default the discovered one.
    """
    said: list[str] = []
    known = _roles(conn)
    clients, visitors, logins = _clients(known, roles, said)
    looked_at = tuple(schemas) or _schemas(conn, clients, said)
    if schemas:
        said.append(f"Schemas looked at, as asked for: {_named(schemas)}.")
    scope = Scope(
        schemas=looked_at,
        clients=clients,
        visitors=visitors,
        logins=logins,
        service=tuple(role.name for role in known if role.name == SERVICE),
    )
    scope = _with_tenant(conn, scope, tenant_column, said)
    scope = _with_membership(conn, scope, said)
    return replace(scope, sentences=tuple(said))


def _roles(conn: psycopg.Connection[Any]) -> tuple[_Role, ...]:
    rows = conn.execute(load_blocks("tenantry.prove.lint", "scope")["roles"]).fetchall()
    return tuple(_Role(row[0], row[1], row[2], row[3], row[4], tuple(row[5]), tuple(row[6]), *row[7:]) for row in rows)


def _clients(
    known: Sequence[_Role], asked: Sequence[str], said: list[str]
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    by_name = {role.name: role for role in known}
    if asked:
        said.append(f"Client roles, as asked for: {_named(asked)}, and PUBLIC.")
        missing = [name for name in asked if name not in by_name]
        if missing:
            said.append(f"The cluster has no role {_named(missing)}.")
        there = [name for name in asked if name in by_name]
        return (
            tuple(there),
            tuple(name for name in there if name == VISITOR),
            tuple(name for name in there if by_name[name].login),
        )
    usual = [name for name in (VISITOR, SIGNED_IN) if name in by_name]
    administrators = {role.name for role in known if _administers(role, by_name, usual)}
    logins = [role.name for role in known if role.name not in administrators and _is_client_login(role, usual)]
    reached = [
        other
        for name in logins
        for other in by_name[name].plainly
        if other in by_name and other != SERVICE and not by_name[other].powerful
    ]
    clients = tuple(dict.fromkeys([*usual, *logins, *reached]))
    if usual:
        said.append(f"Client roles by their usual names: {_named(usual)}.")
    if logins:
        said.append(
            f"Logins that have rights here, own nothing and do not bypass row-level security: {_named(logins)}."
        )
    servers = [role.name for role in known if role.sign_in]
    if servers:
        said.append(
            f"The sign-in server's login has rights on accounts alone, and so is taken for no client: {_named(servers)}."
        )
    owners = [role.name for role in known if role.login and role.owner and not role.superuser and not role.bypasses]
    if owners:
        said.append(f"Logins that own tables, and so are taken for no client: {_named(owners)}.")
    if administrators:
        said.append(
            "Logins that can become the owner of tables or a superuser, and are member of no client role, and so are taken for"
            f" administrators' and no clients: {_named(sorted(administrators))}."
        )
    others = [name for name in clients if name not in usual and name not in logins]
    if others:
        said.append(f"Roles that these logins are, or can become: {_named(others)}.")
    if not clients:
        said.append("No client role was found: only what PUBLIC may do is looked at. Name roles with --role.")
    return clients, tuple(name for name in usual if name == VISITOR), tuple(logins)


def _administers(role: _Role, by_name: Mapping[str, _Role], usual: Sequence[str]) -> bool:
    """Whether a login belongs to an administrator: it can become the owner of tables, or is a superuser. A login that is also a
    member of a client role serves an application, which then has too much power."""
    if not role.login or role.powerful or set(usual) & set(role.plainly):
        return False
    others = [by_name[name] for name in role.becomes if name in by_name]
    return any(other.owner or other.superuser for other in others)


def _is_client_login(role: _Role, usual: Sequence[str]) -> bool:
    """Whether a login belongs to an application, and is neither the owner nor the service."""
    if not role.login or role.powerful or role.sign_in:
        return False
    client = bool(set(usual) & set(role.plainly))
    serves = SERVICE in role.becomes and not client
    return not serves and (role.granted or client)


def _all_schemas(conn: psycopg.Connection[Any], clients: Sequence[str]) -> list[tuple[Any, ...]]:
    return conn.execute(load_blocks("tenantry.prove.lint", "scope")["schemas"], {"roles": list(clients)}).fetchall()


def _schemas(conn: psycopg.Connection[Any], clients: Sequence[str], said: list[str]) -> tuple[str, ...]:
    rows = _all_schemas(conn, clients)
    # Without clients it is unknown who may reach what, so everything is inspected.
    found = tuple(
        name
        for name, usable, filled, granted in rows
        if filled and name not in PLATFORM and (not clients or (usable and granted))
    )
    passed = [name for name, _, filled, _ in rows if filled and name not in found and name not in PLATFORM]
    platform = [name for name, _, filled, _ in rows if filled and name in PLATFORM]
    if not clients:
        said.append(f"Schemas with tables: {_named(found) or 'none'}.")
    else:
        said.append(f"Schemas in which clients have rights: {_named(found) or 'none'}.")
    if passed:
        said.append(f"Not looked at, since no client has a right there: {_named(passed)} (--schema looks there).")
    if platform:
        said.append(f"Not looked at, since they belong to the platform: {_named(platform)} (--schema looks there).")
    return found


def _with_tenant(conn: psycopg.Connection[Any], scope: Scope, asked: str | None, said: list[str]) -> Scope:
    rows = conn.execute(
        load_blocks("tenantry.prove.lint", "scope")["columns"], {"schemas": list(scope.schemas)}
    ).fetchall()
    candidates: dict[str, _Candidate] = {}
    guarded: set[tuple[str, str]] = set()
    for schema, table, _, column, _, root_schema, root, _, policies, guards in rows:
        each = candidates.setdefault(column, _Candidate(column))
        each.tables.add((schema, table))
        if guards:
            guarded.add((schema, table))
        if policies:
            each.in_policies.add((schema, table))
        if root is not None and (root_schema, root) != (schema, table):
            each.roots[root_schema, root] += 1
    if asked is not None:
        best = candidates.get(asked, _Candidate(asked))
        said.append(f"Tenant column, as asked for: {ident(asked)}.")
        user_owned = best.is_person()
    else:
        user_owned = False
        ranked = sorted((each for each in candidates.values() if each.fits()), key=_Candidate.rank, reverse=True)
        person = max((each for each in candidates.values() if each.is_person()), key=_Candidate.rank, default=None)
        if person is not None and person.owns(guarded, ranked):
            ranked, user_owned = [person], True
        if not ranked:
            said.append(
                "No tenant column was found: no column is looked at by policies, or references one table from several."
                " Name it with --tenant-column."
            )
            return scope
        best = ranked[0]
        said.append(best.owner_sentence(len(guarded)) if user_owned else best.sentence(len(guarded)))
    root_place = best.roots.most_common(1)
    scope = replace(scope, tenant_column=best.column, user_owned=user_owned)
    return _resolved(conn, scope, *(root_place[0][0] if root_place else ("", "")))


class _Candidate:
    """A column name that may be the tenant's: the tables that have it, that it references, and whose policies use it."""

    def __init__(self, column: str) -> None:
        self.column = column
        self.tables: set[tuple[str, str]] = set()
        self.in_policies: set[tuple[str, str]] = set()
        self.roots: Counter[tuple[str, str]] = Counter()

    def is_person(self) -> bool:
        """Whether the column holds a person, by its name or by the table that it references."""
        if self.column.lower() in ("id", "uuid", "key"):
            return False
        references = [root[0] == "auth" or bool(_PEOPLE.match(root[1])) for root, _ in self.roots.most_common(1)]
        return any(references) or (not references and bool(_PERSON.match(self.column)))

    def owns(self, guarded: set[tuple[str, str]], others: Sequence[_Candidate]) -> bool:
        """Whether policies of most tables use this person, and hardly any use another candidate."""
        rival = max((len(each.in_policies) for each in others), default=0)
        return 2 * len(self.in_policies) > len(guarded) and len(self.in_policies) > 2 * rival

    def fits(self) -> bool:
        if self.column.lower() in ("id", "uuid", "key") or _PERSON.match(self.column):
            return False
        if any(root[0] == "auth" or _PEOPLE.match(root[1]) for root, _ in self.roots.most_common(1)):
            return False
        references = sum(self.roots.values())
        return bool(self.in_policies) or references >= 2

    def rank(self) -> tuple[int, int, int, str]:
        references = self.roots.most_common(1)[0][1] if self.roots else 0
        return (2 * len(self.in_policies) + references, references, len(self.tables), self.column)

    def owner_sentence(self, guarded: int) -> str:
        return (
            f"Each row belongs to a person, who is the tenant: policies of {len(self.in_policies)} of {guarded} tables that have"
            f" policies look at {ident(self.column)}, and no other column is looked at by so many. (--tenant-column names another.)"
        )

    def sentence(self, guarded: int) -> str:
        ways = []
        if self.roots:
            (root, count), *_ = self.roots.most_common(1)
            ways.append(f"references {ident(*root)} from {count} table{'s' * (count != 1)}")
        if self.in_policies:
            count = len(self.in_policies)
            ways.append(f"is looked at by policies of {count} of {guarded} tables that have policies")
        return f"Tenant column: {ident(self.column)}, which {' and '.join(ways)}. (--tenant-column names another.)"


def _resolved(conn: psycopg.Connection[Any], scope: Scope, schema: str, table: str) -> Scope:
    blocks = load_blocks("tenantry.prove.lint", "scope")
    rows = conn.execute(blocks["resolve"], {"schemas": list(scope.schemas), "column": scope.tenant_column}).fetchall()
    place = _place(conn, schema, table, "") if table else None
    root = None if place is None else ScopeColumn(schema, table, "", *place)
    columns = tuple((oid, number) for oid, number in rows if root is None or oid != root.relation)
    return replace(scope, tenant=root, tenant_columns=columns)


def _place(conn: psycopg.Connection[Any], schema: str, table: str, column: str) -> tuple[int, int] | None:
    """Return oid and column number; without such a column the number of the only key column, or 0."""
    text = load_blocks("tenantry.prove.lint", "scope")["place"]
    row = conn.execute(text, {"schema": schema, "table": table, "column": column}).fetchone()
    return None if row is None else (row[0], row[1])


def _with_membership(conn: psycopg.Connection[Any], scope: Scope, said: list[str]) -> Scope:
    if scope.user_owned:
        return scope
    tables = [oid for oid, _ in scope.tenant_columns]
    rows = conn.execute(load_blocks("tenantry.prove.lint", "scope")["members"], {"tables": tables}).fetchall()
    best: tuple[int, MembershipTable] | None = None
    numbers = dict(scope.tenant_columns)
    for relation in dict.fromkeys(row[0] for row in rows):
        mine = [row for row in rows if row[0] == relation]
        people = [row for row in mine if row[3] != scope.tenant_column and _is_person(row)]
        if not people:
            continue
        user = next((row for row in people if row[7]), people[0])
        role = next((row for row in mine if _ROLE.search(row[3]) and row[4] != user[4]), None)
        name = mine[0][2]
        score = 3 * bool(mine[0][8]) + 2 * bool(_MEMBERS.search(name)) + 2 * bool(user[7]) + bool(role)
        found = MembershipTable(mine[0][1], name, relation, numbers[relation], user[4], role[4] if role else 0)
        if score >= 3 and (best is None or score > best[0]):
            best = (score, found)
    if best is None:
        if scope.tenant_column and not scope.user_owned:
            said.append("No table of memberships was found: none has the tenant column and a column for a person.")
        return _with_owners(conn, scope, said)
    found = best[1]
    names = {row[4]: row[3] for row in rows if row[0] == found.relation}
    said.append(
        f"Memberships: {ident(found.schema, found.table)}, by {ident(scope.tenant_column)} and {ident(names[found.user])}"
        + (f", with roles in {ident(names[found.role])}." if found.role else ".")
    )
    return replace(scope, membership=found)


def _with_owners(conn: psycopg.Connection[Any], scope: Scope, said: list[str]) -> Scope:
    root = scope.tenant
    if root is None or not root.number:
        return scope
    rows = conn.execute(load_blocks("tenantry.prove.lint", "scope")["members"], {"tables": [root.relation]}).fetchall()
    user = next((row for row in rows if row[4] != root.number and _is_person(row)), None)
    if user is None:
        return scope
    said.append(f"Owners of tenants: {ident(root.schema, root.table)}, by {ident(user[3])}.")
    return replace(scope, owners=MembershipTable(root.schema, root.table, root.relation, root.number, user[4], 0))


def _is_person(row: Sequence[Any]) -> bool:
    return bool(_PERSON.match(row[3]) and row[5] in ("U", "S", "N")) or bool(row[6] and _PEOPLE.match(row[6]))


def _named(names: Iterable[str]) -> str:
    return ", ".join(ident(name) for name in names)
