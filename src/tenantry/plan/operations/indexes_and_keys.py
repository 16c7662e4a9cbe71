"""Take keys, indexes and triggers off the empty target tables, and put them back, by their exact definitions, behind the
copy: building an index once over all rows costs a fraction of keeping it up to date row by row."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from tenantry.catalog import Constraint, Index, Table
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.mapping.project import LEGACY_ID, ROW_ID
from tenantry.plan.estimates import INDEX_SECONDS, SCAN_SECONDS, VALIDATE_SECONDS
from tenantry.plan.model import Step
from tenantry.postgres import ident, literal, short_name

CATCH_UP, DEFER = "copy.catch_up", "expand.defer"
_LEGACY = "tenantry_legacy"

_OURS = "none that others feel: nobody uses the target yet"


def defer(project: Project) -> list[Step]:
    """One step: foreign keys first, since they hang on the keys of others."""
    tables = _fed(project)
    foreign = [_drop(table, fk) for table in tables for fk in _foreign(table)]
    keys = [_drop(table, key) for table in tables for key in _keys(table)]
    # A foreign key of a table that nothing feeds can hang on a key of one that is fed.
    keys_gone = {table.name for table in tables}
    others = [
        (table, fk)
        for table in project.target.tables
        if table.name not in keys_gone
        for fk in table.foreign_keys
        if _waits(project, table, fk) and not fk.inherited
    ]
    foreign += [_drop(table, fk) for table, fk in others]
    indexes = [f"drop index {ident(table.schema, index.name)}" for table in tables for index in _plain(table)]
    triggers = [*(statement for table in tables for statement in _triggers_off(table)), *_rules(project, on=False)]
    # A publication of all tables refuses to update a table without a key, and rows are corrected before the keys are back.
    published = [
        f"alter table {ident(each.schema, each.name)} replica identity full"
        for table in tables
        for each in table.holding
    ]
    undo = [
        *_rules(project, on=True),
        *(statement for table in tables for statement in _triggers_on(table)),
        *(index.definition for table in tables for index in _plain(table)),
        *(_add(table, key) for table in tables for key in _keys(table)),
        *(_add(table, fk) for table in tables for fk in _foreign(table)),
        *(_add(table, fk) for table, fk in others),
        *(statement for table in tables for statement in _replica_identity(project, table)),
    ]
    return [
        Step(
            id=DEFER,
            phase="expand",
            kind="sql",
            title=f"Take {len(foreign)} foreign keys, {len(keys)} keys and {len(indexes)} indexes off the empty tables",
            sql=(*triggers, *foreign, *keys, *indexes, *published),
            undo=tuple(undo),
            lock=_OURS,
            risk="none",
            seconds=0.005 * (len(foreign) + len(keys) + len(indexes)),
            after=("expand.id_map",),
        )
    ]


def restore(project: Project, last: dict[str, str], rows: dict[str, int]) -> list[Step]:
    """The steps that put everything back: indexes (in parallel), keys, foreign keys, statistics.

    Ranges of the copy were read at different moments, so that what must be unique need not be so yet: rows that changed
    meanwhile are carried over again before unique indexes are built. Indexes over ids alone can be built before that, and it
    needs them.

    Args:
        last: by target table, the id of the last step that writes its rows.
        rows: by target table, the rows that are expected.
    """
    steps: list[Step] = []
    tables = _fed(project)
    keyed: dict[str, str] = {}
    early: list[str] = []
    for table in tables:
        count = rows[table.name]
        index_name = legacy_index(table)
        sql = (f"create index {ident(index_name)} on {_name(table)} ({LEGACY_ID})",) if index_name else ()
        step = Step(
            id=f"copy.legacy:{table.name}",
            phase="copy",
            kind="sql",
            title=f"Make rows of {table.name} findable by their old ids, gather statistics",
            sql=(*sql, f"analyze {_name(table)}"),
            undo=(f"drop index if exists {ident(table.schema, index_name)}",) if index_name else (),
            lock=_OURS,
            risk="none",
            seconds=INDEX_SECONDS * count + SCAN_SECONDS * min(count, 30_000) + 0.02,
            after=(last[table.name],),
            table=table.name,
            rows=count,
        )
        steps.append(step)
        early.append(step.id)
        for index in (*_backing(table), *_plain(table)):
            if _of_ids(project, index):
                step = _build(table, index, count, last[table.name])
                steps.append(step)
                early.append(step.id)
    steps.append(
        Step(
            id=CATCH_UP,
            phase="copy",
            kind="replay",
            title="Carry over what changed while rows were copied",
            sql=(),
            undo=(),
            lock="none that others feel",
            risk="none",
            seconds=0.1,
            after=tuple(early),
        )
    )
    for table in tables:
        count = rows[table.name]
        made: list[str] = []
        for index in (*_backing(table), *_plain(table)):
            if _of_ids(project, index):
                continue
            step = _build(table, index, count, CATCH_UP)
            steps.append(step)
            made.append(step.id)
        attach = [
            *(_attach(table, key) for key in _keys(table)),
            *(_comments(table)),
            *_replica_identity(project, table),
            f"analyze {_name(table)}",
        ]
        keyed[table.name] = f"copy.keys:{table.name}"
        steps.append(
            Step(
                id=keyed[table.name],
                phase="copy",
                kind="sql",
                title=f"Attach the keys of {table.name}, gather statistics",
                sql=tuple(attach),
                undo=tuple(_drop(table, key) for key in _keys(table)),
                lock=_OURS,
                risk="none",
                seconds=SCAN_SECONDS * min(count, 30_000) + 0.02,
                after=tuple(made) or (CATCH_UP,),
                table=table.name,
                rows=count,
            )
        )
    # Two steps that lock the same tables in different orders would deadlock, and one that waits for a validation would keep
    # others out of auth.users meanwhile: those that share a table go one after the other, and validations behind all of them.
    adding: dict[tuple[str | None, str | None], str] = {}
    added: list[str] = []
    validating: list[Step] = []
    for table in project.target.tables:
        foreign = [fk for fk in _foreign(table) if _waits(project, table, fk)]
        if not foreign:
            continue
        after = {keyed[name] for name in (table.name, *(fk.ref_table or "" for fk in foreign)) if name in keyed}
        locked = {(table.schema, table.name), *((fk.ref_schema, fk.ref_table) for fk in foreign)}
        after |= {adding[each] for each in locked if each in adding}
        count = rows.get(table.name, 0)
        partitioned = table.kind == "partitioned"
        comments = [comment for fk in foreign for comment in _comment(table, fk)]
        add = Step(
            id=f"copy.foreign:{table.name}",
            phase="copy",
            kind="sql",
            title=f"Add {len(foreign)} foreign keys to {table.name}" + ("" if partitioned else ", not yet validated"),
            sql=(*(_add(table, in_transition(project, table, fk), valid=partitioned) for fk in foreign), *comments),
            undo=tuple(_drop(table, fk) for fk in foreign),
            lock="SHARE ROW EXCLUSIVE on auth.users for a moment, where one references it",
            risk="none",
            seconds=0.01 * len(foreign),
            after=tuple(sorted(after)) or (CATCH_UP,),
            table=table.name,
            outside=True,
        )
        steps.append(add)
        added.append(add.id)
        adding |= dict.fromkeys(locked, add.id)
        if not partitioned:
            validating.append(
                Step(
                    id=f"copy.validate:{table.name}",
                    phase="copy",
                    kind="sql",
                    title=f"Validate {len(foreign)} foreign keys of {table.name}",
                    sql=tuple(
                        f"alter table {_name(table)} validate constraint {ident(fk.name)}"
                        for fk in foreign
                        if fk.validated
                    ),
                    undo=(),
                    lock="ROW SHARE on the tables that are referenced",
                    risk="none",
                    seconds=VALIDATE_SECONDS * count * len(foreign),
                    table=table.name,
                    rows=count,
                )
            )
    steps += (replace(step, after=tuple(added)) for step in validating)
    return steps


def triggers(project: Project, *, on: bool) -> list[str]:
    """The target's own triggers and rewrite rules, which sleep until applications write it: what is carried over is as it shall be
    already."""
    switch = _triggers_on if on else _triggers_off
    return [*(statement for table in _fed(project) for statement in switch(table)), *_rules(project, on=on)]


def _rules(project: Project, *, on: bool) -> list[str]:
    names = ", ".join(literal(_name(table)) for table in _fed(project) if table.rules)
    return [f"select {JOURNAL}.{'wake' if on else 'sleep'}_rules(array[{names}])"] if names else []


def legacy_index(table: Table) -> str | None:
    """The name of the index by which replay finds rows of a table by their old ids, or None where the table has one itself."""
    if any(index.columns[:1] == (LEGACY_ID,) and index.predicate is None for index in table.indexes):
        return None
    return short_name(_LEGACY, table.name)


def in_transition(project: Project, table: Table, key: Constraint) -> Constraint:
    """A foreign key as it stands until the contract: replay applies many rows at once, in an order that is right only at the
    end, so every foreign key can wait for that, which RESTRICT could not."""
    if key.kind != "foreign" or (table.kind == "partitioned" and key.inherited) or not _waits(project, table, key):
        return key
    definition = re.sub(r" ON (DELETE|UPDATE) RESTRICT", "", key.definition)
    if not key.deferrable:
        definition, mark, tail = definition.partition(" NOT VALID")
        definition = f"{definition} DEFERRABLE{mark}{tail}"
    if definition == key.definition:
        return key
    return replace(
        key,
        definition=definition,
        deferrable=True,
        on_delete="no action" if key.on_delete == "restrict" else key.on_delete,
        on_update="no action" if key.on_update == "restrict" else key.on_update,
    )


def for_good(project: Project) -> list[Step]:
    """The steps of the contract that bring foreign keys into their final form."""
    steps: list[Step] = []
    for table in project.target.tables:
        changed = [fk for fk in _foreign(table) if in_transition(project, table, fk) != fk]
        if not changed:
            continue
        partitioned = table.kind == "partitioned"
        steps.append(
            Step(
                id=f"contract.foreign:{table.name}",
                phase="contract",
                kind="contract",
                title=f"Give {len(changed)} foreign keys of {table.name} their final form",
                sql=(
                    *(_drop(table, fk) for fk in changed),
                    *(_add(table, fk, valid=partitioned) for fk in changed),
                    *(comment for fk in changed for comment in _comment(table, fk)),
                    *(
                        f"alter table {_name(table)} validate constraint {ident(fk.name)}"
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


def _waits(project: Project, table: Table, fk: Constraint) -> bool:
    """Whether replay may write either side of a foreign key, or what hangs on it: all but those by which tables that nothing feeds
    refer to other schemas."""
    return fk.ref_schema == project.target.schema or any(each.name == table.name for each in _fed(project))


# -- parts -------------------------------------------------------------------------------------------------------------


def _fed(project: Project) -> list[Table]:
    names = dict.fromkeys(mapping.target.name for mapping in project.mappings)
    return [table for name in names if (table := project.target.table(name)) is not None]


def _name(table: Table) -> str:
    return ident(table.schema, table.name)


def _foreign(table: Table) -> list[Constraint]:
    return [fk for fk in table.foreign_keys if not fk.inherited]


def _keys(table: Table) -> list[Constraint]:
    return [
        constraint
        for constraint in table.constraints
        if constraint.kind in ("primary", "unique", "exclusion") and not constraint.inherited
    ]


def _backing(table: Table) -> list[Index]:
    """Indexes of constraints that can be built by themselves and attached; exclusion constraints, and keys of partitioned
    tables, cannot."""
    if table.kind == "partitioned":
        return []
    attachable = {key.index for key in _keys(table) if key.kind != "exclusion"}
    return [index for index in table.indexes if index.name in attachable]


def _of_ids(project: Project, index: Index) -> bool:
    """Whether an index is over ids alone, which cannot be there twice, in whatever order rows were read."""
    ids = {ROW_ID, LEGACY_ID, project.manifest.tenant.column}
    return not index.unique or (
        index.predicate is None and bool({ROW_ID, LEGACY_ID} & set(index.columns)) and set(index.columns) <= ids
    )


def _build(table: Table, index: Index, count: int, after: str) -> Step:
    return Step(
        id=f"copy.index:{index.name}",
        phase="copy",
        kind="sql",
        title=f"Build {index.name}",
        sql=(index.definition,),
        undo=(f"drop index if exists {ident(table.schema, index.name)}",),
        lock=_OURS,
        risk="none",
        seconds=INDEX_SECONDS * count * max(1, len(index.columns)) ** 0.5,
        after=(after,),
        table=table.name,
        rows=count,
    )


def _plain(table: Table) -> list[Index]:
    return [index for index in table.indexes if index.constraint is None and not index.inherited]


def _drop(table: Table, constraint: Constraint) -> str:
    return f"alter table {_name(table)} drop constraint {ident(constraint.name)}"


def _add(table: Table, constraint: Constraint, *, valid: bool = True) -> str:
    suffix = "" if valid or "NOT VALID" in constraint.definition else " not valid"
    return f"alter table {_name(table)} add constraint {ident(constraint.name)} {constraint.definition}{suffix}"


def _attach(table: Table, key: Constraint) -> str:
    if table.kind == "partitioned" or key.kind == "exclusion":
        return _add(table, key)
    kind = "primary key" if key.kind == "primary" else "unique"
    timing = ""
    if key.deferrable:
        timing = " deferrable initially " + ("deferred" if key.initially_deferred else "immediate")
    return f"alter table {_name(table)} add constraint {ident(key.name)} {kind} using index {ident(key.index or '')}{timing}"


def _comment(table: Table, constraint: Constraint) -> Iterable[str]:
    if constraint.comment is not None:
        yield f"comment on constraint {ident(constraint.name)} on {_name(table)} is {literal(constraint.comment)}"


def _comments(table: Table) -> Iterable[str]:
    for key in _keys(table):
        yield from _comment(table, key)
    for index in _plain(table):
        if index.comment is not None:
            yield f"comment on index {ident(table.schema, index.name)} is {literal(index.comment)}"


def _triggers_off(table: Table) -> Iterable[str]:
    if table.triggers:
        names = ", ".join(f"disable trigger {ident(trigger.name)}" for trigger in table.triggers)
        yield f"alter table {_name(table)} {names}"


def _triggers_on(table: Table) -> Iterable[str]:
    """Each trigger back to the state that it had."""
    states = {"origin": "enable", "always": "enable always", "replica": "enable replica"}
    switched = [
        f"{states[trigger.enabled]} trigger {ident(trigger.name)}"
        for trigger in table.triggers
        if trigger.enabled in states
    ]
    if switched:
        yield f"alter table {_name(table)} {', '.join(switched)}"


def _replica_identity(project: Project, table: Table) -> Iterable[str]:
    """What tells the rows of a table, and of its partitions, from each other in a replication stream, as its files say."""
    for each in table.holding:
        there = project.target.table(each.name) or table
        how = (
            f"using index {ident(there.replica_identity_index)}"
            if there.replica_identity == "index" and there.replica_identity_index is not None
            else there.replica_identity
        )
        yield f"alter table {ident(each.schema, each.name)} replica identity {how}"
