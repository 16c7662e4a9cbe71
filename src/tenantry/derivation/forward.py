"""Compiles the statement that derives target rows from source rows, in three readings of the same mapping.

- COPY fills the target. It reads parents from the target (a hash join with their old and new ids).
- VERIFY computes everything again from the source, parents included; it uses only the journal's lists of merged and linked
  rows. Its result is compared with the target.
- PREVIEW needs neither journal nor target: it reports, for analysis, what a copy would quarantine.

Every reading works on a chunk: a condition over the source's key replaces the token RANGE.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from tenantry.derivation.derived import RANGE, Derivation, Reading
from tenantry.derivation.documents import known_ids
from tenantry.derivation.ids import constant_tenant_sql, id_sql, new_id_sql
from tenantry.derivation.judged_select import JudgedSelect
from tenantry.derivation.keys import plain_text, reference_text, references_equal
from tenantry.derivation.parents import ParentPairs
from tenantry.derivation.reverse.moved import standing
from tenantry.derivation.rows import python_table
from tenantry.derivation.tenant_values import known_tenants
from tenantry.journal.names import JOURNAL
from tenantry.mapping.legacy_ids import legacy_of
from tenantry.mapping.project import ROW_ID, MappedColumn, Mapping, Reference, orphan_alias, plain_name
from tenantry.postgres import ident, idents, literal

_TENANTS = "tenants"


class Deriver(ParentPairs):
    """Compiles the derivations of one project."""

    def derive(self, mapping: Mapping, *, rows: str | None = None) -> Derivation:
        """Compile the derivation of a mapping's rows.

        Args:
            rows: a relation (a sub-select in parentheses) that replaces the source table, to derive single rows.
        """
        self._common = {}
        select = self._select(mapping, rows or self._relation(mapping), RANGE)
        return Derivation(tuple(self._common.items()), select, once=self.reading is not Reading.VERIFY)

    # -- the select --------------------------------------------------------------------------------------------------

    def _select(self, mapping: Mapping, relation: str, condition: str) -> str:
        """Build up to three levels: values and flags; fallbacks for invalid values, if any; problems."""
        ours, made = mapping.ours, JudgedSelect(mapping)
        made.inner.append((ours("key"), self._key(mapping)))
        if mapping.scoped:
            self._tenant_flags(made)
        for column in mapping.columns:
            made.inner.append((column.name, self._value(column, mapping)))
            if column.kind == "reference":
                self._reference_column(column, made)
            elif column.kind not in ("id", "tenant", "legacy", "account"):
                self._value_flags(column, made)
        if self.reading is Reading.VERIFY:
            body = self._level(made.inner, mapping, relation, condition)
            columns = made.with_fallbacks() if made.fallbacks else idents(made.names)
            return f"select {columns}, {ours('key')}\n  from (\n{body}\n  ) d"
        self._check_flags(made)
        self._left_flags(made)
        if made.packed:
            made.inner.append((ours("flags"), f"array[{', '.join(made.packed)}]::boolean[]"))
        made.inner.append((ours("row"), f"(s.*)::{ident(self._source, mapping.source.name)}"))
        body = self._level(made.inner, mapping, relation, condition)
        if made.fallbacks:
            rest = [ident(label) for label, _ in made.inner if label not in made.names]
            rest += [f"{condition} as {label}" for label, condition in made.fallen.items()]
            body = f"select {made.with_fallbacks()}, {', '.join(rest)}\n  from (\n{body}\n  ) e offset 0"
        return made.judge(body, self.reading)

    def _tenant_flags(self, made: JudgedSelect) -> None:
        mapping = made.mapping
        made.inner.append((mapping.ours("tenant"), "x.tenant"))
        for path in mapping.tenant_paths:
            shared = any(
                path.alias == ref.alias or (path.onward and path.columns == ref.columns) for ref in mapping.references
            )
            if not shared:  # otherwise its column reports a broken reference
                unless = self._found_before(mapping, path) if path.fallback else ""
                self._reference_flags(made, path, path.columns[0], unless)
        if mapping.tenant_paths:
            made.problems.append(("tenant_missing", self._no_tenant(made)))
        conflict = self._conflict(mapping)
        if conflict:
            made.problems.append(("tenant_conflict", made.flag(conflict)))

    def _check_flags(self, made: JudgedSelect) -> None:
        """Flag rows that break a check of the target; a column outside the mapping has its default."""
        target = made.mapping.target
        made_by_python = {column.name for column in made.mapping.python_columns}
        for check in target.checks:
            if set(check.columns) & made_by_python:
                continue
            for left_out in sorted(set(check.columns) - {label for label, _ in made.inner}):
                by_default = target.column(left_out)
                assert by_default is not None
                made.inner.append((left_out, f"({by_default.default or 'null'})::{by_default.type}"))
            made.problems.append((f"rule_broken:{check.name}", f"({check.expression}) is false"))

    def _left_flags(self, made: JudgedSelect) -> None:
        """Flag rows that name no row of a table that is left where it is."""
        mapping, left = made.mapping, self.project.manifest.source.left
        for fk in mapping.target.foreign_keys:
            if fk.ref_schema != self._source or fk.ref_table not in left or not set(fk.columns) <= set(made.names):
                continue
            given = " and ".join(f"{ident(name)} is not null" for name in fk.columns)
            same = " and ".join(
                f"named_row.{ident(there)} = z.{ident(here)}"
                for here, there in zip(fk.columns, fk.ref_columns, strict=True)
            )
            missing = (
                f"({given} and not exists (select from (select {idents(fk.columns)}) z"
                f" join {ident(self._source, fk.ref_table)} named_row on {same}))"
            )
            made.problems.append((f"reference_missing:{fk.columns[-1]}", missing))

    def _reference_column(self, column: MappedColumn, made: JudgedSelect) -> None:
        assert column.reference is not None
        if self.reading is Reading.VERIFY:
            return
        if column.orphan is not None:
            orphaned = self._orphaned(made.mapping, column.reference)
            made.changes.append((column, made.flag(orphaned)))
            if not column.nullable:
                missing = made.flag(f"{orphaned} and ({column.value}) is null")
                made.problems.append((f"reference_missing:{column.name}", missing))
        if column.fallback is None:
            unless = self._orphaned(made.mapping, column.reference) if column.orphan is not None else ""
            self._reference_flags(made, column.reference, column.name, unless)
        if not column.nullable:
            made.problems.append((f"value_missing:{column.name}", made.flag(f"({column.present}) is not true")))

    def _value_flags(self, column: MappedColumn, made: JudgedSelect) -> None:
        mapping, quoted = made.mapping, ident(column.name)
        if column.kind == "python" and self.reading is Reading.PREVIEW:
            return
        if self.reading is Reading.VERIFY and column.fallback is None:
            return
        when = f" and {made.tenant_known}" if column.zoned else ""
        if column.missing:
            # Missing values were set to null, so only rows with a null are checked again.
            later = _of_row(column.missing, mapping)
            condition = made.flag(column.missing) if later is None else f"({quoted} is null and ({later}))"
            made.problems.append((f"value_missing:{column.name}", condition))
        if column.present:
            later = None if column.fallback is not None else _of_row(column.present, mapping)
            if later is not None:
                made.problems.append((f"value_invalid:{column.name}", f"({quoted} is null and {later}{when})"))
            elif column.fallback is None:
                invalid = f"({made.flag(column.present)} and {quoted} is null{when})"
                made.problems.append((f"value_invalid:{column.name}", invalid))
            else:
                present, stand_in = made.flag(column.present), made.flag(column.fallback)
                made.fallbacks[column.name] = (
                    f"case when {present} and {quoted} is null then {stand_in} else {quoted} end"
                )
                # Flag the fallback before it is applied; afterwards it looks like a valid value.
                fell = mapping.ours(f"fell_{len(made.fallbacks)}")
                made.fallen[fell] = f"({present} and {quoted} is null)"
                made.changes.append((column, fell))
        if column.noted:
            made.changes.append((column, made.flag(column.noted)))
        if column.kind == "json_ids" and column.drop_stale and self.reading is Reading.COPY:
            made.changes.append((column, made.flag(self._stale(column))))
        if column.stale == "quarantine" and self.reading is not Reading.VERIFY:
            made.problems.append((f"reference_missing:{column.name}", made.flag(self._stale(column))))

    def _value(self, column: MappedColumn, mapping: Mapping) -> str:
        match column.kind:
            case "id":
                return self._id(mapping)
            case "tenant":
                return "x.tenant"
            case "legacy":
                return legacy_of(mapping, self._key(mapping))
            case "account":
                derived = id_sql(
                    self.project.manifest.ids.namespace, f"{mapping.namespace}/account", self._key(mapping)
                )
                if self.reading is Reading.PREVIEW:
                    return derived
                # Without a recorded decision, as for a user who signed up just now, the account is the one that would be
                # created.
                return f"case when a.source_key is null then {derived} else a.account_id end"
            case "python" if self.reading is not Reading.COPY:
                return f"null::{column.type}"
            case "json_ids" if self.reading is not Reading.PREVIEW:
                paths = ", ".join(literal(each.path) for each in column.ids)
                maps = ", ".join(f"{self._json_alias(column, i)}.ids" for i in range(len(column.ids)))
                assert column.shape is not None
                drop = "true" if column.drop_stale or column.shape.only_new_ids else "false"
                made = f"{JOURNAL}.json_ids({column.value}, array[{paths}]::text[], array[{maps}]::jsonb[], {drop})"
                return column.shape.value(made, column.value)
            case "json_ids":
                # What it holds is not asked here, only whether it can be read.
                assert column.shape is not None
                return column.shape.unjudged(column.value)
        return column.value

    # -- references and tenants --------------------------------------------------------------------------------------

    def _reference_flags(self, made: JudgedSelect, ref: Reference, label: str, unless: str = "") -> None:
        mapping = made.mapping
        given = self._given(mapping, ref) + (f" and not ({unless})" if unless else "")
        if self.reading is Reading.PREVIEW:
            made.problems.append((f"reference_missing:{label}", made.flag(f"{given} and {ref.alias}.new is null")))
            made.problems.append((f"parent_quarantined:{label}", made.flag(f"{given} and {ref.alias}.bad")))
            return
        # A parent that exists only in another tenant is a tenant conflict; in a pilot run the reference is left empty for now.
        beyond = self._beyond(mapping, ref)
        missing = made.flag(f"{given} and {ref.alias}.new is null" + (f" and not {beyond}" if beyond else ""))
        made.problems.append((f"reference_missing:{label}", missing))
        if ref.by_value:
            return
        feeding = self.project.feeding(ref)[0]
        if ref.by == feeding.key:
            row = f"({mapping.ours('row')})"
            key = reference_text(self.project, mapping, ref, row)
            plain = plain_text(mapping.source, row, ref.columns)
            key = key if key == plain else f"coalesce({key}, {plain})"
            made.parents.append(
                (missing, f"jsonb_build_object('table', {literal(feeding.source.name)}, 'key', {key},"
                 f" 'mapping', {literal(feeding.name)})")
            )  # fmt: skip

    def _given(self, mapping: Mapping, ref: Reference) -> str:
        """Return a condition: the source row names something by a reference, or is named by something."""
        if ref.by_value:
            return f"{self._named(mapping, ref)} is not null"
        if not ref.backward:
            holds = [ref.holds("s")] if ref.only else []
            return " and ".join([*holds, *(f"s.{ident(name)} is not null" for name in ref.columns)])
        parent = self.project.feeding(ref)[0].source
        same = references_equal(mapping.source, ref.columns, parent, ref.by, "s", "z")
        return f"exists (select from {ident(self._source, parent.name)} z where {same})"

    @staticmethod
    def _found_before(mapping: Mapping, fallback: Reference) -> str:
        """Return a condition: a path before a fallback leads to the tenant; empty if it is the first."""
        before = mapping.tenant_paths[: mapping.tenant_paths.index(fallback)]
        return " or ".join(f"{path.alias}.tenant is not null" for path in before)

    def _orphaned(self, mapping: Mapping, ref: Reference) -> str:
        """Return a condition: the reference names a row that does not exist in the source. A row in quarantine exists."""
        missing = [self._given(mapping, ref), f"{ref.alias}.new is null"]
        for table in {parent.source.name: parent.source for parent in self.project.feeding(ref)}.values():
            same = references_equal(mapping.source, ref.columns, table, ref.by, "s", "z")
            missing.append(f"not exists (select from {ident(self._source, table.name)} z where {same})")
        return " and ".join(missing)

    def _beyond(self, mapping: Mapping, ref: Reference) -> str:
        """Return a condition for pilot runs: a reference leads to a tenant that was not chosen; empty if it cannot or must
        not."""
        if self._inside is None or self._inside.kind(ref.parent) != "tenant":
            return ""
        column = next((column for column in mapping.columns if column.reference == ref), None)
        if not mapping.scoped and column is not None and not column.nullable:
            return ""
        return self._inside.beyond(mapping, ref)

    def _no_tenant(self, made: JudgedSelect) -> str:
        """Return a condition: no path leads to a tenant, and no broken reference is the cause (that is a problem of its
        own)."""
        mapping = made.mapping
        if any(path.columns for path in mapping.tenant_paths):
            empty = {
                column.reference.alias
                for column in mapping.columns
                if column.reference is not None and column.orphan is not None
            }
            broken = " or ".join(
                f"({self._given(mapping, path)} and {path.alias}.new is null"
                + (f" and not ({self._orphaned(mapping, path)}))" if path.alias in empty else ")")
                for path in mapping.tenant_paths
            )
            return made.flag(f"x.tenant is null and ({broken}) is not true")
        return f"{mapping.ours('tenant')} is null"

    def _conflict(self, mapping: Mapping) -> str:
        """Return a condition: paths, or references to tenant tables, lead to different tenants."""
        if not mapping.tenant_paths:
            return ""  # there is but one tenant
        aliases = {
            ref.alias: ref
            for ref in (*(path for path in mapping.tenant_paths if not path.fallback), *mapping.references)
            if ref.parent == self._tenant.table or self.project.scoped(ref.parent) or ref.onward is not None
        }
        paths = {path.alias for path in mapping.tenant_paths}
        # The substitute for a missing row must belong to the same tenant, too.
        others = [
            orphan_alias(column.reference)
            for column in mapping.columns
            if column.orphan not in (None, "null")
            and column.reference is not None
            and column.reference.alias in aliases
        ]
        torn = [f"{path.alias}.torn" for path in mapping.tenant_paths if path.torn]
        if len(aliases) == 1 and set(aliases) <= paths and not others:
            return torn[0] if torn else ""
        conflicts = [*torn, *(f"{alias}.tenant <> x.tenant" for alias in (*aliases, *others))]
        conflicts += [
            f"({alias}.new is null and {beyond})"
            for alias, ref in aliases.items()
            if (beyond := self._beyond(mapping, ref))
        ]
        return " or ".join(conflicts)

    def _level(self, columns: Iterable[tuple[str, str]], mapping: Mapping, relation: str, condition: str) -> str:
        selected = ",\n         ".join(f"{value} as {ident(name)}" for name, value in columns)
        where = [condition, *([f"({mapping.where})"] if mapping.where else [])]
        if self.reading is Reading.VERIFY:
            where.append(self._carried(mapping))
        if self._inside is not None and (inside := self._inside.condition(mapping)) is not None:
            where.append(inside)
        return (
            f"  select {selected}\n    from {relation} s\n"
            + "".join(f"    {join}\n" for join in self._joins(mapping))
            + f"   where {' and '.join(where)}"
            # An optimization fence: without it values would be computed again for every condition that reads them.
            + ("" if self.reading is Reading.VERIFY else "\n  offset 0")
        )

    def _carried(self, mapping: Mapping) -> str:
        """Return a condition: the journal lists the row neither as quarantined nor as merged."""
        key = self._key(mapping)
        return (
            f"not exists (select from {JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)} and q.source_key = {key}"
            f" and q.state = 'open')\n     and not exists (select from {JOURNAL}.merged m where m.mapping ="
            f" {literal(mapping.name)} and m.source_key = {key})"
        )

    def _joins(self, mapping: Mapping) -> Iterable[str]:
        references = {ref.alias: ref for ref in (*mapping.references, *mapping.tenant_paths)}
        for alias, ref in references.items():
            # Rows without a tenant can refer to rows of tenants that were not copied.
            inside = not mapping.scoped and self._inside is not None and self._inside.kind(ref.parent) == "tenant"
            yield f"left join {self._pairs(ref, inside=inside)} {alias} on {alias}.old = {self._named(mapping, ref)}"
        for column in mapping.columns:
            if column.orphan not in (None, "null") and column.reference is not None:
                ref = references.get(column.reference.alias, column.reference)
                stand_in = f"case when {self._orphaned(mapping, ref)} then ({column.orphan})::text end"
                yield f"left join {self._pairs(ref)} {orphan_alias(ref)} on {orphan_alias(ref)}.old = {stand_in}"
        if mapping.scoped:
            yield f"cross join lateral (select {self._tenant_by_ways(mapping)} as tenant) x"
            if any(column.zoned for column in mapping.columns):
                yield f"left join {self._tenants()} tenant on tenant.{ident(ROW_ID)} = x.tenant"
        elif mapping.is_root and any(column.zoned for column in mapping.columns):
            raise AssertionError("a root column cannot depend on the tenant's own row")
        if self.reading is not Reading.PREVIEW and any(column.kind == "account" for column in mapping.columns):
            yield f"left join {JOURNAL}.account_link a on a.source_key = {self._key(mapping)}"
        for column in mapping.columns:
            if self.reading is not Reading.PREVIEW or column.stale == "quarantine":
                for position, each in enumerate(column.ids):
                    yield self._json_lateral(mapping, column, position, each.jsonpath, each.parent)
        if self.reading is Reading.COPY and mapping.python_columns:
            yield f"left join {python_table(mapping)} py on py.{mapping.ours('key')} = {self._key(mapping)}"

    def _tenants(self) -> str:
        """Return the rows of the tenant table: read from the target, or derived from the source."""
        if self.project.constant:
            return f"({self.tenants_of_source()})"
        if self.reading is Reading.COPY:
            return ident(self._target, self.project.root_table.name)
        if _TENANTS not in self._common:
            self._common[_TENANTS] = ""
            body = self.tenants_of_source()
            del self._common[_TENANTS]
            self._common[_TENANTS] = body
        return _TENANTS

    def tenants_of_source(self) -> str:
        """Return a select of the tenants' rows as the source, or a constant or a value of the manifest's, gives them."""
        return f"select d.*{self.unfed()} from ({self._fed_tenants()}) d"

    def _fed_tenants(self) -> str:
        constant, values = self.project.manifest.tenant.constant, self.project.manifest.tenant.values
        if values is not None:
            known = self._values_of_source() if self.reading is Reading.PREVIEW else known_tenants(self.project)
            return f"select v.tenant as {ident(ROW_ID)}, v.value as {ident(values.column)} from {known} v"
        if constant is None:
            root = self.project.root
            return self._select(root, self._relation(root), "true")
        held = {column.name: column for column in self.project.root_table.columns}
        stated = {name: literal(str(value)) for name, value in constant.items() if name != ROW_ID}
        given = [f"{value}::{held[name].type} as {ident(name)}" for name, value in stated.items()]
        return f"select {', '.join([f'{constant_tenant_sql(self.project.manifest)} as {ident(ROW_ID)}', *given])}"

    def unfed(self) -> str:
        """Return the columns of the tenant's row that no source column fills, for a derived row `d`: from the target's row if
        it exists, otherwise from the column's default."""
        root = self.project.root_table
        constant, values = self.project.manifest.tenant.constant, self.project.manifest.tenant.values
        if self.project.tenants_made:
            fed = {ROW_ID, *(constant or ()), *([values.column] if values is not None else ())}
        else:
            fed = {each.name for each in self.project.root.columns}
        found = []
        for column in root.columns:
            if column.name in fed:
                continue
            if self.reading is Reading.PREVIEW:
                default = column.default if column.generated is None and column.identity is None else None
                value = f"({default or 'null'})::{column.type}"
            else:
                value = (
                    f"(select t.{ident(column.name)} from {ident(self._target, root.name)} t"
                    f" where t.{ident(ROW_ID)} = d.{ident(ROW_ID)})"
                )
            found.append(f", {value} as {ident(column.name)}")
        return "".join(found)

    # -- ids ---------------------------------------------------------------------------------------------------------

    def _id(self, mapping: Mapping) -> str:
        return new_id_sql(self.project.manifest, mapping, self._key(mapping))

    def _json_alias(self, column: MappedColumn, position: int) -> str:
        return plain_name("j", column.name, str(position))

    def _json_lateral(self, mapping: Mapping, column: MappedColumn, position: int, path: str, parent: str) -> str:
        """Return SQL: one jsonb object of old to new ids, limited to ids that the document may refer to."""
        tenant = self._id(mapping) if mapping.is_root else "x.tenant" if mapping.scoped else ""
        return known_ids(
            self.project,
            column.value,
            path,
            parent,
            tenant,
            self._json_alias(column, position),
            None if self.reading is Reading.PREVIEW else lambda feeding, key: standing(self.project, feeding, key),
        )

    def _stale(self, column: MappedColumn) -> str:
        """Return a condition: a document refers to an id that does not exist."""
        return " or ".join(
            f"exists (select from jsonb_path_query({column.value}, {literal(each.jsonpath)}::jsonpath) v (node)"
            f" where jsonb_typeof(v.node) <> 'null' and ({self._json_alias(column, i)}.ids ? (v.node #>> '{{}}')) is not true)"
            for i, each in enumerate(column.ids)
        )


_NAMES = re.compile(r"""'(?:[^']|'')*'|"(?:[^"]|"")*"|\b([a-z_][a-z0-9_]*)\.""")


def _of_row(condition: str, mapping: Mapping) -> str | None:
    """Rewrite a condition over the source row `s` for a level that only has the row as a record; None if it refers to
    anything else."""
    aliases = {found[1] for found in _NAMES.finditer(condition) if found[1]}
    if aliases != {"s"}:
        return None
    return _NAMES.sub(lambda found: f"({mapping.ours('row')})." if found[1] else found[0], condition)
