from __future__ import annotations

from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.schemas import carried_pairs, target_columns
from tenantry.catalog import Constraint
from tenantry.mapping import Mapping, Project

_WORDS = {"foreign": "foreign key", "check": "check", "exclusion": "exclusion constraint"}


class ConstraintLeftBehind(AnalysisRule):
    """The target has no such foreign key, check or exclusion constraint for the same columns. It accepts what the source
    refuses, and a rollback after the cut-over cannot write such rows into the source: they become conflicts. Or a foreign
    key of the target does something else when the referenced row is deleted, which the application notices at once. Add the
    constraint to the target's files, unless a type or another constraint says the same.
    """

    code = "TA-182"
    severity = "warning"
    area = "schema"
    title = "a constraint of the source has no counterpart, or acts otherwise when a row is deleted"

    def find(self, case: Case) -> Iterator[Finding]:
        retyped = {
            (mapping.name, column.name)
            for mapping, column, source, target in carried_pairs(case.project)
            if source.type != target.type
        }
        for table in case.project.source_tables:
            for constraint in table.constraints:
                if constraint.kind in _WORDS and constraint.columns:
                    yield from self._of(case.project, case.project.of_source(table.name), constraint, retyped)

    def _of(
        self, project: Project, mappings: tuple[Mapping, ...], constraint: Constraint, retyped: set[tuple[str, str]]
    ) -> Iterator[Finding]:
        what = f"{_WORDS[constraint.kind]} {constraint.name} ({', '.join(constraint.columns)})"
        for mapping in mappings:
            made = [_columns(project, mapping, name) for name in constraint.columns]
            # A type of the target may say the same as a check of the source.
            if not all(made) or (
                constraint.kind == "check" and any((mapping.name, name) in retyped for name in set().union(*made))
            ):
                continue
            kept = [
                each for each in mapping.target.constraints
                if each.kind == constraint.kind and all(names & {*each.columns} for names in made)
            ]  # fmt: skip
            if not kept:
                yield self.finding(
                    mapping.target.name, f"{what} has no counterpart in the target",
                    severity="warning" if constraint.kind != "check" else "notice",
                    advice="Add it to the target's files, or accept that a rollback reports such rows as conflicts.",
                )  # fmt: skip
            elif constraint.kind == "foreign" and all(_does(each) != _does(constraint) for each in kept):
                yield self.finding(
                    mapping.target.name,
                    f"{what} says ON DELETE {constraint.on_delete.upper()}, {kept[0].name} of the target {kept[0].on_delete.upper()}",
                    severity="notice", advice="Write the same into the target's files, if the application relies on it.",
                )  # fmt: skip
            return


def _does(constraint: Constraint) -> str:
    """What a deletion does; RESTRICT differs from NO ACTION only in the moment of the error."""
    return "no action" if constraint.on_delete == "restrict" else constraint.on_delete


def _columns(project: Project, mapping: Mapping, source: str) -> set[str]:
    """Return the target columns that stand for a source column, the account of a person and parts of references included."""
    found = target_columns(project, mapping, source)
    found |= {each.name for each in mapping.columns if each.reference is not None and source in each.reference.columns}
    users = project.manifest.users
    if users is not None and mapping.profile and users.account is not None and mapping.key == (source,):
        found.add(users.account)
    if mapping.scoped and any(source in path.columns for path in mapping.tenant_paths):
        found.add(project.manifest.tenant.column)
    return found
