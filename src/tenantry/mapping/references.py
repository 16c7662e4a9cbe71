"""Infers from the foreign keys of source and target which columns are references when the manifest does not say so."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from tenantry.catalog import Catalog, Constraint, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.manifest.model import ColumnRule, Manifest, SourceRule
from tenantry.manifest.positions import Key
from tenantry.mapping.expressions import Say
from tenantry.mapping.project import ROW_ID, Reference, plain_name
from tenantry.mapping.types import plain_column
from tenantry.mapping.values.type_names import base_type

_DEEPEST = 8
"""Maximum number of foreign keys followed from a column to the row it refers to."""


@dataclass(frozen=True, slots=True)
class NamedReference:
    """A reference of a source column to rows of a source table.

    Attributes:
        column: the column itself.
        columns, by: all columns of the foreign key, and the columns of the other table that they refer to.
        certain: the column refers to such a row wherever its value is used. False if it does so only together with other
            columns, or as the row's own key: then the target must confirm the reference.
    """

    column: str
    columns: tuple[str, ...]
    table: str
    by: tuple[str, ...]
    certain: bool


class References:
    """Reads the foreign keys of one manifest's source and target."""

    def __init__(
        self, manifest: Manifest, source: Catalog, target: Catalog, primary: Mapping[str, str], say: Say
    ) -> None:
        """
        Args:
            primary: for each source table, the target table that its foreign keys lead to; filled before references are
                resolved.
        """
        self._manifest, self._source, self._target, self._primary = manifest, source, target, primary
        self._say = say

    # -- references ----------------------------------------------------------------------------------------------------

    def by_default(
        self, target: Table, source: Table, part: SourceRule, column: CatalogColumn, rule: ColumnRule | None, key: Key
    ) -> Reference | None:
        """Resolve a reference by the foreign keys of the source; those of the target must not contradict it. Report it if a
        mere cast would turn an old id into a new one."""
        name = (rule.source if rule is not None else None) or column.name
        if source.column(name) is None:
            return None
        place = (*key, "columns", column.name)
        here, there = f"{source.name}.{name}", f"{target.name}.{column.name}"
        named = [each for each in self.named(source, part, name) if each.table in self._primary]
        certain = [each for each in named if each.certain]
        alias = plain_name("r", column.name)
        may_be = {*(self._primary[each.table] for each in named), *self.meant(target, column.name)}
        ids = {base_type(self.type_of_ids(parent)) for parent in may_be} or {"uuid"}
        if base_type(plain_column(column, self._target).type) not in ids:
            if rule is None and (parent := self._by_row_key(source, name)) is not None:
                ids_are = self.type_of_ids(parent)
                self._say(
                    place,
                    f"{there} is {column.type}, but {here} holds ids of {parent}, which are {ids_are}; make it a {ids_are},"
                    " or keep the old ids: ref = false",
                )
            return None
        meant = self.meant(target, column.name)
        if not meant:
            parents = list(dict.fromkeys(self._primary[each.table] for each in certain))
            if len(parents) > 1:
                self._say(
                    place, f'{here} names rows of {" and of ".join(parents)}; say which are meant: ref = "{parents[0]}"'
                )
            return reference(certain[0], parents[0], alias) if len(parents) == 1 else None
        for each in named:
            fed = sorted(parent for parent in meant if each.table in self._feeds(parent))
            if fed:
                usual = self._primary[each.table]
                return reference(each, usual if usual in fed else fed[0], alias)
        parents = sorted(meant)
        if certain:
            self._say(
                place,
                f"{there} refers to {' and '.join(parents)}, but {here} names rows of {self._primary[certain[0].table]}; say what"
                ' is meant with ref = "…" or up = "<SQL>", or correct the foreign key in the target\'s files',
            )
        else:
            known = [parent for parent in parents if self._feeds(parent)]
            how = f'ref = "{known[0]}"' if known else 'up = "<SQL>"'
            self._say(
                place,
                f"{there} refers to {' and '.join(parents)}, but no foreign key says what {here} names, and a cast would leave"
                f" old ids in it; write {how}, or ref = false if it already holds the new ids",
            )
        return None

    def type_of_ids(self, parent: str) -> str:
        """Return the type of a target table's ids."""
        rule, table = self._manifest.tables.get(parent), self._target.table(parent)
        column = table.column(ROW_ID) if table is not None else None
        return column.type if rule is not None and rule.ids == "keep" and column is not None else "uuid"

    def _by_row_key(self, source: Table, column: str) -> str | None:
        """Return the target table whose old ids a column holds by a foreign key of its own."""
        for fk in self._keys(source, column):
            parent = self._source.table(fk.ref_table or "")
            if len(fk.columns) == 1 and parent is not None and parent.row_key == fk.ref_columns:
                return self._primary.get(parent.name)
        return None

    def leading(
        self, source: Table, part: SourceRule, column: str, parent: str, feeding: Table, alias: str, key: Key
    ) -> Reference | None:
        """Resolve a column that the manifest declares a reference to a target table: by a foreign key to one of the source
        tables that feed it, otherwise by the row key of the first of these."""
        found = [
            named
            for named in self.named(source, part, column)
            if named.table in self._feeds(parent) and not _is_own(named, source)
        ]
        if len(found) > 1 and not found[0].certain:
            keys = " and ".join(f"({', '.join(named.columns)})" for named in found)
            self._say(
                key,
                f"{source.name}.{column} is part of two foreign keys to {parent}, {keys}; name a column with"
                ' from = "…" that only one of them has',
            )
            return None
        if found:
            return reference(found[0], parent, alias)
        by = feeding.row_key or ()
        if len(by) > 1:
            self._say(
                key,
                f"{source.name}.{column} cannot name a row of {parent} by itself: the key of {feeding.name} is"
                f" ({', '.join(by)}), and no foreign key of {source.name} leads there",
            )
            return None
        return Reference(alias, (column,), parent, by, column=column)

    def way(self, source: Table, part: SourceRule, column: str, alias: str) -> Reference | None:
        """Return the path along which foreign keys lead from a column: if possible, to the tenant or a table that has one."""
        ways = [
            reference(named, self._primary[named.table], alias)
            for named in self.named(source, part, column)
            if named.table in self._primary and not _is_own(named, source)
        ]
        return next((way for way in ways if self._has_tenant(way.parent)), ways[0] if ways else None)

    def _has_tenant(self, parent: str) -> bool:
        tenant, table = self._manifest.tenant, self._target.table(parent)
        return parent == tenant.table or (table is not None and table.column(tenant.column) is not None)

    # -- the source ----------------------------------------------------------------------------------------------------

    def named(self, source: Table, part: SourceRule, column: str) -> list[NamedReference]:
        """Return the references of a source column, the most certain first: by a foreign key of its own; as the only column
        of a key besides the tenant; with all other columns of a key; through the referenced column's own keys; as its own
        row's key."""
        found = [
            NamedReference(column, fk.columns, fk.ref_table or "", fk.ref_columns, certain=True)
            for fk in self._keys(source, column)
            if len(fk.columns) == 1
        ]
        several = [fk for fk in self._keys(source, column) if len(fk.columns) > 1]
        for fk in several:
            pairs = dict(zip(fk.columns, fk.ref_columns, strict=True))
            rest = [here for here in fk.columns if not self._is_tenant(source, part, here, fk)]
            if rest == [column]:
                found.append(self._by_id(fk, column, pairs[column]))
        found += [self._whole(fk, column) for fk in several if all(each.columns != fk.columns for each in found)]
        found += [
            NamedReference(column, (column,), table, (by,), certain=True)
            for table, by in self._beyond(several, column)
            if all(each.table != table for each in found)
        ]
        if source.row_key == (column,):
            found.append(NamedReference(column, (column,), source.name, (column,), certain=False))
        return list(dict.fromkeys(found))

    def _keys(self, source: Table, column: str) -> Iterator[Constraint]:
        """Return the foreign keys within the source schema that include the column."""
        for fk in source.foreign_keys:
            if column in fk.columns and fk.ref_schema == self._source.schema:
                yield fk

    def _by_id(self, fk: Constraint, column: str, by: str) -> NamedReference:
        """Resolve a key that includes the tenant: by the id alone if the id is unique by itself."""
        parent = self._source.table(fk.ref_table or "")
        if parent is not None and is_unique(parent, by):
            return NamedReference(column, (column,), parent.name, (by,), certain=True)
        return replace(self._whole(fk, column), certain=True)

    def _whole(self, fk: Constraint, column: str) -> NamedReference:
        """Return all columns of a key, in the order of its parent's row key if they form that key."""
        pairs = list(zip(fk.columns, fk.ref_columns, strict=True))
        parent = self._source.table(fk.ref_table or "")
        key = (parent.row_key if parent is not None else None) or ()
        if set(key) == set(fk.ref_columns):
            pairs.sort(key=lambda pair: key.index(pair[1]))
        return NamedReference(
            column,
            tuple(here for here, _ in pairs),
            fk.ref_table or "",
            tuple(there for _, there in pairs),
            certain=False,
        )

    def _is_tenant(self, source: Table, part: SourceRule, column: str, fk: Constraint) -> bool:
        """Whether a column of a foreign key only repeats the tenant of the referenced row."""
        tenant = self._manifest.tenant.table
        roots = self._feeds(tenant)
        ways = [[piece.strip() for piece in way.split("->")] for way in part.tenant]
        if any(way[0] == column and way[1:] == [tenant] for way in ways):
            return True
        there = dict(zip(fk.columns, fk.ref_columns, strict=True))[column]
        parent = self._source.table(fk.ref_table or "")
        return self._leads(source, column, roots) or (parent is not None and self._leads(parent, there, roots))

    def _leads(self, table: Table, column: str, roots: frozenset[str]) -> bool:
        return any(len(fk.columns) == 1 and fk.ref_table in roots for fk in self._keys(table, column))

    def _beyond(self, several: list[Constraint], column: str) -> Iterator[tuple[str, str]]:
        """Resolve the rows that a part of a composite key refers to in its own table: (order, line) of a line, order of an
        order."""
        queue = [(fk, column, 0) for fk in several]
        seen: set[tuple[str, str]] = set()
        while queue:
            fk, here, depth = queue.pop(0)
            there = dict(zip(fk.columns, fk.ref_columns, strict=True))[here]
            parent = self._source.table(fk.ref_table or "")
            if parent is None or (parent.name, there) in seen or depth > _DEEPEST:
                continue
            seen.add((parent.name, there))
            for other in self._keys(parent, there):
                if len(other.columns) == 1:
                    yield other.ref_table or "", other.ref_columns[0]
                else:
                    queue.append((other, there, depth + 1))

    # -- the target ----------------------------------------------------------------------------------------------------

    def meant(self, target: Table, column: str) -> frozenset[str]:
        """Return the target tables whose ids a target column holds: by its foreign keys within the target's schema, followed
        through columns that are references themselves."""
        found: set[str] = set()
        queue, seen = [(target.name, column)], set()
        while queue:
            name, here = queue.pop(0)
            table = self._target.table(name)
            if table is None or (name, here) in seen:
                continue
            seen.add((name, here))
            for fk in table.foreign_keys:
                if here not in fk.columns or fk.ref_schema != self._target.schema:
                    continue
                there = dict(zip(fk.columns, fk.ref_columns, strict=True))[here]
                if there == ROW_ID:
                    found.add(fk.ref_table or "")
                else:
                    queue.append((fk.ref_table or "", there))
        return frozenset(found)

    def _feeds(self, target: str) -> frozenset[str]:
        rule = self._manifest.tables.get(target)
        return frozenset(part.source for part in rule.parts().values()) if rule is not None else frozenset()


def is_default(rule: ColumnRule | None) -> bool:
    """Whether the manifest does not say how to make the column's value, except possibly its source column."""
    if rule is None:
        return True
    return rule.ref is None and rule.transform is None and rule.map is None and rule.up is None and rule.python is None


def reference(named: NamedReference, parent: str, alias: str) -> Reference:
    return Reference(alias, named.columns, parent, named.by, source=named.table, column=named.column)


def _is_own(named: NamedReference, source: Table) -> bool:
    """Return a reference to the row itself, by its key."""
    return named.table == source.name and named.by == named.columns == (named.column,)


def is_unique(table: Table, column: str) -> bool:
    """Whether a column has a unique index of its own."""
    return any(
        index.unique and index.columns == (column,) and index.predicate is None and index.valid
        for index in table.indexes
    )


__all__ = ["NamedReference", "References", "is_default", "is_unique", "reference"]
