"""Rows of a schema. A schema's `rows(fill)` says what matters (ids, references, what a text holds); the catalog says the rest: every
column that a row leaves out, and that has no value of its own, is invented after its type and name."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.types.json import Json

from tests.corpus.catalog import Described, describe
from tests.corpus.invent import Invent

Row = dict[str, Any]
_DEAD = 0.1
"""Share of a table's ids, beside the living ones, that were deleted: what an orphan points to."""
_NULL = 0.1
_IDS: Mapping[str, Callable[[Invent], object]] = {
    "cuid": Invent.cuid,
    "cuid2": Invent.cuid2,
    "nanoid": Invent.nanoid,
    "better": Invent.better,
    "ulid": Invent.ulid,
    "uuid": Invent.uuid,
    "uuid text": lambda invent: str(invent.uuid()),
}


class Fill(Invent):
    """Writes rows into the tables of a schema, and remembers them for the rows that refer to them."""

    key = "cuid"
    """How ids in text are made."""

    def __init__(self, connection: psycopg.Connection[tuple[object, ...]], seed: str, scale: float) -> None:
        super().__init__(seed)
        self.connection = connection
        self.scale = scale
        self.described: Mapping[str, Described] = describe(connection)
        self.table: dict[str, list[Row]] = {}
        self.dead: dict[str, list[object]] = {}
        self._writing = ""
        self._groups: dict[tuple[str, tuple[str, ...]], dict[tuple[object, ...], list[Row]]] = {}

    # Rows

    def rows(
        self, table: str, count: int, make: Callable[[int], Row | None] = lambda _: {}, *, fixed: bool = False
    ) -> list[Row]:
        """Write `count` rows, times the scale unless `fixed`; `make` says what row i must hold. A row for which it returns None, and one
        that a unique key refuses, is left out."""
        described = self.described[table]
        number = count if fixed else max(1, round(count * self.scale))
        ids = self._new_ids(described, number)
        seen: dict[tuple[str, ...], set[tuple[object, ...]]] = defaultdict(set)
        made: list[Row] = []
        self.table[table] = made
        self._writing = table
        for i in range(number):
            row = make(i)
            if row is None:
                continue
            if ids is not None and described.key[0] not in row:
                row[described.key[0]] = ids[i]
            for column in described.columns:
                if column.name not in row and not column.generated:
                    row[column.name] = self._invent(described, column.name)
            if self._unique(described, row, seen):
                made.append(row)
        self._write(described, made)
        self._writing = ""
        self._groups.clear()
        return made

    def pick(self, table: str, **where: Any) -> Row:
        """A row that was written before, with these values. Raises IndexError where there is none."""
        return self.random.choice(self.all(table, **where))

    def maybe(self, table: str, **where: Any) -> Row | None:
        """A row with these values, or None where there is none."""
        found = self.all(table, **where)
        return self.random.choice(found) if found else None

    def all(self, table: str, **where: Any) -> list[Row]:
        if not where:
            return self.table[table]
        if table == self._writing:
            return [row for row in self.table[table] if all(row[name] == value for name, value in where.items())]
        names = tuple(where)
        if (table, names) not in self._groups:
            group: dict[tuple[object, ...], list[Row]] = defaultdict(list)
            for row in self.table[table]:
                group[tuple(row[name] for name in names)].append(row)
            self._groups[table, names] = group
        return self._groups[table, names].get(tuple(where.values()), [])

    def ref(self, table: str, *, dead: float = 0.0, null: float = 0.0, **where: Any) -> Any:
        """An id of the table's rows with these values; of a deleted row for a share of `dead`, None for a share of `null` and where there
        is no such row."""
        if null and self.chance(null):
            return None
        if dead and self.chance(dead):
            return self.random.choice(self.dead[table])
        found = self.maybe(table, **where)
        return found[self.described[table].key[0]] if found else None

    def refs(self, table: str, low: int, high: int, *, dead: float = 0.0, **where: Any) -> list[Any]:
        """Several ids, each once, as of `ref`."""
        drawn = (self.ref(table, dead=dead, **where) for _ in range(self.number(low, high)))
        return list(dict.fromkeys(one for one in drawn if one is not None))

    def execute(self, statement: LiteralString) -> None:
        self.connection.execute(statement)

    def finish(self) -> None:
        """Set the sequences behind the highest ids, and analyze."""
        self.connection.execute(
            """do $$ declare o record; begin
            for o in select c.oid::regclass as t, a.attname as n, pg_get_serial_sequence(c.oid::regclass::text, a.attname) as s
              from pg_class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
              where c.relkind in ('r', 'p') and c.relnamespace = 'public'::regnamespace and not c.relispartition
                and pg_get_serial_sequence(c.oid::regclass::text, a.attname) is not null
            loop execute format('select setval(%L, greatest(max(%I), 1)) from %s', o.s, o.n, o.t); end loop; end $$"""
        )
        self.connection.execute("analyze")

    # Values

    def _new_ids(self, described: Described, number: int) -> list[Any] | None:
        """Ids for a key of one column that is no reference, and the deleted ones beside them."""
        if len(described.key) != 1 or described.key[0] in described.parents:
            return None
        kind = described.column(described.key[0]).kind
        extra = max(2, round(number * _DEAD))
        ids: list[object]
        if kind in {"int2", "int4", "int8"}:
            gone = set(self.random.sample(range(1, number + extra + 1), extra))
            self.dead[described.name] = [*sorted(gone)]
            return [i for i in range(1, number + extra + 1) if i not in gone]
        if kind == "uuid":
            ids = [self.uuid() for _ in range(number + extra)]
        elif kind in {"text", "varchar", "bpchar"}:
            ids = [_IDS[self.key](self) for _ in range(number + extra)]
        else:
            return None
        self.dead[described.name] = ids[number:]
        return ids[:number]

    def _invent(self, described: Described, name: str) -> object:
        column = described.column(name)
        if name in described.parents:
            parent, key = described.parents[name]
            if column.nullable and self.chance(_NULL):
                return None
            rows = self.table.get(parent)
            return self.random.choice(rows)[key] if rows else None
        if column.nullable and self.chance(_NULL):
            return None
        return self._value(column.name, column.kind, column.length, column.labels)

    def _value(self, name: str, kind: str, length: int | None, labels: Sequence[str]) -> object:
        if labels:
            return self.random.choice(labels)
        if kind.startswith("_"):
            return []
        match kind:
            case "int2" | "int4" | "int8":
                return self.number(0, 90)
            case "numeric" | "float4" | "float8" | "money":
                return self.price()
            case "bool":
                return self.chance(0.5)
            case "timestamptz" | "timestamp" | "date":
                return self.when()
            case "time":
                return self.when().time()
            case "json" | "jsonb":
                return {}
            case "uuid":
                return self.uuid()
            case "bytea":
                return bytes.fromhex(self.hex(16))
            case "inet":
                return f"198.51.100.{self.number(1, 250)}"
            case "interval":
                return f"{self.number(1, 90)} minutes"
            case "daterange":
                return None
        return self._text(name.lower())[: length or None]

    def _text(self, name: str) -> str:
        for part, make in (
            ("email", self.email),
            ("slug", self.slug),
            ("hash", self.hash),
            ("password", self.hash),
            ("token", lambda: self.hex(32)),
            ("url", lambda: f"https://files.example.org/{self.hex(16)}.png"),
            ("phone", lambda: f"+1555{self.number(1000000, 9999999)}"),
            ("agent", lambda: f"Browser/{self.number(90, 130)}.0"),
            ("color", lambda: f"#{self.hex(6)}"),
        ):
            if part in name:
                return make()
        if name in {"body", "text", "content", "description", "note", "notes", "message"}:
            return self.words(12)
        if name in {"name", "full_name", "fullname"}:
            return self.person() if self.chance(0.5) else self.words(2)
        return self.words(self.number(2, 3))

    # Writing

    def _unique(self, described: Described, row: Row, seen: dict[tuple[str, ...], set[tuple[object, ...]]]) -> bool:
        keys = [
            (columns, tuple(str(row.get(name)) for name in columns))
            for columns in described.unique
            if all(row.get(name) is not None for name in columns)
        ]
        if any(values in seen[columns] for columns, values in keys):
            return False
        for columns, values in keys:
            seen[columns].add(values)
        return True

    def _write(self, described: Described, rows: Sequence[Row]) -> None:
        columns = [column for column in described.columns if not column.generated]
        unknown = {name for row in rows for name in row} - {column.name for column in columns}
        assert not unknown, (described.name, unknown)
        statement = sql.SQL("copy {} ({}) from stdin").format(
            sql.Identifier(described.name), sql.SQL(", ").join(sql.Identifier(column.name) for column in columns)
        )
        documents = [column.kind in {"json", "jsonb"} for column in columns]
        with self.connection.cursor() as cursor, cursor.copy(statement) as copy:
            for row in rows:
                values = [row[column.name] for column in columns]
                copy.write_row(
                    [
                        Json(value, dumps=lambda one: json.dumps(one, default=str))
                        if document and value is not None
                        else value
                        for value, document in zip(values, documents, strict=True)
                    ]
                )
