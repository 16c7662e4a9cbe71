"""Drops keys, indexes and triggers of the empty target tables and creates them again after the copy with their exact
definitions: building an index once over all rows costs a fraction of maintaining it row by row."""

from __future__ import annotations

from dataclasses import replace

from tenantry.catalog import Index, Table
from tenantry.mapping import Project
from tenantry.mapping.project import LEGACY_ID
from tenantry.plan.estimates import DEFAULT_COSTS, RowCosts
from tenantry.plan.model import Step
from tenantry.postgres import ident
from tenantry.statements.capture import fed_tables
from tenantry.statements.keys import (
    add_constraint,
    attach_key,
    backing_indexes,
    can_wait,
    comment_on,
    comments_on,
    drop_constraint,
    foreign_keys,
    in_transition,
    is_to_left_table,
    key_constraints,
    legacy_index,
    over_ids_alone,
    plain_indexes,
    qualified,
    replica_identity,
)
from tenantry.statements.triggers import rules, triggers_off, triggers_on

CATCH_UP = "copy.catch_up"

_OURS = "none that others notice: the target is not in use yet"


def defer(project: Project, after: str) -> Step:
    """Foreign keys first, because they depend on the keys of other tables."""
    tables = fed_tables(project)
    foreign = [drop_constraint(table, fk) for table in tables for fk in foreign_keys(table)]
    keys = [drop_constraint(table, key) for table in tables for key in key_constraints(table)]
    # A foreign key of a table that no mapping fills can depend on a key of one that is filled.
    keys_gone = {table.name for table in tables}
    others = [
        (table, fk)
        for table in project.target.tables
        if table.name not in keys_gone
        for fk in table.foreign_keys
        if can_wait(project, table, fk) and not fk.inherited
    ]
    foreign += [drop_constraint(table, fk) for table, fk in others]
    indexes = [f"drop index {ident(table.schema, index.name)}" for table in tables for index in plain_indexes(table)]
    triggers = [*(statement for table in tables for statement in triggers_off(table)), *rules(project, on=False)]
    # A publication FOR ALL TABLES refuses updates of a table without a key, and replay updates rows before the keys exist again.
    published = [
        f"alter table {ident(each.schema, each.name)} replica identity full"
        for table in tables
        for each in table.holding
    ]
    undo = [
        *rules(project, on=True),
        *(statement for table in tables for statement in triggers_on(table)),
        *(index.definition for table in tables for index in plain_indexes(table)),
        *(add_constraint(table, key) for table in tables for key in key_constraints(table)),
        *(add_constraint(table, fk) for table in tables for fk in foreign_keys(table)),
        *(add_constraint(table, fk) for table, fk in others),
        *(statement for table in tables for statement in replica_identity(project, table)),
    ]
    return Step(
        id="expand.defer",
        does="takes keys, foreign keys and indexes off the empty target, to build them after the copy",
        phase="expand",
        kind="sql",
        title=f"Drop {len(foreign)} foreign keys, {len(keys)} keys and {len(indexes)} indexes of the empty tables until after the copy",
        sql=(*triggers, *foreign, *keys, *indexes, *published),
        undo=tuple(undo),
        lock=_OURS,
        risk="none",
        seconds=0.005 * (len(foreign) + len(keys) + len(indexes)),
        after=(after,),
        gone_with_target=True,
    )


def restore(
    project: Project, last: dict[str, str], rows: dict[str, int], costs: RowCosts = DEFAULT_COSTS
) -> list[Step]:
    """Return the steps that create everything again: indexes (in parallel), keys, foreign keys, statistics.

    The ranges of the copy were read at different moments, so unique values may not be unique yet. Rows that changed meanwhile
    are replayed before unique indexes are built. Indexes over ids alone are built before that replay, which needs them.

    Args:
        last: the id of the last step that writes rows of a target table, by table.
        rows: the expected number of rows, by target table.
    """
    steps: list[Step] = []
    tables = fed_tables(project)
    keyed: dict[str, str] = {}
    early: list[str] = []
    for table in tables:
        count = rows[table.name]
        index_name = legacy_index(table)
        sql = (f"create index {ident(index_name)} on {qualified(table)} ({LEGACY_ID})",) if index_name else ()
        step = Step(
            id=f"copy.legacy:{table.name}",
            does="makes rows findable by their old ids, and gathers statistics",
            about="table",
            phase="copy",
            kind="sql",
            title=f"Index the old ids of {table.name} and gather statistics",
            sql=(*sql, f"analyze {qualified(table)}"),
            undo=(f"drop index if exists {ident(table.schema, index_name)}",) if index_name else (),
            lock=_OURS,
            risk="none",
            seconds=costs.index * count + costs.scan * min(count, 30_000) + 0.02,
            after=(last[table.name],),
            table=table.name,
            rows=count,
            gone_with_target=True,
            rerun="rest",
            undo_first=True,
        )
        steps.append(step)
        early.append(step.id)
        for index in (*backing_indexes(table), *plain_indexes(table)):
            if over_ids_alone(project, index):
                step = _build(table, index, count, last[table.name], costs)
                steps.append(step)
                early.append(step.id)
    steps.append(
        Step(
            id=CATCH_UP,
            does="replays changes made during the copy, before the unique indexes are built",
            phase="copy",
            kind="replay",
            title="Replay changes made during the copy",
            sql=(),
            undo=(),
            lock="none that others notice",
            risk="none",
            seconds=0.1,
            after=tuple(early),
            gone_with_target=True,
            rerun="rest",
            thorough=True,
        )
    )
    for table in tables:
        count = rows[table.name]
        made: list[str] = []
        for index in (*backing_indexes(table), *plain_indexes(table)):
            if over_ids_alone(project, index):
                continue
            step = _build(table, index, count, CATCH_UP, costs)
            steps.append(step)
            made.append(step.id)
        attach = [
            *(attach_key(table, key) for key in key_constraints(table)),
            *(comments_on(table)),
            *replica_identity(project, table),
            f"analyze {qualified(table)}",
        ]
        keyed[table.name] = f"copy.keys:{table.name}"
        steps.append(
            Step(
                id=keyed[table.name],
                does="attaches the keys of a table to their indexes",
                about="table",
                phase="copy",
                kind="sql",
                title=f"Attach the keys of {table.name} and gather statistics",
                sql=tuple(attach),
                undo=tuple(drop_constraint(table, key) for key in key_constraints(table)),
                lock=_OURS,
                risk="none",
                seconds=costs.scan * min(count, 30_000) + 0.02,
                after=tuple(made) or (CATCH_UP,),
                table=table.name,
                rows=count,
                gone_with_target=True,
                rerun="rest",
                undo_first=True,
            )
        )
    # Two steps that lock the same tables in different orders would deadlock, and one that waits for a validation would block
    # access to auth.users meanwhile. So steps that share a table run one after another, and validations run after all of them.
    adding: dict[tuple[str | None, str | None], str] = {}
    added: list[str] = []
    validating: list[Step] = []
    for table in project.target.tables:
        foreign = [
            fk for fk in foreign_keys(table) if can_wait(project, table, fk) and not is_to_left_table(project, fk)
        ]
        if not foreign:
            continue
        after = {keyed[name] for name in (table.name, *(fk.ref_table or "" for fk in foreign)) if name in keyed}
        locked = {(table.schema, table.name), *((fk.ref_schema, fk.ref_table) for fk in foreign)}
        after |= {adding[each] for each in locked if each in adding}
        count = rows.get(table.name, 0)
        partitioned = table.kind == "partitioned"
        comments = [comment for fk in foreign for comment in comment_on(table, fk)]
        add = Step(
            id=f"copy.foreign:{table.name}",
            does="adds the foreign keys of a table, not validated yet",
            about="table",
            phase="copy",
            kind="capture",
            title=f"Add {len(foreign)} foreign keys to {table.name}" + ("" if partitioned else ", not yet validated"),
            sql=(
                *(add_constraint(table, in_transition(project, table, fk), valid=partitioned) for fk in foreign),
                *comments,
            ),
            undo=tuple(drop_constraint(table, fk) for fk in foreign),
            lock="SHARE ROW EXCLUSIVE on auth.users for a moment, where one references it",
            risk="none",
            seconds=0.01 * len(foreign),
            after=tuple(sorted(after)) or (CATCH_UP,),
            table=table.name,
            rerun="rest",
            undo_first=True,
            locks=("auth", "users"),
        )
        steps.append(add)
        added.append(add.id)
        adding |= dict.fromkeys(locked, add.id)
        if not partitioned:
            validating.append(
                Step(
                    id=f"copy.validate:{table.name}",
                    does="validates the foreign keys of a table",
                    about="table",
                    phase="copy",
                    kind="sql",
                    title=f"Validate {len(foreign)} foreign keys of {table.name}",
                    sql=tuple(
                        f"alter table {qualified(table)} validate constraint {ident(fk.name)}"
                        for fk in foreign
                        if fk.validated
                    ),
                    undo=(),
                    lock="ROW SHARE on the tables that are referenced",
                    risk="none",
                    seconds=costs.validate * count * len(foreign),
                    table=table.name,
                    rows=count,
                    gone_with_target=True,
                    rerun="rest",
                    undo_first=True,
                )
            )
    steps += (replace(step, after=tuple(added)) for step in validating)
    return steps


def for_good(project: Project) -> list[Step]:
    """Return the steps of the contract that bring foreign keys into their final form."""
    steps: list[Step] = []
    for table in project.target.tables:
        changed = [
            fk
            for fk in foreign_keys(table)
            if in_transition(project, table, fk) != fk
            or (is_to_left_table(project, fk) and can_wait(project, table, fk))
        ]
        if not changed:
            continue
        partitioned = table.kind == "partitioned"
        steps.append(
            Step(
                id=f"contract.foreign:{table.name}",
                does="gives foreign keys their final form; only where it is not deferrable, has RESTRICT, or leads to a table that is left",
                about="table",
                phase="contract",
                kind="contract",
                title=f"Bring {len(changed)} foreign keys of {table.name} into their final form",
                sql=(
                    *(drop_constraint(table, fk, there=not is_to_left_table(project, fk)) for fk in changed),
                    *(add_constraint(table, fk, valid=partitioned) for fk in changed),
                    *(comment for fk in changed for comment in comment_on(table, fk)),
                    *(
                        f"alter table {qualified(table)} validate constraint {ident(fk.name)}"
                        for fk in changed
                        if fk.validated and not partitioned
                    ),
                ),
                undo=(),
                lock=f"SHARE ROW EXCLUSIVE on {table.name} and the tables that it references",
                risk="low",
                seconds=0.05,
                table=table.name,
            )
        )
    return steps


# -- parts -------------------------------------------------------------------------------------------------------------


def _build(table: Table, index: Index, count: int, after: str, costs: RowCosts) -> Step:
    return Step(
        id=f"copy.index:{index.name}",
        does="builds an index",
        about="index",
        phase="copy",
        kind="sql",
        title=f"Build {index.name}",
        sql=(index.definition,),
        undo=(f"drop index if exists {ident(table.schema, index.name)}",),
        lock=_OURS,
        risk="none",
        seconds=costs.index * count * max(1, len(index.columns)) ** 0.5,
        after=(after,),
        table=table.name,
        rows=count,
        gone_with_target=True,
        rerun="rest",
        undo_first=True,
    )
