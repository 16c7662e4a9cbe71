"""Decides which tables belong to a tenant and by which paths, and drafts tenants for single persons."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tenantry.catalog import Table
from tenantry.draft.context import Drafting
from tenantry.draft.inner_ids import pair_to_tenant
from tenantry.draft.model import DraftColumn, DraftTable, Question
from tenantry.draft.naming import column_for, target_name
from tenantry.postgres import ident


def carried_tables(work: Drafting) -> list[Table]:
    """Return the source tables that get a target table; omit the others, with the reason."""
    found = []
    for table in work.catalog.tables:
        known = work.kinds.get(table.name)
        if known is None:
            continue
        if known.kind == "framework":
            work.out.ignored[table.name] = known.reason
        elif known.kind == "credentials" and table.name != work.users:
            work.out.ignored[table.name] = f"{known.reason}; accounts and sessions are Supabase Auth's afterwards"
        elif table.row_key is None:
            work.out.ignored[table.name] = "it has no key, so its rows cannot be identified"
            work.out.questions.append(
                Question(
                    table.name, "How are rows of this table identified?",
                    ("It has neither a primary key nor a unique key over columns that are never null.",),
                    "It is not migrated ([source] ignore).",
                    (f"Run ALTER TABLE {ident(work.catalog.schema, table.name)} ADD PRIMARY KEY (…) on the source, and"
                     " `tenantry init` again.",), 6,
                )
            )  # fmt: skip
        else:
            found.append(table)
    return found


def find_scoped(work: Drafting, carried: Sequence[Table]) -> None:
    """Find the tables whose rows belong to a tenant: each step of a path leads to a table that is closer to the tenant."""
    if work.constant:
        work.scoped = {table.name for table in carried} - {work.users} - _for_everybody(work, carried)
        return
    start = {work.users} if work.person else {work.root}
    distance = dict.fromkeys(start, 0) if not work.values else {}
    distance |= {table.name: 1 for table in carried if work.names_tenant(table)}
    names = {table.name for table in carried}
    changed = True
    while changed:
        changed = False
        for table in carried:
            if table.name in start or (table.name == work.users and not _users_lead(work)):
                continue
            near = [distance[each.parent] for each in work.ways(table.name) if each.parent in distance]
            if near and distance.get(table.name, 99) > min(near) + 1:
                distance[table.name] = min(near) + 1
                changed = True
            elif table.name not in distance and not work.person and (naming := _named_by(work, table)) in distance:
                # Rows that name the table's rows have their tenant.
                distance[table.name] = distance[naming] + 1
                changed = True
            elif table.name not in distance and not work.person and (near := _by_pair(work, table, distance)):
                distance[table.name] = max(near) + 1
                changed = True
    work.distance = distance
    work.scoped = {name for name in distance if name in names and name not in (work.root, work.users)}


def _by_pair(work: Drafting, table: Table, distance: Mapping[str, int]) -> list[int]:
    """Return how far the tables of a polymorphic pair are from the tenant; empty unless each of them leads to it, so that no row would
    be left without a tenant."""
    _, parents = pair_to_tenant(work, table)
    near = [distance[each] for each in parents if each in distance and each != table.name]
    return near if len(near) == len(parents) else []


def _named_by(work: Drafting, table: Table) -> str:
    """Return the source table whose rows name each row of a table at most once, if that is the only path to the tenant."""
    hops = next((path.hops for path in work.kinds[table.name].paths if path.hops and path.reached), ())
    if not hops or not hops[0].backwards or len(hops[0].columns) != 1 or table.name == work.users:
        return ""
    return hops[0].to if hops[0].to in work.target_of else ""


def _way_back(work: Drafting, table: Table) -> tuple[str, ...]:
    """Return the way to the tenant against the reference of the table that names this one's rows."""
    naming = _named_by(work, table)
    named = next((each for each in work.ways(naming) if each.parent == table.name and len(each.columns) == 1), None)
    if named is None or naming not in {*work.scoped, work.root} or _leads_back(work, table.name, naming):
        return ()
    if work.distance.get(naming, 99) >= work.distance.get(table.name, 99):
        return ()  # the rows that name it have their own tenant from it
    work.lead.setdefault(table.name, set()).add(naming)
    return (f"{named.parent_columns[0]} <- {work.target_of[naming]}.{named.columns[0]}",)


def _for_everybody(work: Drafting, carried: Sequence[Table]) -> set[str]:
    """Return lookup tables that tenants share, except those that refer to rows of tenants."""
    found = {table.name for table in carried if work.kinds[table.name].kind == "lookup"}
    changed = True
    while changed:
        naming = {name for name in found if any(each.parent not in found | {work.users} for each in work.ways(name))}
        changed = bool(naming)
        found -= naming
    return found


def _users_lead(work: Drafting) -> bool:
    """Whether a user belongs to one tenant, so that the user's rows are this tenant's."""
    users = work.catalog.table(work.users)
    by_value = users is not None and bool(work.names_tenant(users))
    leads = by_value or any(each.parent == work.root for each in work.ways(work.users))
    return leads and not work.survey.membership


def tenant_column(work: Drafting, carried: Sequence[Table]) -> str:
    """Return the name of the tenant column: the most frequent one among the source tables."""
    counts: dict[str, int] = {}
    for table in carried:
        for each in work.ways(table.name):
            if each.parent == work.root and len(each.columns) == 1:
                name = target_name(each.columns[0], work.options.names)
                counts[name] = counts.get(name, 0) + 1
    best = max(counts, key=lambda name: (counts[name], name)) if counts else ""
    return best or column_for(work.out.tenant, work.options.names)


def tenant_ways(work: Drafting, table: Table) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the paths to the tenant, the most certain first, and those that only count where no other one leads to it: of two
    paths that disagree, where the better one does not always lead to a tenant."""
    if work.constant:
        return (), ()
    far = work.distance.get(table.name, 99)
    known = {path.hops[0].columns: path for path in work.kinds[table.name].paths if path.hops}
    found: list[tuple[tuple[float, int], str, bool]] = []
    if value := work.names_tenant(table):
        found.append(((-2.0, 0), f"{value} -> {work.out.tenant}", False))
    for each in work.ways(table.name):
        near = work.distance.get(each.parent)
        if (
            near is None
            or near > far
            or each.parent not in work.target_of
            or _leads_back(work, table.name, each.parent)
        ):
            continue
        work.lead.setdefault(table.name, set()).add(each.parent)
        path = known.get(each.columns)
        reach = path.reached / path.rows if path is not None and path.rows else 1.0
        column = next((name for name in each.columns if not work.is_tenant_column(table, name)), each.columns[0])
        by_person = each.parent == work.users
        # A person has no tenant in the target; their own tenant has one, or the membership made from the same row.
        target = work.target_of[each.parent] if not by_person else work.out.tenant if work.person else work.member_name
        way = column if each.declared and not by_person else f"{column} -> {target}"
        # A composite key includes the tenant: that column is a path of its own.
        found.append(((-round(reach, 3), near), way, path is not None and path.disagree > 0))
    if not found and _by_pair(work, table, work.distance):
        column, parents = pair_to_tenant(work, table)
        work.lead.setdefault(table.name, set()).update(parents)
        return (column,), ()
    found.sort(key=lambda each: each[0])
    ways = dict.fromkeys(way for _, way, other in found if not other)
    rest = dict.fromkeys(way for _, way, other in found if other and way not in ways)
    if not ways or any(rank[0] <= -1 for rank, _, other in found if not other):
        # The better path leads every row to its tenant: where another one disagrees, the row is quarantined.
        return tuple(dict.fromkeys((*_way_back(work, table), *ways, *rest))), ()
    work.fallbacks.add(table.name)
    return tuple(ways), tuple(rest)


def _leads_back(work: Drafting, table: str, parent: str) -> bool:
    """Whether the chosen paths lead from the parent back to the table."""
    queue, seen = [parent], set()
    while queue:
        at = queue.pop()
        if at == table:
            return True
        if at not in seen:
            seen.add(at)
            queue += work.lead.get(at, ())
    return False


def own_tenants(work: Drafting) -> DraftTable:
    """Draft a tenant for each person, made from the users table."""
    columns = work.survey.users_columns
    name = columns.name or columns.email
    made = DraftTable(
        work.out.tenant, work.users, "tenant", scoped=False, part="tenant", comment="Each person's own tenant."
    )
    made.columns.append(DraftColumn("name", "text", True, source=name, rule={"from": name} if name != "name" else {}))
    if name:
        source = work.catalog.table(work.users)
        column = source.column(name) if source is not None else None
        if column is not None and column.nullable:
            made.columns[0].rule["null"] = {"default": "personal"}
    return made


def tenants_of_values(work: Drafting) -> DraftTable:
    """Draft the table of tenants if each value of a column is one: a new table, whose rows are made from the values."""
    work.out.values = {"column": "name"}
    reasons = work.survey.tenant.reasons if work.survey.tenant is not None else ()
    work.out.questions.append(
        Question(
            "tenant.values", f"Which values of {work.values} mean the same tenant?", reasons,
            "Values that are equal but for blanks around them.",
            ('[tenant.values] up = "lower(btrim(value))", if case does not matter', "Correct the values in the source."), 9,
        )
    )  # fmt: skip
    return DraftTable(
        work.out.tenant, "", "tenant", scoped=False, columns=[DraftColumn("name", "text", True)],
        uniques=[("name",)], comment=f"Tenants: each value of {work.values}.",
    )  # fmt: skip


def the_tenant(work: Drafting) -> DraftTable:
    """Draft the table of tenants if everything belongs to one: a new table with one row."""
    name = work.options.name or work.survey.database
    work.out.constant = {"name": name}
    work.out.questions.append(
        Question(
            "tenant.name", "What is the name of the first tenant?", ("No table of the source has it.",), name,
            (f'[tenant] constant = {{ name = "…" }}; further columns of {work.out.tenant} can be stated beside it.',), 9,
        )
    )  # fmt: skip
    return DraftTable(
        work.out.tenant, "", "tenant", scoped=False, columns=[DraftColumn("name", "text", True)],
        comment="Tenants; the first is what the database was.",
    )  # fmt: skip
