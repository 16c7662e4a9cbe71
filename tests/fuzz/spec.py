"""What a case is made of: tables of the source, what becomes of each in the target, and the SQL and TOML that say so."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Literal

from tests.fuzz.kinds import Kind

KeyForm = Literal["text", "uuid", "integer", "bigint", "serial", "identity", "always", "natural", "pair"]
NUMBERED: frozenset[KeyForm] = frozenset({"integer", "bigint", "serial", "identity", "always"})
SELF_NUMBERED: frozenset[KeyForm] = frozenset({"serial", "identity", "always"})
"""Keys that the server gives."""

_CONSTRAINTS = (
    "key",
    "s",
    "t",
    "%s",
    "100%",
    "it's",
    'say "so"',
    "a b",
    "select",
    "capture",
    "u0",
    "Größe",
    "x" * 60,
    "%(name)s",
    "rules",
)
"""Names of foreign keys."""

Row = dict[str, "str | None"]
"""A row as the texts that PostgreSQL prints of its columns."""

Snapshot = dict[str, list[Row]]
"""The rows of each table."""


def quoted(*names: str) -> str:
    return ".".join('"' + name.replace('"', '""') + '"' for name in names)


def text_of(value: str | None) -> str:
    """A literal of no type yet."""
    if value is None:
        return "null"
    escaped = value.replace("'", "''")
    return f"E'{escaped.replace(chr(92), chr(92) * 2)}'" if "\\" in value else f"'{escaped}'"


@dataclass(frozen=True)
class Column:
    """A plain column. `target` is its name there, None where it is not carried over."""

    name: str
    kind: Kind
    target: str | None
    nullable: bool = True
    needed: bool = False
    """The target's column may not be null."""


@dataclass(frozen=True)
class Ref:
    """Columns that name a row of another table. The last one is the child's own, the others it may share with other references.

    `target` is the uuid column there, None for a way to the tenant that nothing else is made of.
    """

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    target: str | None
    nullable: bool = True
    foreign_key: bool = True
    orphan: Literal["quarantine", "null"] = "quarantine"
    on_delete: str = ""
    on_update: str = ""
    deferrable: bool = False
    told: bool = True
    """Under another name the manifest says what it names; otherwise the foreign key does."""

    @property
    def own(self) -> str:
        return self.columns[-1]


@dataclass(frozen=True)
class Table:
    """A table of the source and the one that it becomes."""

    name: str
    target: str
    key: tuple[str, ...]
    form: KeyForm
    key_types: tuple[str, ...]
    columns: tuple[Column, ...] = ()
    refs: tuple[Ref, ...] = ()
    ways: tuple[str, ...] = ()
    """Columns that lead to the tenant, the surest first; empty for tables without a tenant."""
    uniques: tuple[tuple[str, ...], ...] = ()
    """Unique in the source and, within a tenant, in the target."""
    unique_deferrable: bool = False
    partitions: int = 0
    """Partitions by hash of the key."""
    child: str = ""
    """A table that inherits from it and holds some of its rows."""
    rows: int = 6
    role: str = ""
    """A column that holds a role, of the table of memberships."""
    more: tuple[str, ...] = ()
    """SQL behind the table: triggers, rules, policies, indexes."""
    joint: tuple[str, str] | None = None
    """Unique in the source alone: the column of its tenant and its key, for references that share the former."""
    forced: bool = False
    """Row-level security hides rows of it from its owner, too."""

    def column(self, name: str) -> Column:
        return next(column for column in self.columns if column.name == name)

    def ref(self, own: str) -> Ref:
        return next(ref for ref in self.refs if ref.own == own)

    def way_refs(self) -> list[Ref]:
        return [self.ref(way) for way in self.ways]

    def written(self) -> list[str]:
        """Columns of the source that an application may write."""
        filled = {column.name for column in self.columns if column.kind.server}
        return [name for name in self.names() if name not in filled]

    def names(self) -> list[str]:
        """All columns of the source, in their order."""
        own = [*self.key, *(name for ref in self.refs for name in ref.columns)]
        return list(dict.fromkeys([*own, *(column.name for column in self.columns)]))

    def target_names(self, tenant: str) -> list[str]:
        """All columns of the target, in their order."""
        return [
            *([tenant] if self.ways else []),
            "id",
            "legacy_id",
            *(ref.target for ref in self.refs if ref.target is not None),
            *(column.target for column in self.columns if column.target is not None),
        ]

    def key_text(self, row: Row) -> str:
        """The old id of a row, as docs/reference/ids.md has it."""
        parts = [row[name] for name in self.key]
        return str(parts[0]) if len(parts) == 1 else json.dumps(parts, ensure_ascii=False)


@dataclass(frozen=True)
class Case:
    """One application and its manifest."""

    seed: int
    source: str
    target: str
    namespace: str
    tenant: str
    """The tenant column's name."""
    root: str
    people: str
    members: str
    users: bool
    """People become accounts."""
    email: str
    """The column of people that has their address."""
    account: str
    tables: tuple[Table, ...]
    features: tuple[str, ...] = ()

    def table(self, name: str) -> Table:
        return next(table for table in self.tables if table.name == name)

    def by_target(self, name: str) -> Table:
        return next(table for table in self.tables if table.target == name)

    # -- SQL ---------------------------------------------------------------------------------------------------------

    def source_sql(self) -> str:
        lines = [] if self.source == "public" else [f"create schema {quoted(self.source)};"]
        lines.append(f"set search_path = {quoted(self.source)};")
        lines += self._types(self.source)
        for table in self.tables:
            lines += self._source_table(table)
        for table in self.tables:
            lines += [self._foreign_key(table, ref) for ref in table.refs if ref.foreign_key]
        for table in self.tables:
            lines += table.more
        return "\n".join(lines) + "\n"

    def _types(self, schema: str) -> list[str]:
        kinds = {column.kind.name: column.kind for table in self.tables for column in table.columns}
        made = []
        for name, kind in sorted(kinds.items()):
            if kind.enum and (schema == self.target or "{enum}" in kind.source):
                made.append(
                    f"create type {quoted(schema, type_name(name))} as enum ({', '.join(map(text_of, kind.enum))});"
                )
            if kind.domain:
                made.append(f"create domain {quoted(schema, type_name(name))} as {kind.domain};")
        return made

    def type_of(self, kind: Kind, schema: str, template: str) -> str:
        own = quoted(schema, type_name(kind.name))
        return template.replace("{enum}", own).replace("{domain}", own)

    def ref_types(self, ref: Ref) -> tuple[str, ...]:
        """What the columns of a reference are: the same as what they name."""
        parent = self.table(ref.parent)
        return tuple(self.source_type(parent, name) for name in ref.parent_columns)

    def source_type(self, table: Table, name: str) -> str:
        if name in table.key and not any(name in ref.columns for ref in table.refs):
            return table.key_types[table.key.index(name)]
        for ref in table.refs:
            if name in ref.columns:
                return self.ref_types(ref)[ref.columns.index(name)]
        kind = table.column(name).kind
        return self.type_of(kind, self.source, kind.source)

    def _source_table(self, table: Table) -> list[str]:
        parts = []
        for name in table.names():
            kind = self.source_type(table, name)
            if name in table.key:
                made = {
                    "serial": f"{quoted(name)} serial",
                    "identity": f"{quoted(name)} {kind} generated by default as identity",
                    "always": f"{quoted(name)} {kind} generated always as identity",
                }.get(table.form, f"{quoted(name)} {kind} not null")
                parts.append(made)
                continue
            needed = any(name in ref.columns and not ref.nullable for ref in table.refs) or any(
                column.name == name and not column.nullable for column in table.columns
            )
            made = next((column.kind.server for column in table.columns if column.name == name), "")
            parts.append(f"{quoted(name)} {kind}{' not null' if needed else ''} {made}".rstrip())
        unique = "unique" if table.form == "natural" else "primary key"
        parts.append(f"{unique} ({listed(table.key)})")
        late = " deferrable initially deferred" if table.unique_deferrable else ""
        parts += [f"unique ({listed(columns)}){late}" for columns in table.uniques]
        if table.joint:
            parts.append(f"unique ({listed(table.joint)})")
        partitioned = f" partition by hash ({listed(table.key)})" if table.partitions else ""
        return [
            f"create table {quoted(table.name)} (\n    " + ",\n    ".join(parts) + f"\n){partitioned};",
            *(
                f"create table {quoted(f'{table.name[:20]} part {place}')} partition of {quoted(table.name)}"
                f" for values with (modulus {table.partitions}, remainder {place});"
                for place in range(table.partitions)
            ),
            *(
                [
                    f"create table {quoted(table.child)} (primary key ({listed(table.key)})) inherits ({quoted(table.name)});"
                ]
                if table.child
                else []
            ),
        ]

    def _foreign_key(self, table: Table, ref: Ref) -> str:
        actions = (f" on delete {ref.on_delete}" if ref.on_delete else "") + (
            f" on update {ref.on_update}" if ref.on_update else ""
        )
        late = " deferrable initially deferred" if ref.deferrable else ""
        return (
            f"alter table {quoted(table.name)} add{self._constraint(table, ref)} foreign key ({listed(ref.columns)})"
            f" references {quoted(ref.parent)} ({listed(ref.parent_columns)}){actions}{late};"
        )

    def _constraint(self, table: Table, ref: Ref) -> str:
        """The name of a foreign key, with the word before it; empty where the server finds one."""
        if "constraint names" not in self.features:
            return ""
        name = Random(f"{self.seed}/constraint {table.name}").choice(_CONSTRAINTS)
        place = table.refs.index(ref)
        return f" constraint {quoted(f'{name}{place}' if place else name)}"

    def _actions(self, table: Table, ref: Ref) -> str:
        """What a foreign key of the target does, and when."""
        late = "deferrable initially immediate"
        if "target actions" not in self.features:
            return late
        assert ref.target is not None
        found = [
            "",
            late,
            "deferrable initially deferred",
            "on delete cascade",
            f"on delete cascade {late}",
            "on delete restrict",
        ]
        if ref.nullable:
            found.append(f"on delete set null ({quoted(ref.target)})")
        return Random(f"{self.seed}/action {table.name} {ref.own}").choice(found)

    def target_sql(self) -> str:
        lines = self._types(self.target)
        for table in self.tables:
            lines.append(self._target_table(table))
        for table in self.tables:
            for ref in table.refs:
                parent = self.table(ref.parent)
                if ref.target is None:
                    continue
                within = [self.tenant] if parent.ways and table.ways else []
                lines.append(
                    f"alter table {quoted(table.target)} add{self._constraint(table, ref)} foreign key ({listed([*within, ref.target])})"
                    f" references {quoted(parent.target)} ({listed([*within, 'id'])}) {self._actions(table, ref)};"
                )
                lines.append(f"create index on {quoted(table.target)} ({listed([*within, ref.target])});")
        return "\n".join(lines) + "\n"

    def _target_table(self, table: Table) -> str:
        parts = []
        if table.ways:
            root = quoted(self.table(self.root).target)
            parts.append(f"{quoted(self.tenant)} uuid not null references {root} (id) deferrable initially immediate")
        parts += ["id uuid not null default gen_random_uuid()", "legacy_id text not null"]
        for ref in table.refs:
            if ref.target is not None:
                parts.append(f"{quoted(ref.target)} uuid{'' if ref.nullable else ' not null'}")
        if table.name == self.people and self.users:
            parts.append(
                f"{quoted(self.account)} uuid unique references auth.users (id) on delete set null deferrable initially immediate"
            )
        for column in table.columns:
            if column.target is None:
                continue
            kind = self.type_of(column.kind, self.target, column.kind.target or column.kind.source)
            role = " default 'member'" if column.name == table.role else ""
            parts.append(f"{quoted(column.target)} {kind}{' not null' if column.needed else ''}{role}")
        parts += [
            f"check ({column.kind.check.replace('{t}', quoted(column.target))})"
            for column in table.columns
            if column.target is not None and column.kind.check
        ]
        within = [self.tenant] if table.ways else []
        parts += [f"primary key ({listed([*within, 'id'])})", f"unique ({listed([*within, 'legacy_id'])})"]
        late = " deferrable initially immediate"
        for columns in table.uniques:
            there = [self.target_of(table, name) for name in columns]
            if all(there):
                parts.append(f"unique ({listed([*within, *(str(name) for name in there)])}){late}")
        return f"create table {quoted(table.target)} (\n    " + ",\n    ".join(parts) + "\n);"

    def target_of(self, table: Table, name: str) -> str | None:
        """The target's column that a source column becomes."""
        for ref in table.refs:
            if ref.own == name:
                return ref.target
        return next((column.target for column in table.columns if column.name == name), None)

    # -- the manifest ------------------------------------------------------------------------------------------------

    def manifest(self) -> str:
        root, people, members = self.table(self.root), self.table(self.people), self.table(self.members)
        person = next(ref.target for ref in members.refs if ref.parent == self.people)
        role = members.column(members.role).target
        lines = [
            'name = "fuzz"',
            "[source]",
            f"schema = {toml(self.source)}",
            "[target]",
            f"schema = {toml(self.target)}",
            'files = ["target.sql"]',
            "[ids]",
            f"namespace = {toml(self.namespace)}",
            "[tenant]",
            f"table = {toml(root.target)}",
            f"column = {toml(self.tenant)}",
            "[membership]",
            f"table = {toml(members.target)}",
            f"profile = {toml(person)}",
            f"role = {toml(role)}",
            "[roles]",
            'order = ["member", "admin"]',
        ]
        if self.users:
            lines += [
                "[users]",
                f"from = {toml(people.name)}",
                f"email = {toml(self.email)}",
                f"profile = {toml(people.target)}",
                f"account = {toml(self.account)}",
            ]
        for table in self.tables:
            lines += self._rule(table)
        return "\n".join(lines) + "\n"

    def _rule(self, table: Table) -> list[str]:
        lines = [f"[tables.{toml(table.target)}]", f"from = {toml(table.name)}"]
        if table.ways:
            ways = [self._way(table.ref(way)) for way in table.ways]
            lines.append(f"tenant = {toml(ways)}")
        cell = "member" if table.ways or table.name == self.root else "service"
        lines.append(f'access = {{ select = "{cell}", insert = "service", update = "service", delete = "service" }}')
        rules: dict[str, dict[str, object]] = {}
        for ref in table.refs:
            if ref.target is None:
                continue
            rule: dict[str, object] = {}
            if ref.target != ref.own:
                rule["from"] = ref.own
            if (ref.target != ref.own and ref.told) or not ref.foreign_key:
                rule["ref"] = self.table(ref.parent).target
            if ref.orphan == "null":
                rule["ref"], rule["orphan"] = self.table(ref.parent).target, "null"
            if rule:
                rules[ref.target] = rule
        for column in table.columns:
            if column.target is None:
                continue
            rule = {}
            source = f"s.{quoted(column.name)}"
            for name, value in column.kind.rule.items():
                if isinstance(value, str):
                    rule[name] = value.replace("{s}", source).replace("{t}", f"t.{quoted(column.target)}")
                else:
                    rule[name] = value
            if column.target != column.name and "up" not in rule:
                rule["from"] = column.name
            if rule:
                rules[column.target] = rule
        if rules:
            lines.append(f"[tables.{toml(table.target)}.columns]")
            lines += [f"{toml(name)} = {toml(rule)}" for name, rule in rules.items()]
        return lines

    def _way(self, ref: Ref) -> str:
        return ref.own if ref.foreign_key else f"{ref.own} -> {self.table(ref.parent).target}"


def type_name(kind: str) -> str:
    return f"kind of {kind}"


def listed(names: Iterable[str]) -> str:
    return ", ".join(quoted(name) for name in names)


def toml(value: object) -> str:
    """A value in TOML; its strings are JSON's."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{toml(str(name))} = {toml(each)}" for name, each in value.items()) + " }"
    if isinstance(value, Sequence) and not isinstance(value, str):
        return "[" + ", ".join(toml(each) for each in value) + "]"
    return json.dumps(value, ensure_ascii=False)
