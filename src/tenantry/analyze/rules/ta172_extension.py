from __future__ import annotations

import re
from collections.abc import Iterator

from tenantry.analyze.finding import Finding
from tenantry.analyze.rule import AnalysisRule, Case
from tenantry.analyze.surroundings import Extension
from tenantry.catalog import Column, Table
from tenantry.postgres import ident


class UsedExtension(AnalysisRule):
    """Columns, defaults, indexes or triggers use an extension. Its operators are only found where its schema is on the search
    path: without it, `=` compares two values of citext as plain texts, and no error says so. Give the schema to the
    library, as in `tenant(…, schema=("app", "extensions"))`, and in the connection strings of other clients. A server that
    the target moves to needs the extension, too. If only the source uses it, as for `uuid_generate_v4()`, the target does
    without it.
    """

    code = "TA-172"
    severity = "warning"
    area = "schema"
    title = "the target or the ids depend on an extension"

    def find(self, case: Case) -> Iterator[Finding]:
        target = case.project.target.schema
        for each in case.around.extensions:
            here = _users(each, case.project.target.tables)
            there = _users(each, case.project.source_tables)
            if here:
                elsewhere = each.schema != target
                path = (
                    f" Applications need schema {each.schema} on their search path, behind {target}."
                    if elsewhere
                    else ""
                )
                yield self.finding(
                    each.name, f"the target uses extension {each.name} {each.version} (schema {each.schema})", count=len(here),
                    keys=tuple(here[:5]), severity="warning" if elsewhere else "notice",
                    advice=f"Install it on every server that the target moves to.{path}",
                )  # fmt: skip
            elif there:
                yield self.finding(
                    each.name, f"only the source uses extension {each.name} {each.version} (schema {each.schema})", count=len(there),
                    keys=tuple(there[:5]), severity="info", advice="The target does without it.",
                )  # fmt: skip


def _users(extension: Extension, tables: tuple[Table, ...]) -> list[str]:
    """Return the columns, constraints, indexes and triggers that name a type, function or operator class of the extension."""
    names = "|".join(re.escape(ident(name)) for name in sorted(extension.members))
    named = re.compile(rf"(?<![\w$.]){re.escape(ident(extension.schema))}\.({names})(?![\w$])")

    def has(text: str | None) -> bool:
        return bool(text and names and named.search(text))

    found = []
    for table in tables:
        found += [f"{table.name}.{each.name}" for each in table.columns if any(map(has, _texts(each)))]
        found += [f"{table.name}.{each.name}" for each in table.constraints if has(each.definition)]
        found += [f"{table.name}.{each.name}" for each in table.indexes if has(each.definition)]
        found += [f"{table.name}.{each.name}" for each in table.triggers if has(each.function)]
    return list(dict.fromkeys(found))


def _texts(column: Column) -> tuple[str | None, ...]:
    return column.type, column.default, column.generated
