"""Classifies each table, and finds candidates for the tenant."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from tenantry.catalog import Catalog, Table
from tenantry.mapping.values.type_names import INTEGERS, TEXTS
from tenantry.survey.graph import Graph
from tenantry.survey.keys import plain_table
from tenantry.survey.model import Candidate, FoundReference, ReferenceHop, TableKind
from tenantry.survey.names import PEOPLE, TENANTS, stem, words
from tenantry.survey.sample import Sample, base_type
from tenantry.survey.shapes import shape_of

FRAMEWORK = re.compile(
    r"_?prisma_migrations|schema_migrations|ar_internal_metadata|django_(migrations|session|content_type|admin_log|site)"
    r"|alembic_version|knex_migrations(_lock)?|flyway_schema_history|databasechangelog(lock)?|goose_db_version|migrations"
    r"|__drizzle_migrations|__efmigrationshistory|sequelizemeta|typeorm_metadata|mikro_orm_migrations|pgmigrations|spatial_ref_sys"
    r"|delayed_jobs|job_queue|failed_jobs|job_batches|cache_locks|solid_(queue|cache)_.*|schema_versions?"
    r"|auth_(permission|group|group_permissions|user_groups|user_user_permissions)|_sqlx_migrations|diesel_schema_migrations",
    re.IGNORECASE,
)
_CREDENTIALS = frozenset(
    (
        *(
            "session",
            "token",
            "verification",
            "authenticator",
            "credential",
            "otp",
            "passkey",
            "nonce",
            "jwks",
            "secret",
        ),
        *("authorization", "oauth", "mfa", "challenge"),
    )
)
_LOGS = frozenset(
    ("log", "audit", "history", "event", "activity", "trail", "changelog", "revision", "version", "journal")
)
_MEMBERS = frozenset(("member", "membership", "role", "access", "seat", "assignment", "participant", "collaborator"))


def is_framework(table: Table) -> bool:
    """Whether the table belongs to a framework or to a migration tool."""
    return FRAMEWORK.fullmatch(table.name) is not None


def own_columns(table: Table, graph: Graph) -> list[str]:
    """Return the columns other than key, references and times."""
    taken = {column for hop in graph.parents(table.name) for column in hop.columns} | set(table.row_key or ())
    return [
        column.name for column in table.columns
        if column.name not in taken and not column.type.startswith(("timestamp", "date"))
        and words(column.name)[-1:] not in (("at",), ("by",))
    ]  # fmt: skip


def membership_table(
    catalog: Catalog, graph: Graph, tenant: str, users: str, samples: Mapping[str, Sample]
) -> tuple[str, str]:
    """Return the table of memberships and the reason; empty if there is none: a column of the users may hold the
    membership."""
    best: tuple[int, str, str] = (0, "", "")
    for table in catalog.tables:
        if table.name in (tenant, users) or table.name not in samples:
            continue
        parents = {hop.to for hop in graph.parents(table.name)}
        if not {tenant, users} <= parents:
            continue
        roles = [
            column.name
            for column in table.columns
            if words(column.name)[-1:] in (("role",), ("level",), ("permission",))
        ]
        named = bool(set(stem(table.name)) & _MEMBERS) or set(stem(table.name)) >= set(stem(tenant)) | set(stem(users))
        few = len(own_columns(table, graph)) <= 4
        keyed = any(
            index.unique and len(index.columns) <= 3
            and {c for hop in graph.parents(table.name) if hop.to in (tenant, users) for c in hop.columns} >= set(index.columns)
            and len(index.columns) >= 2 for index in table.indexes
        )  # fmt: skip
        score = 3 * keyed + 3 * named + 2 * bool(roles) + few
        if score > best[0] and score >= 3:
            said = f"it names {tenant} and {users}" + (f", with roles in {roles[0]}" if roles else "")
            best = (score, table.name, said)
    return best[1], best[2]


def tenant_candidates(
    catalog: Catalog, graph: Graph, samples: Mapping[str, Sample], users: str, references: Sequence[FoundReference]
) -> tuple[Candidate, ...]:
    """Return the candidates for the tenant, most likely first: tables, each person, a column's values, or one constant."""
    tables = [table for table in catalog.tables if table.name in samples and not is_framework(table)]
    data = {table.name for table in tables} - {users}
    found = [each for table in tables if (each := _as_tenant(catalog, table, graph, data, samples, users)) is not None]
    found.sort(key=lambda each: (-each.score, each.table))
    found = found[:6]
    found += _columns(catalog, tables, references, samples)
    if users:
        mine = graph.reaching(users) & data
        share = len(mine) / max(len(data), 1)
        score = round(55 * share)
        if score >= 15:
            found.append(Candidate(users, score, (f"{len(mine)} of {len(data)} tables lead to a person",), "person"))
    best = max((each.score for each in found if each.form in ("table", "column")), default=0)
    found.append(
        Candidate("", 45 if best < 45 else 10, ("the whole database becomes the first of many tenants",), "constant")
    )
    return tuple(sorted(found, key=lambda each: -each.score))


def _as_tenant(
    catalog: Catalog, table: Table, graph: Graph, data: set[str], samples: Mapping[str, Sample], users: str
) -> Candidate | None:
    name = plain_table(table.name, graph.prefixes)
    if table.name == users or not table.row_key or len(table.row_key) != 1 or table.kind in ("partition", "foreign"):
        return None
    reaching = (graph.reaching(table.name) & data) - {table.name}
    share = len(reaching) / max(len(data) - 1, 1)
    if not reaching:
        return None
    score, reasons = round(40 * share), [f"{len(reaching)} of {len(data) - 1} other tables lead to it"]
    vocabulary = (
        name[-1:]
        and name[-1] in TENANTS
        and not (len(name) > 1 and name[-1] in ("group", "account", "provider", "client"))
    )
    if vocabulary:
        score += 20
        reasons.append("its name is a usual one for tenants")
    direct = {hop.table for hop in graph.children(table.name)}
    if users:
        member, why = membership_table(catalog, graph, table.name, users, samples)
        if member:
            score += 20
            reasons.append(f"{member} says who belongs to it: {why}")
        elif any(hop.table == users and not _may_be_null(catalog, hop) for hop in graph.children(table.name)):
            score += 20
            reasons.append(f"each row of {users} names it")
        elif users in direct:
            score += 20 if vocabulary else 0
            reasons.append(f"rows of {users} name it")
        elif users not in graph.reaching(table.name):
            score -= 15
            reasons.append(f"no path leads from {users} to it")
    score += min(10, len(direct))
    if len(direct) > 1:
        reasons.append(f"{len(direct)} tables name it directly")
    own = samples[table.name]
    if (
        own.rows >= 0
        and own.rows
        and all(own.rows <= max(samples[each].rows, 0) for each in direct if samples[each].rows > 0)
    ):
        score += 5
    # A row that only this row may name, as its settings, and one that it need not name, as a picture, are no owners.
    up = [
        hop for hop in graph.parents(table.name)
        if hop.to not in (users, table.name) and not graph.is_unique(hop) and not _may_be_null(catalog, hop)
    ]  # fmt: skip
    if up:
        score -= 8 * len({hop.to for hop in up})
        reasons.append(f"but it belongs to {', '.join(sorted({hop.to for hop in up}))}")
    if (
        any(hop.to == users and "own" not in " ".join(hop.columns).lower() for hop in graph.parents(table.name))
        and not vocabulary
    ):
        score -= 10
    if name[-1:] and name[-1] in PEOPLE and not vocabulary:
        score -= 15
    return Candidate(table.name, max(0, min(100, score)), tuple(reasons)) if score >= 20 else None


def values_found(column: str, tables: Sequence[Table], samples: Mapping[str, Sample]) -> tuple[str, ...]:
    """Say how many values a column of this name has, in the sampled rows of all tables that have it."""
    having = [table.name for table in tables if table.column(column) is not None and table.name in samples]
    values = {value for name in having for value in samples[name].distinct(column)}
    rows = sum(len(samples[name].values) for name in having)
    return (f"{len(values)} different values in {rows} sampled rows of {', '.join(having)}",) if rows else ()


def _may_be_null(catalog: Catalog, hop: ReferenceHop) -> bool:
    table = catalog.table(hop.table)
    columns = [table.column(name) for name in hop.columns] if table is not None else []
    return any(column is not None and column.nullable for column in columns)


def _columns(
    catalog: Catalog, tables: Sequence[Table], references: Sequence[FoundReference], samples: Mapping[str, Sample]
) -> list[Candidate]:
    """Find columns of one name, in several tables, that identify a tenant without a table of tenants."""
    named = {(each.place.table, column) for each in references for column in each.columns}
    counts: Counter[str] = Counter()
    for table in tables:
        for column in table.columns:
            kind = base_type(catalog, column)
            said = stem(column.name)
            if (
                (kind in TEXTS or kind in INTEGERS or kind == "uuid")
                and said[-1:] and said[-1] in TENANTS
                and (table.name, column.name) not in named
                and (table.row_key or ()) != (column.name,)
            ):  # fmt: skip
                counts[column.name] += 1
    return [
        Candidate("", min(90, round(35 + 55 * count / len(tables))), (f"{count} tables have it, and no table has its values",
                  *values_found(name, tables, samples)), "column", name)
        for name, count in counts.most_common(3)
        if count >= max(2, len(tables) * 0.3)
    ]  # fmt: skip


def kind_of(
    table: Table, graph: Graph, sample: Sample, *, tenant: str, users: str, membership: str, passwords: str
) -> tuple[TableKind, str]:
    """Classify a table, with the reason."""
    name = stem(table.name)
    if table.name == tenant:
        return "tenant", "the likeliest tenant"
    if table.name == users:
        return "users", "the likeliest users table"
    if table.name == membership:
        return "membership", "it has the memberships of people in tenants"
    if is_framework(table):
        return "framework", "it belongs to a framework or a tool for migrations"
    parents = {hop.to for hop in graph.parents(table.name)}
    own = own_columns(table, graph)
    named = [set(words(column.name)) for column in table.columns]
    tokens = any({"token", "secret", "hash", "value"} & each for each in named)
    provider = any("provider" in each for each in named) and any({"access", "token"} <= each for each in named)
    # Tokens of a team, unlike those of a person, are rows of the application.
    others = any(
        hop.to not in (users, table.name)
        and all((column := table.column(each)) is not None and not column.nullable for each in hop.columns)
        for hop in graph.parents(table.name)
    )
    named_so = bool(name) and bool(set(name) & _CREDENTIALS or "factor" in name) and tokens and not others
    if table.name == passwords or named_so or provider:
        return "credentials", "it holds tokens or hashes of people who sign in"
    if len(parents) == 2 and not own and len(graph.parents(table.name)) <= 3:
        return "join", f"it has nothing but references to {' and '.join(sorted(parents))}"
    children = graph.children(table.name)
    if name and name[-1] in _LOGS and not any(words(column.name)[:1] == ("updated",) for column in table.columns):
        return "log", "its name is that of a log, and it has no time of a change"
    if not parents and children and table.name not in graph.reaching(tenant or users or table.name) - {table.name}:
        return "lookup", f"it names no table, and {len({hop.table for hop in children})} name it"
    if not parents and _is_list(table, sample):
        return "lookup", "a short list that names no other table"
    return "data", "rows of the application"


def _is_list(table: Table, sample: Sample) -> bool:
    key = table.row_key or ()
    natural = (
        len(key) == 1
        and bool(sample.values)
        and all(shape_of(value) == "word" for value in sample.distinct(key[0])[:20])
    )
    return 0 <= sample.rows <= 500 and (natural or len(table.columns) <= 4)
