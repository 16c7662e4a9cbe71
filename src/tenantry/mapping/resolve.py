"""Check a manifest against source and target, and resolve it into mappings. Pure: takes catalogs and returns a project.

All problems are collected and raised together, each with its position in the file.
"""

from __future__ import annotations

from collections.abc import Mapping as MappingType
from collections.abc import Sequence
from dataclasses import replace
from graphlib import CycleError

from tenantry.catalog import Catalog, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.manifest.load import manifest_digest
from tenantry.manifest.model import ColumnRule, Correct, LinkColumn, LinkFile, Manifest, SourceRule, TableRule
from tenantry.manifest.positions import Key
from tenantry.mapping.check_access import TargetChecks
from tenantry.mapping.check_accounts import check_in_step
from tenantry.mapping.check_consent import check_who_lets_in
from tenantry.mapping.check_constant import check_constant
from tenantry.mapping.check_downs import check_downs
from tenantry.mapping.check_transforms import check_transforms
from tenantry.mapping.client_columns import AUDIT_COLUMNS
from tenantry.mapping.columns import ColumnCompiler
from tenantry.mapping.order import sorter
from tenantry.mapping.project import (
    LEGACY_ID,
    ROW_ID,
    MappedColumn,
    Mapping,
    Project,
    Reference,
    orphan_alias,
    plain_name,
)
from tenantry.mapping.references import References, is_default, is_unique
from tenantry.mapping.tables_read import TablesRead, expressions_of, expressions_of_users
from tenantry.postgres import ident

__all__ = ["AUDIT_COLUMNS", "resolve"]


def resolve(manifest: Manifest, source: Catalog, target: Catalog) -> Project:
    """Return the project that a manifest describes.

    Raises:
        ManifestError: all mismatches, each with file, line, key and the closest valid name.
    """
    return _Resolver(manifest, source, target).project()


class _Resolver(TargetChecks):
    def __init__(self, manifest: Manifest, source: Catalog, target: Catalog) -> None:
        super().__init__(manifest, target)
        self.source = source
        # The target table that foreign keys to a source table lead to: the one without a part.
        self.primary: dict[str, str] = {}
        self.followed = TablesRead(manifest, source, target, self.say)
        self.references = References(manifest, source, target, self.primary, self.say)

    def project(self) -> Project:
        for key, message in check_transforms(self.manifest):
            self.say(key, message)
        self.check_ground()
        self.stop_at_problems()  # without tenant and membership hardly any message below could be right
        self._check_sections()
        self.check_shares()
        self._check_tables()
        self._check_parts()
        mappings: list[Mapping] = []
        for name, rule in self.manifest.tables.items():
            if self.target.table(name) is None:
                continue
            self.check_access(name, rule.access)
            self._check_merge(name, rule)
            for label, part in rule.parts().items():
                if self.source.table(part.source) is not None:
                    made = self._mapping(name, rule, label, part, _part_key(name, label))
                    if made is not None:
                        mappings.append(made)
        self.check_circles()
        self._check_ways(mappings)
        self.stop_at_problems()
        ordered = _in_order(mappings)
        by_target: dict[str, tuple[Mapping, ...]] = {}
        for mapping in ordered:
            by_target[mapping.target.name] = (*by_target.get(mapping.target.name, ()), mapping)
        return Project(
            self.manifest, manifest_digest(self.manifest), self.source, self.target, tuple(ordered), by_target
        )

    def _check_ways(self, mappings: Sequence[Mapping]) -> None:
        """Report paths to the tenant that lead back to the table itself."""
        leads: dict[str, set[str]] = {}
        for mapping in mappings:
            leads.setdefault(mapping.target.name, set()).update(path.parent for path in mapping.tenant_paths)
        try:
            sorter(leads).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            self.say(
                ("tables", circle[0], "tenant"),
                f"the path to the tenant is a cycle: {' -> '.join(reversed(circle))}; name a column that leads out of it"
                " (fill it in the source first if only some rows have it)",
            )

    # -- sections ----------------------------------------------------------------------------------------------------

    def _check_sections(self) -> None:
        manifest = self.manifest
        for name in manifest.source.secrets:
            table = self._source_table(name, ("source", "secrets", name))
            for place, column in enumerate(manifest.source.secrets[name]):
                if table is not None:
                    self.need_column(table, column, ("source", "secrets", name, place))
        for place, name in enumerate(manifest.source.ignore):
            self._source_table(name, ("source", "ignore", place))
        check_downs(manifest, self.source, self.target, self.say, self.expressions)
        for name, downs in manifest.source.down.items():
            for column, sql in downs.items():
                self.followed.of_target(sql, ("source", "down", name, column))
        if manifest.users is not None:
            table = self._source_table(manifest.users.source, ("users", "from"))
            if table is not None:
                self.need_column(table, manifest.users.email, ("users", "email"))
                for name in ("super", "verified", "deleted", "system", "metadata"):
                    expression = getattr(manifest.users, name)
                    if expression:
                        self.expressions.check(expression, {"s": table}, ("users", name))
                if manifest.users.password:
                    self.need_column(table, manifest.users.password, ("users", "password"))
                for place, way in enumerate(manifest.users.link):
                    if isinstance(way, LinkColumn):
                        self.need_column(table, way.column, ("users", "link", place, "column"))
                    elif isinstance(way, LinkFile) and not (manifest.folder / way.file).is_file():
                        self.say(("users", "link", place, "file"), f"there is no file {way.file} next to the manifest")
            profile = self.target_table(manifest.users.profile, ("users", "profile"))
            if profile is not None:
                self.need_column(profile, manifest.users.account, ("users", "account"))
        self._check_both()
        check_constant(self)
        check_in_step(self)
        check_who_lets_in(self)
        for place, query in enumerate(manifest.rules):
            if self.expressions.check_query(query.sql, ("rules", place, "sql")):
                self.followed.of_target(query.sql, ("rules", place, "sql"))

    def _check_both(self) -> None:
        """Check that [ids] both only names tables that have old ids."""
        for place, name in enumerate(self.manifest.ids.both):
            key: Key = ("ids", "both", place)
            rule = self.manifest.tables.get(name)
            if self.target_table(name, key) is not None and rule is not None and not rule.parts():
                self.say(key, f"{name} is a new table without a source: its rows have no old ids")
            if name in self.manifest.ids.both[:place]:
                self.say(key, f"{name} is named twice")

    def _check_tables(self) -> None:
        for name, rule in self.manifest.tables.items():
            self.target_table(name, ("tables", name))
            for label, part in rule.parts().items():
                self._source_table(part.source, (*_part_key(name, label), "from"))
        for table in self.target.tables:
            if table.name not in self.manifest.tables and table.partition_of is None:
                self.say(
                    ("tables",),
                    f"the target table {table.name} is not decided: add [tables.{table.name}] with its access",
                )
        read = {part.source for rule in self.manifest.tables.values() for part in rule.parts().values()}
        # The rows that own the rows of a read table are migrated with them.
        read |= {
            each.name
            for table in self.source.tables
            if table.name in read
            for each in table.below
            if each.schema == table.schema
        }
        for table in self.source.tables:
            if table.name not in read and table.name not in self.manifest.source.ignore and table.partition_of is None:
                self.say(
                    ("source",),
                    f"the source table {table.name} is not migrated: give it a target table, or name it in ignore",
                )

    def _check_parts(self) -> None:
        """Check that no two target tables share source table and part, from which ids are derived."""
        self._check_labels()
        taken: dict[tuple[str, str | None], tuple[str, str]] = {}
        for name, rule in self.manifest.tables.items():
            for label, part in rule.parts().items():
                key = _part_key(name, label)
                if part.part is None:
                    self.primary.setdefault(part.source, name)
                other = taken.setdefault((part.source, part.part), (name, label))
                if other == (name, label):
                    continue
                if part.part is None:
                    self.say(
                        (*key, "from"),
                        f"{part.source} is already migrated into {other[0]} ; give this one a part"
                        ' (part = "…"), which keeps its derived ids apart',
                    )
                else:
                    self.say(
                        (*key, "part"),
                        f"{part.source} has a part {part.part!r} already, in {other[0]}; take another word",
                    )

    def _check_labels(self) -> None:
        """Check names and labels: the journal knows a source of a target table by both names, and its rows by label and
        key."""
        known: dict[str, str] = {}
        spaces: dict[str, str] = {}
        for name, rule in sorted(self.manifest.tables.items(), key=lambda each: bool(each[1].sources)):
            for label, part in rule.parts().items():
                key = _part_key(name, label)
                if not label and rule.sources:
                    self.say(key, "a source needs a label, which is the prefix of the old ids of its rows")
                if other := known.get(_mapping_name(name, label)):
                    self.say(
                        key,
                        f"{_mapping_name(name, label)} would be the name of this source and of {other}; give it another label",
                    )
                known[_mapping_name(name, label)] = f"a source of {name}" if label else f"the target table {name}"
                for other in rule.sources:
                    if label.startswith(f"{other}:"):
                        self.say(
                            key, f"old ids of {label!r} could be those of {other!r}; give it a label without a colon"
                        )
                said = f"the part {part.part!r} of {part.source}" if part.part else f"the source table {part.source}"
                other = spaces.setdefault(_namespace(part), said)
                if other != said:
                    self.say(key, f"ids of {said} would be those of {other}: take another word for the part")

    def _check_merge(self, name: str, rule: TableRule) -> None:
        table = self.target.table(name)
        if rule.merge is None or table is None:
            return
        key = ("tables", name, "merge")
        if rule.sources:
            self.say(key, "merge works for a table with one from, not with [sources]; merge in the source first, or"
                     " carry the sources into tables of their own")  # fmt: skip
        for place, column in enumerate(rule.merge.by):
            self.need_column(table, column, (*key, "by", place))
        if self.expressions.check_order(rule.merge.keep, {"": table}, (*key, "keep")):
            self.followed.none(rule.merge.keep, (*key, "keep"))

    # -- names -------------------------------------------------------------------------------------------------------

    def _source_table(self, name: str, key: Key) -> Table | None:
        return self.table(self.source, name, key, "source")

    # -- one mapping -------------------------------------------------------------------------------------------------

    def _mapping(self, name: str, rule: TableRule, label: str, part: SourceRule, key: Key) -> Mapping | None:
        target, source = self.target.table(name), self.source.table(part.source)
        assert target is not None
        assert source is not None
        if source.row_key is None:
            self.say(
                (*key, "from"),
                f"{source.name} has neither a primary key nor a unique key over columns that are never null, so its rows"
                f" cannot be identified: ALTER TABLE {source.name} ADD PRIMARY KEY (…) on the source first",
            )
            return None
        tenant = self.manifest.tenant
        for needed, type_name in ((ROW_ID, "uuid"), (LEGACY_ID, "text")):
            column = target.column(needed)
            if column is None or (column.type != type_name and column.type_kind != "domain"):
                fault = f"has no column {needed}" if column is None else f"has {needed} {column.type}"
                self.say(key, f"the target table {name} {fault}; every table with a source needs {needed} {type_name}")
                return None
        is_root = name == tenant.table
        users = self.manifest.users
        profile = users is not None and users.profile == name
        scoped = target.column(tenant.column) is not None and not is_root
        references = self._references(target, source, part, key)
        before = len(self.problems)
        paths = self._tenant_paths(source, part, references, key) if scoped and tenant.constant is None else ()
        for which, ways in (("tenant", part.tenant), ("fallback", part.fallback)):
            if ways and not scoped:
                why = "is the tenant table" if is_root else f"has no column {tenant.column}"
                self.say((*key, which), f"{name} {why}, so its rows need no path to a tenant")
        if scoped and not paths and tenant.constant is None and len(self.problems) == before:
            self.say(
                (*key, "tenant"),
                f"how do rows of {source.name} reach their tenant? Name the columns that lead to it, the most certain"
                ' first: tenant = ["…"]',
            )
        for column_name in part.columns:
            self.need_column(target, column_name, (*key, "columns", column_name))
        if part.where:
            self.expressions.check(part.where, {"s": source}, (*key, "where"))
        namespace = _namespace(part)
        columns = []
        compiler = ColumnCompiler(
            manifest=self.manifest,
            source=source,
            target=target,
            root=self.target.table(tenant.table),
            scoped=scoped,
            source_catalog=self.source,
            target_catalog=self.target,
            expressions=self.expressions,
            say=self.say,
            parents=self._parent_of,
        )
        for target_column in target.columns:
            column_key = (*key, "columns", target_column.name)
            given = part.columns.get(target_column.name)
            if target_column.generated is not None:
                if given is not None:
                    self.say(column_key, f"{name}.{target_column.name} is a generated column: the server fills it")
                continue
            special = self._special(target_column, references, scoped=scoped, profile=profile)
            if special is not None:
                if given is not None and special.kind != "reference":
                    self.say(column_key, _fills_itself(special))
                if special.kind == "reference":
                    self._check_reference(target, target_column, references[target_column.name], given, column_key)
                if given is not None and given.orphan is not None:
                    special = self._with_orphan(special, given.orphan, source, column_key)
                columns.append(special)
                continue
            made = compiler.column(target_column, given or ColumnRule(), given=given is not None, key=column_key)
            if made is not None:
                columns.append(made)
        return Mapping(
            name=_mapping_name(name, label),
            target=target,
            source=source,
            namespace=namespace,
            key=source.row_key,
            scoped=scoped,
            is_root=is_root,
            tenant_paths=paths,
            references=tuple(ref for column, ref in references.items()),
            columns=tuple(columns),
            where=part.where,
            merge=rule.merge,
            legacy_prefix=f"{label}:" if label else "",
            secrets=tuple(self.manifest.source.secrets.get(source.name, ())),
            profile=profile,
            reads=self._reads(part, key, profile=profile),
        )

    def _reads(self, part: SourceRule, key: Key, *, profile: bool) -> tuple[str, ...]:
        """Return the source tables that a mapping's expressions read."""
        for name, rule in part.columns.items():
            if rule.down is not None:
                self.followed.of_target(rule.down, (*key, "columns", name, "down"))
        texts = [*expressions_of(part, key), *(expressions_of_users(self.manifest) if profile else ())]
        return tuple(dict.fromkeys(table for place, sql in texts for table in self.followed.tables(sql, place)))

    def _with_orphan(self, column: MappedColumn, orphan: str | Correct, source: Table, key: Key) -> MappedColumn:
        """Compile what replaces a reference to a row that does not exist."""
        if orphan == "quarantine":
            return column
        if isinstance(orphan, Correct):
            self.expressions.check(orphan.correct, {"s": source}, (*key, "orphan", "correct"))
            assert column.reference is not None
            value = f"coalesce({column.value}, {orphan_alias(column.reference)}.new)"
            return replace(column, orphan=orphan.correct, value=value, rule="assigned")
        if not column.nullable:
            self.say((*key, "orphan"), f"{column.name} may not be null; quarantine the row, or say what replaces it")
        return replace(column, orphan="null", rule="orphaned")

    def _check_reference(
        self, target: Table, column: CatalogColumn, ref: Reference, given: ColumnRule | None, key: Key
    ) -> None:
        """Check a reference's type and table: it becomes a uuid of the table that the target's foreign key refers to."""
        if column.type != "uuid" and column.type_kind != "domain":
            self.say(
                key, f"{target.name}.{column.name} is {column.type}, but holds ids of {ref.parent}, which are uuid"
            )
        meant = self.references.meant(target, column.name)
        if meant and ref.parent not in meant:
            self.say(
                (*key, "ref"),
                f"{target.name}.{column.name} refers to {' and '.join(sorted(meant))} by its foreign key,"
                f" not to {ref.parent}",
            )
        for name in ("missing", "null", "empty", "invalid"):
            if given is not None and name in given.model_fields_set:
                self.say(
                    (*key, name),
                    f"{name} has no effect: {column.name} holds references to {ref.parent}; take it out,"
                    ' or say how the value is made with up = "<SQL>"',
                )

    def _special(
        self, column: CatalogColumn, references: MappingType[str, Reference], *, scoped: bool, profile: bool
    ) -> MappedColumn | None:
        """Compile the columns that Tenantry fills by itself: row id, tenant, legacy id, account, references."""
        users = self.manifest.users
        kind: str | None = None
        if column.name == ROW_ID:
            kind = "id"
        elif column.name == LEGACY_ID:
            kind = "legacy"
        elif scoped and column.name == self.manifest.tenant.column:
            kind = "tenant"
        elif users is not None and column.name == users.account and profile and not scoped:
            kind = "account"
        if kind is not None:
            return MappedColumn(column.name, column.type, False, kind, None, "")  # type: ignore[arg-type]
        if column.name in references:
            ref = references[column.name]
            return MappedColumn(
                column.name,
                column.type,
                column.nullable,
                "reference",
                ref.named_by,
                f"{ref.alias}.new",
                present=" and ".join(f"s.{ident(name)} is not null" for name in ref.columns),
                reference=ref,
            )
        return None

    def _references(self, target: Table, source: Table, part: SourceRule, key: Key) -> dict[str, Reference]:
        """Return references by target column: from rules with `ref`, and from the foreign keys of source and target."""
        found: dict[str, Reference] = {}
        for column in target.columns:
            rule = part.columns.get(column.name)
            made = None
            if rule is not None and isinstance(rule.ref, str) and column.type.endswith("[]"):
                continue  # its elements are references; see ColumnCompiler
            if rule is not None and isinstance(rule.ref, str):
                made = self._stated(source, part, column, rule, key)
            elif column.name not in self._filled(target) and column.generated is None and is_default(rule):
                made = self.references.by_default(target, source, part, column, rule, key)
            if made is not None:
                found[column.name] = made
        return found

    def _filled(self, target: Table) -> set[str]:
        """Return the columns that Tenantry fills by itself."""
        filled = {ROW_ID, LEGACY_ID, self.manifest.tenant.column}
        users = self.manifest.users
        if users is not None and target.name == users.profile:
            filled.add(users.account)
        return filled

    def _stated(
        self, source: Table, part: SourceRule, column: CatalogColumn, rule: ColumnRule, key: Key
    ) -> Reference | None:
        """Resolve a reference that the manifest states."""
        assert isinstance(rule.ref, str)
        column_key = (*key, "columns", column.name, "ref")
        name = rule.source or column.name
        parent = self.target_table(rule.ref, column_key)
        if parent is None or self.need_column(source, name, (*key, "columns", column.name, "from")) is None:
            return None
        feeding = self._parent_of(rule.ref)
        if feeding is None:
            self.say(
                column_key, f"{rule.ref} is a new table without a source: nothing in {source.name} can refer to it"
            )
            return None
        return self.references.leading(source, part, name, rule.ref, feeding, plain_name("r", column.name), column_key)

    def _parent_of(self, target_table: str) -> Table | None:
        """Return the source table that feeds a target table; the first one if there are several."""
        rule = self.manifest.tables.get(target_table)
        if rule is None:
            return None
        return next((self.source.table(part.source) for part in rule.parts().values()), None)

    def _tenant_paths(
        self, source: Table, part: SourceRule, references: MappingType[str, Reference], key: Key
    ) -> tuple[Reference, ...]:
        paths: list[Reference] = []
        tenant = self.manifest.tenant
        stated: list[tuple[Key, str]] = [((*key, "tenant", place), text) for place, text in enumerate(part.tenant)]
        ways = stated or [((*key, "tenant"), text) for text in self._default_paths(source)]
        fallbacks: dict[Key, str] = {(*key, "fallback", place): text for place, text in enumerate(part.fallback)}
        for path_key, text in (*ways, *fallbacks.items()):
            kind = "e" if path_key in fallbacks else "t"
            backward = "<-" in text
            column, _, to = (piece.strip() for piece in text.partition("<-" if backward else "->"))
            if self.need_column(source, column, path_key) is None:
                continue
            known = next((ref for ref in references.values() if ref.named_by == column), None)
            path: Reference | None
            if backward:
                path = self._backward_path(column, to, path_key)
                if path is None:
                    continue
            elif to:
                if self.target_table(to, path_key) is None:
                    continue
                feeding = self._parent_of(to)
                if feeding is None:
                    self.say(path_key, f"{to} is a new table without a source")
                    continue
                path = self.references.leading(source, part, column, to, feeding, plain_name(kind, column), path_key)
                if path is None:
                    continue
                if known is not None and replace(known, alias=path.alias) == path:
                    path = known  # so that the manifest's rules for the reference apply to the path, too
            elif known is not None:
                path = known
            else:
                path = self.references.way(source, part, column, plain_name(kind, column))
                if path is None:
                    self.say(
                        path_key,
                        f'{source.name}.{column} has no foreign key; say where it leads: "{column} -> <target table>"',
                    )
                    continue
            if path.parent != tenant.table and not self._scoped(path.parent):
                if self.target.table(path.parent) is None:
                    continue  # reported where that table is named
                self.say(path_key, f"{path.parent} has no {tenant.column}, so {column} does not lead to a tenant")
                continue
            # A path that is also a reference must lead to the same tenant, whatever its name.
            paths.append(replace(path, fallback=True) if path_key in fallbacks and path != known else path)
        return tuple(paths)

    def _backward_path(self, column: str, there: str, key: Key) -> Reference | None:
        """Return the path from a row to the rows of another table that name it: `there` is `<target table>.<source column>`."""
        name, _, naming = (piece.strip() for piece in there.partition("."))
        rule = self.manifest.tables.get(name)
        if self.target_table(name, key) is None or rule is None:
            return None
        feeding = [table for part in rule.parts().values() if (table := self.source.table(part.source)) is not None]
        if not feeding:
            self.say(key, f"{name} is a new table without a source")
            return None
        found = next((table for table in feeding if table.column(naming) is not None), None)
        if found is None:
            self.need_column(feeding[0], naming, key)
            return None
        return Reference(
            plain_name("n", name, naming),
            (column,),
            name,
            (naming,),
            source=found.name,
            column=column,
            backward=True,
            several=not is_unique(found, naming),
        )

    def _default_paths(self, source: Table) -> Sequence[str]:
        """Return the default path: the foreign key to the tenant table itself, if there is one."""
        return [
            fk.columns[-1]
            for fk in source.foreign_keys
            if self.primary.get(fk.ref_table or "") == self.manifest.tenant.table
        ]

    def _scoped(self, name: str) -> bool:
        table = self.target.table(name)
        return table is not None and table.column(self.manifest.tenant.column) is not None


def _mapping_name(table: str, label: str) -> str:
    return f"{table}.{label}" if label else table


def _namespace(part: SourceRule) -> str:
    return part.source if part.part is None else f"{part.source}/{part.part}"


def _part_key(name: str, label: str) -> Key:
    """Return the position of a target table's source in the manifest."""
    return ("tables", name, "sources", label) if label else ("tables", name)


def _fills_itself(column: MappedColumn) -> str:
    by = {
        "id": "Tenantry derives row ids from the old ones",
        "legacy": "Tenantry keeps the old id here",
        "tenant": 'the tenant is found along tenant = ["…"]',
        "account": "Tenantry links accounts by [users]",
    }
    return f"{by[column.kind]}; take this rule out"


def _in_order(mappings: Sequence[Mapping]) -> list[Mapping]:
    """Sort parents first. References inside a cycle (also within one table) are marked as late."""
    by_target: dict[str, list[Mapping]] = {}
    for mapping in mappings:
        by_target.setdefault(mapping.target.name, []).append(mapping)
    edges = {name: {parent for m in group for parent in m.parents()} for name, group in by_target.items()}
    late: set[tuple[str, str]] = set()

    def tenants_from(name: str) -> set[str]:
        """Return where the tenants of late parents are looked up if they are computed from the source."""
        found: set[str] = set()
        stack = [parent for child, parent in late if child == name]
        while stack:
            parent = stack.pop()
            for path in (path for mapping in by_target.get(parent, ()) for path in mapping.tenant_paths):
                if (parent, path.parent) in late:
                    stack.append(path.parent)
                else:
                    found.add(path.parent)
        return found

    while True:
        graph = {
            name: {
                parent for parent in parents | tenants_from(name) if (name, parent) not in late and parent in by_target
            }
            for name, parents in edges.items()
        }
        try:
            order = list(sorter(graph).static_order())
            break
        except CycleError as error:
            cycle: list[str] = error.args[1]  # each is a parent of the next
            late.add((cycle[1], cycle[0]) if len(cycle) > 1 else (cycle[0], cycle[0]))
    result = []
    for name in order:
        for mapping in by_target[name]:
            marks = {
                ref.alias: replace(ref, late=True)
                for ref in (*mapping.references, *mapping.tenant_paths)
                if (name, ref.parent) in late
            }
            if marks:
                mapping = replace(  # noqa: PLW2901
                    mapping,
                    tenants_from=tuple(sorted(tenants_from(name))),
                    references=tuple(marks.get(ref.alias, ref) for ref in mapping.references),
                    tenant_paths=tuple(marks.get(ref.alias, ref) for ref in mapping.tenant_paths),
                    columns=tuple(
                        replace(column, reference=marks.get(column.reference.alias, column.reference))
                        if column.reference is not None
                        else column
                        for column in mapping.columns
                    ),
                )
            result.append(mapping)
    return result
