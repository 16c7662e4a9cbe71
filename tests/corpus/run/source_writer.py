"""Writes rows of any schema by its catalog, and the same into a twin, which says what the source must hold.

Rows are made from rows: an insert copies one and changes what must be unique, an update takes a value from another row. So ids, texts and
documents keep the form that the application gave them, and references lead to rows, now and then to those of another tenant.
"""

from __future__ import annotations

import string
import threading
import time
from collections import Counter
from collections.abc import Sequence
from random import Random

import psycopg

from tenantry.catalog import Catalog, Column, Table
from tenantry.postgres import ident, literal
from tests.corpus.run.states import Connection, Row, as_row, own_tables, row_key, same_row, texts

FENCED = "25006"
_UNIQUE_REFUSED = {"23505", "23503", "23514", "23502", "23001", "22001", "22003", "22P02", "23P01", "P0001"}
"""What a schema itself refuses."""


_SEQUENCES = """
select seqrelid::regclass::text, pg_sequence_last_value(seqrelid), seqincrement from pg_sequence join pg_class c on c.oid = seqrelid
 where c.relnamespace = 'public'::regnamespace
"""


class WrongOutcome(AssertionError):
    """The source said something else than its twin."""


class SourceWriter:
    """An application of the source: one connection, and one to the twin."""

    def __init__(self, source: Connection, twin: Connection, catalog: Catalog, seed: str) -> None:
        self.source, self.twin = source, twin
        self.tables = [table for table in own_tables(catalog) if _has_rows(source, table)]
        self.random = Random(seed)
        self.done: Counter[str] = Counter()
        self.fenced = False
        self.problem = ""
        self._end = threading.Event()
        self._thread: threading.Thread | None = None

    # -- work --------------------------------------------------------------------------------------------------------

    def write(self, transactions: int) -> None:
        for _ in range(transactions):
            self.transaction()

    def start(self, pause: float = 0.02) -> None:
        """Write until stopped, in a thread."""

        def work() -> None:
            try:
                while not self._end.is_set() and not self.fenced:
                    self.transaction()
                    time.sleep(pause)
            except Exception as error:  # noqa: BLE001 - the driver raises it
                self.problem = f"{type(error).__name__}: {error}"

        self._end.clear()
        self._thread = threading.Thread(target=work, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._end.set()
        if self._thread is not None:
            self._thread.join(60)
            self._thread = None
        if self.problem:
            raise WrongOutcome(self.problem)

    def transaction(self) -> None:
        """One transaction of up to three statements, on the source and then on its twin: both take it, or neither does."""
        statements = [made for _ in range(self.random.choice((1, 1, 2, 3))) if (made := self.statement())]
        self._follow_sequences()
        outcomes = []
        for connection in (self.source, self.twin):
            outcome: object
            try:
                with connection.transaction():
                    outcome = [connection.execute(each.encode()).rowcount for _, each in statements]
            except psycopg.Error as error:
                if connection is self.source and error.sqlstate == FENCED:
                    self.fenced = True
                    return
                outcome = (error.sqlstate, (error.diag.message_primary or str(error)).replace("\n", " "))
            outcomes.append(outcome)
        if outcomes[0] != outcomes[1] and not (isinstance(outcomes[0], tuple) and isinstance(outcomes[1], tuple)):
            raise WrongOutcome(f"{statements}: the source says {outcomes[0]}, the twin {outcomes[1]}")
        if isinstance(outcomes[0], tuple):
            self.done["refused"] += 1
            if outcomes[0][0] not in _UNIQUE_REFUSED:
                raise WrongOutcome(f"{statements}: {outcomes[0]}")
        else:
            self.done.update(what for what, _ in statements)

    def _follow_sequences(self) -> None:
        """The twin's sequences go on where the source's do, for what triggers draw. Increments change for a dual-write window."""
        ours, theirs = (
            {str(name): (value, step) for name, value, step in connection.execute(_SEQUENCES.encode())}
            for connection in (self.source, self.twin)
        )
        for name, (value, step) in ours.items():
            if theirs[name][1] != step:
                self.twin.execute(f"alter sequence {name} increment by {step}".encode())
            if theirs[name][0] != value and value is not None:
                self.twin.execute("select setval(%s::regclass, %s)", [name, value])

    def statement(self) -> tuple[str, str] | None:
        """What is done, and the statement that does it."""
        table = self.random.choice(self.tables)
        row = self.row_of(table)
        if row is None:
            return None
        what = self.random.choices(("insert", "update", "delete"), (5, 6, 2))[0]
        made = {"insert": self.insert, "update": self.update, "delete": self.delete}[what](table, row)
        return (what, made) if made else None

    # -- statements --------------------------------------------------------------------------------------------------

    def row_of(self, table: Table, connection: Connection | None = None) -> Row | None:
        found = (
            (connection or self.source)
            .execute(
                f"select {texts(table)} from {ident(table.schema, table.name)} z order by random() limit 1".encode()
            )
            .fetchone()
        )
        return as_row(table, found) if found else None

    def insert(self, table: Table, row: Row) -> str:
        new = dict(row)
        if self.chance(0.3):
            self._other_parent(table, new)
        for columns in unique_sets(table):
            if all(new[name] == row[name] and new[name] is not None for name in columns):
                self._make_unique(table, new, columns)
        for column in table.columns:
            if new[column.name] == row[column.name] and "@" in (new[column.name] or ""):
                new[column.name] = self.mutated(column, new[column.name])
        names = [column.name for column in table.columns if column.generated is None]
        values = ", ".join(literal(new[name]) for name in names)
        listed = ", ".join(map(ident, names))
        return f"insert into {ident(table.schema, table.name)} ({listed}) overriding system value values ({values})"

    def update(self, table: Table, row: Row) -> str:
        key = row_key(table)
        columns = [
            column for column in table.columns
            if column.generated is None and column.identity != "always" and (column.name not in key or self.chance(0.15))
        ]  # fmt: skip
        # A row that changes to another parent mostly leaves its tenant, and with all that hangs on it goes into the quarantine.
        rare = {name for each in table.constraints if each.kind == "foreign" for name in each.columns}
        rare |= {
            each.name for each in columns if each.name.lower().endswith("id") or each.type in ("integer", "bigint")
        }
        columns = [each for each in columns if each.name not in rare or self.chance(0.15)]
        if not columns:
            return ""
        column = self.random.choice(columns)
        unique = {name for each in unique_sets(table) for name in each} if column.type_kind != "enum" else set()
        value = row[column.name]
        if column.name in unique or "@" in (value or ""):
            value = self.mutated(column, value)
        elif column.nullable and self.chance(0.1):
            value = None
        elif other := self.row_of(table):
            value = other[column.name]
        return f"update {ident(table.schema, table.name)} z set {ident(column.name)} = {literal(value)} where {same_row(table, row)}"

    def delete(self, table: Table, row: Row) -> str:
        return f"delete from {ident(table.schema, table.name)} z where {same_row(table, row)}"

    def _other_parent(self, table: Table, new: Row) -> None:
        keys = [
            each
            for each in table.constraints
            if each.kind == "foreign" and not set(each.columns) <= set(row_key(table))
        ]
        if not keys:
            return
        key = self.random.choice(keys)
        parent = next((each for each in self.tables if each.name == key.ref_table), None)
        found = self.row_of(parent) if parent is not None else None
        if found is not None:
            new.update({name: found[other] for name, other in zip(key.columns, key.ref_columns, strict=True)})

    def _make_unique(self, table: Table, new: Row, columns: Sequence[str]) -> None:
        own = [table.column(name) for name in columns]
        referring = {name for each in table.constraints if each.kind == "foreign" for name in each.columns}
        free = [column for column in own if column is not None and column.name not in referring]
        if len(columns) > 1:
            plain = [column for column in free if not column.name.lower().rstrip("s").endswith("id")]
            free = plain or []
        for column in free:
            if number := self._numbered(table, column):
                new[column.name] = number
                return
        if free:
            column = self.random.choice(free)
            new[column.name] = self.mutated(column, new[column.name])
            return
        # Nothing but references, stated or not: those of another row.
        other = self.row_of(table)
        name = self.random.choice(list(columns))
        if other is not None:
            new[name] = other[name]
        key = next((each for each in table.constraints if each.kind == "foreign" and name in each.columns), None)
        parent = next((each for each in self.tables if key is not None and each.name == key.ref_table), None)
        found = self.row_of(parent) if parent is not None and key is not None else None
        if found is not None and key is not None:
            new.update({name: found[there] for name, there in zip(key.columns, key.ref_columns, strict=True)})

    def _numbered(self, table: Table, column: Column) -> str:
        """The next number of the source's sequence, if the column has one. The twin's stays behind: no default of it is asked."""
        default = column.default or ""
        if column.identity is not None:
            default = (
                f"nextval(pg_get_serial_sequence({literal(ident(table.schema, table.name))}, {literal(column.name)}))"
            )
        if "nextval(" not in default:
            return ""
        found = self.source.execute(f"select ({default})::text".encode()).fetchone()
        return str(found[0]) if found else ""

    def mutated(self, column: Column, value: str | None) -> str | None:
        """Another value of the same form."""
        if value is None:
            return None
        kind = column.type_name or column.type
        base = column.type.split("(")[0]
        if base in ("integer", "bigint", "smallint", "numeric") or value.lstrip("-").isdecimal():
            most = (
                30_000
                if base == "smallint"
                else 2_000_000_000
                if base == "integer" or len(value) < 10
                else 10 ** len(value)
            )
            number = int(float(value)) + self.random.randint(1, 10**6 if base != "smallint" else 500)
            return str(number if number < most else number % most)
        if base in ("date", "timestamp with time zone", "timestamp without time zone"):
            return f"{self.random.randint(2001, 2024)}-{value[5:]}" if "-02-29" not in value else value
        if kind == "bool":
            return value
        return changed_text(self.random, value)

    def chance(self, share: float) -> bool:
        return self.random.random() < share


def changed_text(random: Random, value: str) -> str:
    """A text with other letters and digits in the end of its first part: a cuid stays one, an address too."""
    head, at, tail = value.partition("@")
    places = [i for i, char in enumerate(head) if char.isalnum()][-6:]
    if not places:
        return f"{value}{random.randint(1, 10**6)}"
    hexadecimal = all(char in string.hexdigits + "-" for char in head)
    made = list(head)
    for i in places:
        char = made[i]
        pool = (
            "0123456789abcdef" if hexadecimal else string.digits if char.isdecimal()
            else string.ascii_uppercase if char.isupper() else string.ascii_lowercase
        )  # fmt: skip
        made[i] = random.choice(pool)
    return "".join(made) + at + tail


def unique_sets(table: Table) -> list[tuple[str, ...]]:
    """Columns that hold each value once; of expressions nothing is known but the columns that are named."""
    found = [each.columns for each in table.constraints if each.kind in ("primary", "unique")]
    found += [
        tuple(name for name in index.columns if name is not None) or tuple(
            column.name for column in table.columns if column.name in index.definition
        )
        for index in table.indexes if index.unique and not index.primary
    ]  # fmt: skip
    return [each for each in dict.fromkeys(found) if each]


def _has_rows(connection: Connection, table: Table) -> bool:
    return connection.execute(f"select from {ident(table.schema, table.name)} limit 1".encode()).fetchone() is not None
