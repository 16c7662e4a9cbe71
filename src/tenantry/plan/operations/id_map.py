"""The id map: every source row's old id with its new one, for clients that stored ids, and for people."""

from __future__ import annotations

from tenantry.manifest import Project
from tenantry.manifest.derive import JOURNAL
from tenantry.plan.model import Step
from tenantry.postgres import ident, literal


def id_map(project: Project) -> Step:
    """A view over the target itself, the merged and the quarantined: it can neither lag behind nor cost a write."""
    selects = []
    for mapping in project:
        table = ident(project.target.schema, mapping.target.name)
        prefix = len(mapping.legacy_prefix)
        old = f"substr(t.legacy_id, {prefix + 1})" if prefix else "t.legacy_id"
        where = f" where left(t.legacy_id, {prefix}) = {literal(mapping.legacy_prefix)}" if prefix else ""
        into = f"{literal(mapping.legacy_prefix)} || m.into_key" if prefix else "m.into_key"
        names = f"{literal(mapping.source.name)}, {literal(mapping.target.name)}"
        selects += [
            f"select {names}, {old}, t.id, 'carried' from {table} t{where}",
            f"select {names}, m.source_key, t.id, 'merged' from {JOURNAL}.merged m join {table} t on t.legacy_id = {into}"
            f" where m.mapping = {literal(mapping.name)}",
            f"select {names}, q.source_key, null, 'quarantined' from {JOURNAL}.quarantine q"
            f" where q.mapping = {literal(mapping.name)} and q.state = 'open'",
        ]
    view = f"{JOURNAL}.id_map"
    return Step(
        id="expand.id_map",
        phase="expand",
        kind="sql",
        title="Make the id map (old and new ids of every row)",
        sql=(
            f"create or replace view {view} (source_table, target_table, old_id, new_id, state) as\n"
            + "\nunion all\n".join(selects),
            f"comment on view {view} is 'Old and new ids: of rows carried over, of merged ones (the id of the row that stands"
            " for them), and of those in quarantine (no new id yet).'",
        ),
        undo=(f"drop view if exists {view}",),
        lock="none that others feel",
        risk="none",
        seconds=0.01,
        after=("expand.schema",),
    )
