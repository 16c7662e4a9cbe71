"""Checks of [source.down]: SQL that restores the values of source columns."""

from __future__ import annotations

from tenantry.catalog import Catalog, Table
from tenantry.errors import nearest
from tenantry.manifest.model import Manifest
from tenantry.mapping.expressions import Expressions, Say


def check_downs(manifest: Manifest, source: Catalog, target: Catalog, say: Say, expressions: Expressions) -> None:
    """Report mistakes in [source.down]: unknown tables and columns, and SQL that is not an expression over known rows."""
    feeding: dict[str, list[tuple[str, bool]]] = {}
    for name, rule in manifest.tables.items():
        for part in rule.parts().values():
            feeding.setdefault(part.source, []).append((name, part.part is None))
    for name, columns in manifest.source.down.items():
        table = source.table(name)
        if table is None or name not in feeding:
            near = nearest(name, sorted(feeding))
            say(("source", "down", name), f"the source table {name!r} fills no target table"
                + (f"; did you mean {near!r}?" if near else ""))  # fmt: skip
            continue
        targets = sorted(feeding[name], key=lambda each: not each[1])
        scopes: dict[str, Table] = {}
        for place, (fed, _) in enumerate(targets):
            found = target.table(fed)
            if found is not None:
                scopes.setdefault("t" if place == 0 else fed, found)
        for column, sql in columns.items():
            key = ("source", "down", name, column)
            there = table.column(column)
            if there is None:
                near = nearest(column, [each.name for each in table.columns])
                say(key, f"{name} has no column {column!r}" + (f"; did you mean {near!r}?" if near else ""))
            elif column in (table.row_key or ()):
                say(key, f"{column} is part of the key of {name}, which is the old id and never changes")
            elif there.generated is not None:
                say(key, f"{name}.{column} is a generated column: the server fills it")
            elif scopes:
                expressions.check(sql, scopes, key)
