"""The select that derives and judges the rows of one mapping, as it is put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from tenantry.derivation.derived import Reading
from tenantry.journal.names import JOURNAL
from tenantry.mapping.project import MappedColumn, Mapping
from tenantry.mapping.reasons import written
from tenantry.postgres import ident, idents, literal

_WIDE = 400
"""With more columns than this, conditions over a row are computed into one array: a select has at most 1,664 columns."""


@dataclass(frozen=True, slots=True)
class JudgedSelect:
    """Collects what a derivation computes of a row.

    Attributes:
        inner: label and expression of what the innermost select computes, over the source row `s` and its references.
        problems: code and condition of each reason to quarantine the row.
        parents: condition, and the JSON object that names the missing parent.
        changes: columns whose original the change log keeps, with the condition.
        fallbacks: by column, the expression that replaces an invalid value.
        fallen: by label, whether that expression replaced it.
        packed: conditions that share one array.
    """

    mapping: Mapping
    inner: list[tuple[str, str]] = field(default_factory=list)
    problems: list[tuple[str, str]] = field(default_factory=list)
    parents: list[tuple[str, str]] = field(default_factory=list)
    changes: list[tuple[MappedColumn, str]] = field(default_factory=list)
    fallbacks: dict[str, str] = field(default_factory=dict)
    fallen: dict[str, str] = field(default_factory=dict)
    packed: list[str] = field(default_factory=list)

    @property
    def names(self) -> list[str]:
        return [column.name for column in self.mapping.columns]

    @property
    def tenant_known(self) -> str:
        """The condition under which the row's tenant is known."""
        return f"{self.mapping.ours('tenant')} is not null" if self.mapping.scoped else "true"

    def flag(self, sql: str) -> str:
        """Compute a condition in the innermost select; return what names it in the outer ones."""
        ours = self.mapping.ours
        if len(self.mapping.columns) > _WIDE:
            self.packed.append(sql)
            return f"{ours('flags')}[{len(self.packed)}]"
        name = ours(f"f{sum(1 for label, _ in self.inner if label.startswith(ours('f')))}")
        self.inner.append((name, sql))
        return name

    def with_fallbacks(self) -> str:
        """Return the list of the mapping's columns, invalid values replaced."""
        return ", ".join(
            f"{self.fallbacks[name]} as {ident(name)}" if name in self.fallbacks else ident(name) for name in self.names
        )

    def judge(self, body: str, reading: Reading) -> str:
        """Return the outermost select: the columns, then the key, problems, parent, original and changes of each row."""
        ours = self.mapping.ours
        row, flagged = ours("row"), ours("bad")
        bad = "\n        or ".join(condition for _, condition in self.problems) or "false"
        reasons: dict[str, list[str]] = {}
        for code, condition in self.problems:
            reasons.setdefault(code, []).append(condition)
        listed = ",\n        ".join(
            f"case when {' or '.join(conditions)} then {literal(written(code))} end"
            for code, conditions in reasons.items()
        )
        parent = " ".join(f"when {condition} then {value}" for condition, value in self.parents)
        to_json = "to_json" if reading is Reading.PREVIEW else f"{JOURNAL}.row_json"
        return (
            f"select {idents([*self.names, ours('key')])},\n"
            f"      case when {flagged} then concat_ws(';', {listed or 'null'}) end as {ours('problems')},\n"
            f"      case when {flagged} then {f'case {parent} end' if parent else 'null::jsonb'} end as {ours('parent')},\n"
            f"      case when {flagged} then {to_json}({row}) end as {ours('original')},\n"
            f"      {_noted(self.mapping, self.changes)} as {ours('changes')}\n"
            f"  from (\nselect *, ({bad}) is true as {flagged}\n  from (\n{body}\n  ) d offset 0\n  ) j"
        )


def _noted(mapping: Mapping, changes: Sequence[tuple[MappedColumn, str]]) -> str:
    """Return an array of JSON objects: the changed columns with the values before and after."""
    row = mapping.ours("row")

    def note(column: MappedColumn) -> str:
        before, after = f"({row}).{ident(column.source or column.name)}", ident(column.name)
        if mapping.is_secret(column):
            before = after = "'(secret)'::text"
        # As json, never as jsonb: jsonb refuses what json may hold, such as the escape \\u0000 or a duplicate key.
        return (
            f"json_build_object('column', {literal(column.name)}, 'from', to_json({before}), 'to', to_json({after}),"
            f" 'rule', {literal(column.rule or 'corrected')})::text"
        )

    if not changes:
        return "null::text[]"
    notes = ",\n        ".join(f"case when {condition} then {note(column)} end" for column, condition in changes)
    any_note = " or ".join(condition for _, condition in changes)
    return f"case when {any_note} then array_remove(array[{notes}], null) end"


__all__ = ["JudgedSelect"]
