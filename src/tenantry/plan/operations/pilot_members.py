"""Pilot runs: lists rows without a tenant (mostly people) that rows of the chosen tenants reference, directly or not."""

from __future__ import annotations

from tenantry.derivation.pilot import Inside
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Project
from tenantry.plan.model import Step
from tenantry.statements.merge import same_as_listed


def closure(project: Project, after: str) -> list[Step]:
    """Return one step before the copy, in a run that began as a pilot."""
    if project.subset is None:
        return []
    return [
        Step(
            id="copy.closure",
            does="lists people and other rows without a tenant that come along; only in a pilot",
            phase="copy",
            kind="sql",
            title="List people and other rows without a tenant that the chosen tenants reference",
            sql=tuple(_statements(project)),
            undo=(f"delete from {JOURNAL}.inside",),
            lock="ACCESS SHARE on the source",
            risk="none",
            risk_note="Every table that references people is read once.",
            seconds=0.1,
            after=(after,),
            gone_with_target=True,
        )
    ]


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
