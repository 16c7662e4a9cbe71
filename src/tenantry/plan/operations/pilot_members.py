"""Of a trial: list the people, and other rows that belong to no tenant, whom rows of the chosen tenants name."""

from __future__ import annotations

from tenantry.derivation.forward import Deriver, Reading
from tenantry.derivation.pilot import Inside
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project
from tenantry.plan.model import Step
from tenantry.postgres import idents, literal

CLOSURE = "copy.closure"


def closure(project: Project, after: str) -> list[Step]:
    """One step before the copy, in a run that began as a trial."""
    if project.subset is None:
        return []
    return [
        Step(
            id=CLOSURE,
            phase="copy",
            kind="sql",
            title="List people and other rows without a tenant that come along with the tenants chosen",
            sql=tuple(_statements(project)),
            undo=(f"delete from {JOURNAL}.inside",),
            lock="ACCESS SHARE on the source",
            risk="none",
            risk_note="Every table that names people is read once.",
            seconds=0.1,
            after=(after,),
        )
    ]


def same_as_listed(project: Project, mapping: Mapping) -> str:
    """The statement that lists the rows which would be merged with one that is listed."""
    key, same = mapping.ours("key"), mapping.ours("same")
    return merging(
        project,
        mapping,
        f"insert into {JOURNAL}.inside (mapping, source_key)\n"
        f"select {literal(mapping.name)}, a.{key} from hashed a\n"
        f" where a.{same} in (select b.{same} from hashed b join {JOURNAL}.inside l"
        f" on l.mapping = {literal(mapping.name)} and l.source_key = b.{key})\n"
        "on conflict do nothing",
    )


def merging(project: Project, mapping: Mapping, tail: str, *, rows: str | None = None, few: bool = False) -> str:
    """`with … hashed … tail`: source rows with what tells those that would be merged (the columns of the rule, and `key` and `same`
    as `Mapping.ours` names them), without those that have problems of their own. A value that two rows share by chance merely
    lists a row too many."""
    assert mapping.merge is not None
    by, key = idents(mapping.merge.by, prefix="d"), mapping.ours("key")
    return (
        Deriver(project, Reading.PREVIEW)
        .derive(mapping, rows=rows)
        .statement(
            tail,
            more=[
                (
                    "hashed",
                    f"select d.{key}, hash_record_extended(row({by}), 0) as {mapping.ours('same')}, {by} from derived d"
                    f" where d.{mapping.ours('problems')} is null",
                )
            ],
            few=few,
        )
    )


def _statements(project: Project) -> list[str]:
    inside = Inside(project)
    first, again = [], []
    for draw in inside.draws():
        if inside.kinds[draw.mapping.name] in ("people", "hanging"):
            again.append(inside.draw(draw))
        else:
            first.append(inside.draw(draw))
    listed = {draw.parent.name: draw.parent for draw in inside.draws()}
    merged = [same_as_listed(project, mapping) for mapping in listed.values() if mapping.merge is not None]
    if not again:
        return [*first, *merged]
    body = "\n".join(
        f"    {statement};\n    get diagnostics found = row_count;\n    total := total + found;"
        for statement in (*again, *merged)
    )
    return [
        *first,
        f"do $closure$\n#variable_conflict use_column\ndeclare\n    found bigint;\n    total bigint;\nbegin\n  loop\n    total := 0;\n{body}\n"
        "    exit when total = 0;\n  end loop;\nend\n$closure$",
    ]
