"""What the tests and the generator read of a database: plain SQL over the system catalogs, and nothing of Tenantry's own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import psycopg


@dataclass(frozen=True)
class DescribedColumn:
    name: str
    kind: str
    """The name of its type (of the base type of a domain); of an array with an underscore before it."""
    length: int | None
    nullable: bool
    """Whether it may be null: no row needs a value then."""
    generated: bool
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Described:
    """A table: its columns, primary key, unique keys, and the parent (table, column) of each column with a foreign key of its own."""

    name: str
    columns: tuple[DescribedColumn, ...]
    key: tuple[str, ...]
    unique: tuple[tuple[str, ...], ...]
    parents: Mapping[str, tuple[str, str]]
    keys: tuple[tuple[tuple[str, ...], str, tuple[str, ...]], ...]
    """All foreign keys: columns, parent, the parent's columns."""

    def column(self, name: str) -> DescribedColumn:
        return next(column for column in self.columns if column.name == name)


_COLUMNS = """
select c.relname, a.attname, coalesce(b.typname, t.typname) as kind,
  case when coalesce(b.typname, t.typname) in ('varchar', 'bpchar') and a.atttypmod > 4 then a.atttypmod - 4 end as length,
  not (a.attnotnull or t.typnotnull) as nullable, a.attgenerated <> '' as generated,
  (select array_agg(e.enumlabel::text order by e.enumsortorder) from pg_enum e where e.enumtypid = t.oid) as labels
from pg_class c
join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
join pg_type t on t.oid = a.atttypid
left join pg_type b on b.oid = t.typbasetype
where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
order by c.relname, a.attnum
"""
_UNIQUE = """
select c.relname, i.indisprimary, array_agg(a.attname::text order by k.n)
from pg_index i join pg_class c on c.oid = i.indrelid
cross join lateral unnest(i.indkey::int2[]) with ordinality as k (attnum, n)
join pg_attribute a on a.attrelid = c.oid and a.attnum = k.attnum
where i.indisunique and not c.relispartition and c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace
  and i.indpred is null and i.indexprs is null
group by c.relname, i.indexrelid, i.indisprimary order by c.relname, i.indexrelid
"""
_FOREIGN = """
select c.relname, p.relname,
  (select array_agg(a.attname::text order by k.n) from unnest(f.conkey) with ordinality k (attnum, n)
   join pg_attribute a on a.attrelid = f.conrelid and a.attnum = k.attnum),
  (select array_agg(a.attname::text order by k.n) from unnest(f.confkey) with ordinality k (attnum, n)
   join pg_attribute a on a.attrelid = f.confrelid and a.attnum = k.attnum)
from pg_constraint f join pg_class c on c.oid = f.conrelid join pg_class p on p.oid = f.confrelid
where f.contype = 'f' and f.conparentid = 0 and c.relnamespace = 'public'::regnamespace order by c.relname, f.conname
"""


def describe(connection: psycopg.Connection[tuple[object, ...]]) -> Mapping[str, Described]:
    """The tables of the schema public; a partitioned table is one, its partitions are none."""
    columns: dict[str, list[DescribedColumn]] = defaultdict(list)
    keys: dict[str, tuple[str, ...]] = {}
    unique: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    foreign: dict[str, list[tuple[tuple[str, ...], str, tuple[str, ...]]]] = defaultdict(list)
    for table, name, kind, length, nullable, generated, labels in _rows(connection, _COLUMNS):
        columns[table].append(DescribedColumn(name, kind, length, nullable, generated, tuple(labels or ())))
    for table, primary, names in _rows(connection, _UNIQUE):
        unique[table].append(tuple(names))
        if primary:
            keys[table] = tuple(names)
    for table, parent, names, others in _rows(connection, _FOREIGN):
        foreign[table].append((tuple(names), parent, tuple(others)))
    return {
        table: Described(
            table,
            tuple(found),
            keys.get(table, ()),
            tuple(unique[table]),
            {names[0]: (parent, others[0]) for names, parent, others in foreign[table] if len(names) == 1},
            tuple(foreign[table]),
        )
        for table, found in columns.items()
    }


def _rows(connection: psycopg.Connection[tuple[object, ...]], statement: str) -> Sequence[tuple[Any, ...]]:
    return connection.execute(statement.encode()).fetchall()
