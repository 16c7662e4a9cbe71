"""The rows of one source table joined with those of the target, and the temporary tables of their comparison."""

from __future__ import annotations

from dataclasses import dataclass

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.derivation.keys import equal, same_key
from tenantry.derivation.reverse.columns import Feeds, Part, by_id, primary
from tenantry.derivation.reverse.strangers import without_strangers
from tenantry.mapping.legacy_ids import key_of
from tenantry.mapping.project import MappedColumn, Mapping, Project, plain_name
from tenantry.postgres import ident


@dataclass(frozen=True, slots=True)
class Slot:
    """A source column that is written, with its feeds in order of preference, each as (mapping, number in that mapping's
    list)."""

    column: CatalogColumn
    feeds: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Extra:
    """A source column with SQL of its own ([source.down])."""

    column: str
    sql: str
    asked: tuple[tuple[int, str], ...]


class Comparison:
    """The rows of one source table joined with those of the target."""

    def __init__(self, project: Project, table: Table) -> None:
        self.project = project
        self.table = table
        self.name = table.name
        self.sql = ident(project.source.schema, table.name)
        mappings = sorted(project.of_source(table.name), key=lambda mapping: not primary(mapping))
        self.key = mappings[0].key
        self.first = mappings[0]
        feeds = Feeds(project, table, self.first)
        self.parts = tuple(feeds.part(mapping) for mapping in mappings)
        self.extras = tuple(
            self._extra(name, sql) for name, sql in project.manifest.source.down.get(self.name, {}).items()
        )
        self.strangers: frozenset[str] = frozenset()
        """Target tables with rows to be ignored; determined again in each round."""
        self.slots = self._slots()
        self.required = tuple(
            column.name
            for column in table.columns
            if not column.nullable
            and column.default is None
            and column.identity is None
            and column.generated is None
            and column.name not in self.key
        )

    # -- names of temporary tables -----------------------------------------------------------------------------------

    def temporary(self, what: str) -> str:
        return "pg_temp." + plain_name(f"tenantry_{what}", self.name)

    @property
    def keys(self) -> str:
        return self.temporary("k")

    @property
    def rows(self) -> str:
        return self.temporary("o")

    @property
    def work(self) -> str:
        return self.temporary("w")

    @property
    def gone(self) -> str:
        return self.temporary("d")

    def link(self, position: int) -> str:
        return self.temporary(f"l{position}")

    def up(self, position: int) -> str:
        return self.temporary(f"u{position}")

    def python(self, position: int) -> str:
        return self.temporary(f"b{position}")

    @property
    def key_columns(self) -> list[str]:
        return [f"k{i}" for i in range(len(self.key))]

    def same_key(self, source: str, other: str) -> str:
        """Return a condition that a source row and a row of a temporary table have the same typed key columns."""
        return " and ".join(
            equal(own, f"{source}.{ident(own.name)}", f"{other}.{column}")
            for own, column in zip(self.key_held, self.key_columns, strict=True)
        )

    @property
    def key_held(self) -> list[CatalogColumn]:
        """The columns of the key."""
        return [column for name in self.key if (column := self.table.column(name)) is not None]

    # -- temporary tables --------------------------------------------------------------------------------------------

    def make_tables(self) -> list[str]:
        """Create them once per session; they are emptied at the end of each transaction."""
        typed = ", ".join(f"{name} {column.type}" for name, column in zip(self.key_columns, self.key_held, strict=True))
        made = [
            (self.keys, f"key text primary key, {typed}, now boolean not null default true, state text"),
            (self.rows, f"like {self.sql}"),
            (self.gone, f"key text primary key, {typed}, n bigint, position int"),
        ]
        work = [
            f"key text, n bigint, {typed}, has_s boolean, del boolean, resp int, ins boolean, lacks text, waits text"
        ]
        # For each slot: its value, whether it changes, whether there is one, and whether there are two. Arrays, because a
        # table has at most 1,600 columns.
        work += [f"v{j} {slot.column.type}" for j, slot in enumerate(self.slots)]
        work.append("c boolean[], g boolean[], two boolean[]")
        for i, part in enumerate(self.parts):
            work.append(
                f"legacy{i} text, h{i} boolean, cov{i} boolean, gone{i} boolean, q{i} boolean, d{i} text[], e{i} text[]"
            )
            made.append((self.link(i), "key text primary key, legacy text"))
            derived = ", ".join(f"{ident(column.name)} {column.type}" for column in part.mapping.columns)
            made.append((self.up(i), f"{derived}, {part.mapping.ours('key')} text"))
            if part.mapping.python_columns:
                back = ", ".join(
                    f"b{n} {self._source_type(column)}, ok{n} boolean"
                    for n, column in enumerate(part.mapping.python_columns)
                )
                made.append((self.python(i), f"key text primary key, {back}"))
        made.append((self.work, ", ".join(work)))
        return [
            f"create temporary table if not exists {name.removeprefix('pg_temp.')} ({columns}) on commit delete rows"
            for name, columns in made
        ]

    def clear_tables(self, *, all_keys: bool) -> list[str]:
        names = [self.rows, self.work, *(self.link(i) for i in range(len(self.parts)))]
        names += [self.up(i) for i in range(len(self.parts))]
        names += [self.python(i) for i, part in enumerate(self.parts) if part.mapping.python_columns]
        return [f"delete from {name}" for name in (*names, *((self.keys, self.gone) if all_keys else ()))]

    def _source_type(self, column: MappedColumn) -> str:
        found = self.table.column(column.source or column.name)
        assert found is not None
        return found.type

    # -- which rows --------------------------------------------------------------------------------------------------

    def source_has(self, mapping: Mapping, legacy: str) -> str:
        """Return a condition: the old id in a legacy id is that of a source row."""
        same = same_key(self.project.source, mapping, "e", key_of(mapping, legacy))
        return f"exists (select from {ident(self.project.source.schema, mapping.source.name)} e where {same})"

    # -- what the source says now ------------------------------------------------------------------------------------

    # -- the comparison ----------------------------------------------------------------------------------------------

    def flag(self, position: int, name: str) -> str:
        place = next(n for n, column in enumerate(self.parts[position].compared) if column.name == name)
        return one_flag(f"x{position}", place)

    # -- compiling ---------------------------------------------------------------------------------------------------

    def target_sql(self, part: Part) -> str:
        """Return the target's table without rows whose place in the source belongs to another tenant."""
        if part.target in self.strangers:
            return without_strangers(self.project, part.target)
        return ident(self.project.target.schema, part.target)

    def _joined(self, parent: Part, alias: str, value: str, child: Part, child_alias: str) -> str:
        return by_id(self.project, parent.target, alias, value, child.mapping, child_alias)

    def _extra(self, name: str, sql: str) -> Extra:
        quoted = f"s.{ident(name)}"
        asked = []
        for i, part in enumerate(self.parts):
            for column in part.compared:
                paths = column.kind == "tenant" and any(
                    name in (*path.columns, *(path.only or ())[:1]) for path in part.mapping.tenant_paths
                )
                named = column.reference is not None and name in column.reference.columns
                if column.source == name or paths or named or quoted in column.value:
                    asked.append((i, column.name))
        return Extra(name, sql, tuple(asked))

    def _slots(self) -> tuple[Slot, ...]:
        found: dict[str, list[tuple[int, int, int]]] = {extra.column: [] for extra in self.extras}
        for i, part in enumerate(self.parts):
            for n, feed in enumerate(part.feeds):
                found.setdefault(feed.column, []).append((feed.rank, i, n))
        return tuple(
            Slot(column, tuple((i, n) for _, i, n in sorted(found[column.name])))
            for column in self.table.columns
            if column.name in found and column.generated is None and column.name not in self.key
        )


def one_flag(name: str, place: int) -> str:
    """Return one of them."""
    return f"{name}[{place + 1}]"
