"""Copies one mapping with one set-based statement for each key range. The same statement puts rows that cannot be migrated
into quarantine and records cells that a treatment changed in the transform audit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tenantry.derivation.derived import RANGE, within
from tenantry.derivation.ids import new_id_sql
from tenantry.derivation.keys import mapping_key, reference_text
from tenantry.derivation.pilot import not_carried
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project, Reference
from tenantry.mapping.legacy_ids import from_part, source_key
from tenantry.mapping.reasons import written
from tenantry.plan.estimates import DEFAULT_COSTS, RowCosts
from tenantry.plan.model import Step
from tenantry.postgres import ident, literal
from tenantry.statements.copy import RUN, copy_statement
from tenantry.statements.merge import merge_statements, unmerge_statement


def copy(
    project: Project, rows: dict[str, int], links: Sequence[str], costs: RowCosts = DEFAULT_COSTS
) -> tuple[list[Step], dict[str, str]]:
    """Return the steps that fill the target and, by target table, the id of the last step that writes its rows."""
    steps: list[Step] = []
    last: dict[str, list[str]] = {}
    swept = _cycles(project)
    waiting: dict[str, list[Mapping]] = {}
    for mapping in project:
        name = mapping.target.name
        count = rows[mapping.source.name]
        parents = [step for parent in mapping.parents() for step in last.get(parent, []) if parent != name]
        columns = len(mapping.columns)
        step = Step(
            id=f"copy.rows:{mapping.name}",
            does="copies the rows of a mapping, range by range",
            about="mapping",
            phase="copy",
            kind="copy",
            title=f"Copy {mapping.source.name} to {mapping.name}",
            sql=(_missing_only(project, mapping, copy_statement(project, mapping)),),
            undo=(
                f"truncate {ident(project.target.schema, name)}",
                f"delete from {JOURNAL}.quarantine where mapping = {literal(mapping.name)}",
                f"delete from {JOURNAL}.change where mapping = {literal(mapping.name)}",
                f"delete from {JOURNAL}.chunk where mapping = {literal(mapping.name)}",
            ),
            lock="ACCESS SHARE on the source: the application keeps reading and writing",
            risk="low",
            risk_note="The copy reads the whole table and writes about the same amount: watch disk space and WAL.",
            seconds=count * (costs.copy + columns * costs.column + len(mapping.python_columns) * costs.python),
            after=tuple(dict.fromkeys([*links, *parents])),
            mapping=mapping.name,
            table=name,
            rows=count,
            gone_with_target=True,
            rerun="rest",
        )
        steps.append(step)
        last.setdefault(name, []).append(step.id)
        if mapping.merge is not None:
            merge = Step(
                id=f"copy.merge:{mapping.name}",
                does="merges rows that mean the same; only where the mapping has a merge",
                about="mapping",
                phase="copy",
                kind="sql",
                title=f"Merge duplicate rows of {name}",
                sql=merge_statements(project, mapping),
                undo=(unmerge_statement(project, mapping),),
                lock="none that others notice",
                risk="low",
                risk_note=f"Rows equal in {', '.join(mapping.merge.by)} become one: {mapping.merge.reason}.",
                seconds=costs.merge * count,
                after=(step.id,),
                mapping=mapping.name,
                table=name,
                rows=count,
                gone_with_target=True,
                rerun="rest",
                undo_first=True,
            )
            steps.append(merge)
            last[name] = [merge.id]
        group = swept.get(name)
        if group is not None:
            key = "+".join(sorted(group))
            waiting.setdefault(key, []).append(mapping)
            if {each.target.name for each in waiting[key]} == group and not any(
                other.target.name in group and other not in waiting[key] for other in project
            ):
                sweep = _sweep(project, waiting[key], [step for name in sorted(group) for step in last[name]])
                steps.append(sweep)
                for member in group:
                    last[member] = [sweep.id]
    return steps, {name: ids[-1] for name, ids in last.items()}


def _missing_only(project: Project, mapping: Mapping, statement: str) -> str:
    """After a pilot run, leave the rows that it migrated unchanged."""
    if project.subset is None or project.subset.state != "rest":
        return statement
    return within(statement, f"{RANGE} and {not_carried(project, mapping)}")


# -- cycles ------------------------------------------------------------------------------------------------------------


def _cycles(project: Project) -> dict[str, set[str]]:
    """Return the tables of each reference cycle, by member; a table that refers to itself is a cycle."""
    edges: dict[str, set[str]] = {}
    late: set[str] = set()
    for mapping in project:
        for ref in (hop for each in (*mapping.references, *mapping.tenant_paths) for hop in each.hops()):
            edges.setdefault(mapping.target.name, set()).add(ref.parent)
            if ref.late:
                late.add(mapping.target.name)

    def reach(start: str) -> set[str]:
        seen: set[str] = set()
        stack = [start]
        while stack:
            for following in edges.get(stack.pop(), ()):
                if following not in seen:
                    seen.add(following)
                    stack.append(following)
        return seen

    groups: dict[str, set[str]] = {}
    for name in late:
        group = {other for other in reach(name) if name in reach(other)} | {name}
        for member in group:
            groups[member] = group
    return groups


def _late(mapping: Mapping, group: Iterable[str]) -> Iterable[tuple[str, Reference]]:
    members = set(group)
    for column in mapping.columns:
        if column.reference is not None and column.reference.parent in members:
            yield column.name, column.reference


def _without_tenant(project: Project, mapping: Mapping) -> str:
    """Return SQL that quarantines a mapping's rows whose tenant the circle has taken out of the target."""
    tenant = ident(project.manifest.tenant.column)
    root = project.by_target[project.manifest.tenant.table]
    legacy, mine = source_key(mapping, "gone"), from_part(mapping, " and")
    keys = " union all ".join(
        f"select {literal(each.name)} as mapping, {literal(each.source.name)} as source, {mapping_key(each, 'p')} as key"
        f" from {ident(project.source.schema, each.source.name)} p"
        f" where {new_id_sql(project.manifest, each, mapping_key(each, 'p'))} = gone.tenant"
        for each in root
    )
    named = mapping.tenant_paths[0].named_by
    return (
        f"    with gone as (delete from {ident(project.target.schema, mapping.target.name)} t\n"
        f"        where not exists (select from {ident(project.target.schema, project.manifest.tenant.table)} p where p.id = t.{tenant}){mine}\n"
        f"        returning t.legacy_id, t.{tenant} as tenant)\n"
        f"    insert into {JOURNAL}.quarantine (run_id, mapping, source_table, source_key, original, problems, reason,"
        " column_name, parent_mapping, parent_table, parent_key)\n"
        f"    select {RUN}, {literal(mapping.name)}, {literal(mapping.source.name)}, {mapping_key(mapping)}, to_json(s.*),\n"
        f"           {literal(written(f'reference_missing:{named}'))}, 'parent_quarantined', {literal(named)}, r.mapping, r.source, r.key\n"
        f"      from gone join {ident(project.source.schema, mapping.source.name)} s on {mapping_key(mapping)} = {legacy}\n"
        f"      left join lateral (select * from ({keys}) k limit 1) r on true;\n"
        "    get diagnostics moved = row_count;\n    total := total + moved;"
    )


def _sweep(project: Project, mappings: Sequence[Mapping], after: Sequence[str]) -> Step:
    """In a cycle, rows are copied before it is known whether their parents were. Rows without their parent follow it into
    quarantine, until no such row is left."""
    group = [mapping.target.name for mapping in mappings]
    rounds = []
    for mapping in mappings:
        target = ident(project.target.schema, mapping.target.name)
        for column, ref in _late(mapping, group):
            parent = ident(project.target.schema, ref.parent)
            feeding = project.feeding(ref)[0]
            legacy, mine = source_key(mapping, "gone"), from_part(mapping, " and")
            key = reference_text(project, mapping, ref, "s")
            rounds.append(
                f"    with gone as (delete from {target} t where t.{ident(column)} is not null{mine}\n"
                f"        and not exists (select from {parent} p where p.id = t.{ident(column)}) returning t.legacy_id)\n"
                f"    insert into {JOURNAL}.quarantine (run_id, mapping, source_table, source_key, original, problems, reason,"
                " column_name, parent_mapping, parent_table, parent_key)\n"
                f"    select {RUN}, {literal(mapping.name)}, {literal(mapping.source.name)}, {mapping_key(mapping)}, to_json(s.*),\n"
                f"           {literal(written(f'reference_missing:{column}'))}, case when exists (select from {JOURNAL}.quarantine q"
                f" where q.source_table = {literal(feeding.source.name)} and q.source_key = {key})"
                f" then 'parent_quarantined' else 'reference_missing' end, {literal(column)},\n"
                f"           {literal(feeding.name)}, {literal(feeding.source.name)}, {key}\n"
                f"      from gone join {ident(project.source.schema, mapping.source.name)} s on {mapping_key(mapping)} = {legacy};\n"
                "    get diagnostics moved = row_count;\n    total := total + moved;"
            )
        if mapping.scoped and not mapping.is_root and project.manifest.tenant.table in group:
            rounds.append(_without_tenant(project, mapping))
    body = "\n".join(rounds)
    return Step(
        id=f"copy.sweep:{group[0]}",
        does="quarantines rows that refer to quarantined ones; only for references in a circle",
        about="table",
        phase="copy",
        kind="sql",
        title=f"Quarantine rows whose parents are quarantined, in the reference cycle of {', '.join(dict.fromkeys(group))}",
        sql=(
            "do $sweep$\n#variable_conflict use_column\ndeclare\n    moved bigint;\n    total bigint;\nbegin\n  loop\n    total := 0;\n"
            f"{body}\n    exit when total = 0;\n  end loop;\nend\n$sweep$",
        ),
        undo=(),
        lock="none that others notice",
        risk="none",
        seconds=0.1,
        after=tuple(dict.fromkeys(after)),
        table=group[0],
        gone_with_target=True,
        rerun="rest",
        undo_first=True,
    )
