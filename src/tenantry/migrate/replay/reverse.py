"""Carry changed rows of the target back into the source: one round's worth, within the caller's transaction.

Parents first: for the rows looked at, what the source says is derived again and compared with the target, and what differs is
written, all rows of a table in one statement. Where the server refuses a statement its rows are halved until single ones are
left; these are tried again when everything else is done, and what is refused then is a conflict, recorded and not retried.
Deletes come last, in one statement for all tables; a row to which others refer that stay is a conflict as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg import sql as psql

from tenantry.derivation.reverse.columns import WAITS
from tenantry.derivation.reverse.refused import list_refused
from tenantry.derivation.reverse.strangers import (
    MOVE,
    TABLES,
    doubtful,
    find_strangers,
    list_strangers,
    stranger_keys,
    strangers_in,
    without_strangers,
)
from tenantry.derivation.reverse.write import CHANGED, SourceTable, reverse_statements, waiting
from tenantry.errors import ManifestError, TransformFailed
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.manifest.positions import Key, Places, Problem, in_order
from tenantry.mapping import Project
from tenantry.mapping.check_downs import check_downs
from tenantry.mapping.expressions import Expressions
from tenantry.migrate.copy.ranges import PYTHON_BATCH, apply_function
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.migrate.verify.compare import mended_mappings
from tenantry.postgres import about, ident, literal, load_blocks, verbatim

_ANALYZE_FROM = 100
_AT_ONCE = 256
"""Of so many rows that are refused together each is tried by itself."""
_UNIQUE = "23505"
_WITHHELD = "the server's message is withheld: the table holds secrets"


@dataclass
class Counts:
    """What became of the rows of one source table."""

    inserted: int = 0
    updated: int = 0
    deleted: int = 0
    kept: int = 0
    """Rows and cells that are in the target only."""
    conflicts: int = 0


@dataclass(frozen=True)
class Reversed:
    """What one round did, by source table; tables of which nothing was looked at are not there."""

    tables: dict[str, Counts] = field(default_factory=dict)

    def _sum(self, name: str) -> int:
        return sum(getattr(counts, name) for counts in self.tables.values())

    @property
    def inserted(self) -> int:
        return self._sum("inserted")

    @property
    def updated(self) -> int:
        return self._sum("updated")

    @property
    def deleted(self) -> int:
        return self._sum("deleted")

    @property
    def kept(self) -> int:
        return self._sum("kept")

    @property
    def conflicts(self) -> int:
        return self._sum("conflicts")

    @property
    def written(self) -> int:
        """Rows of the source that are not as they were."""
        return self.inserted + self.updated + self.deleted


class Reverser:
    """Carries changes of one project's target back into its source.

    Raises:
        ManifestError: [source.down] does not fit.
    """

    def __init__(self, project: Project) -> None:
        places = Places(str(project.manifest.path), project.manifest.text)
        problems: list[Problem] = []

        def say(key: Key, message: str) -> None:
            problems.append(places.problem(key, message))

        check_downs(project.manifest, project.source, project.target, say, Expressions(say))
        if problems:
            raise ManifestError(in_order(problems))
        self.project = project
        self.tables = reverse_statements(project)
        self.documented = {mapping.source.name for mapping in project if any(column.ids for column in mapping.columns)}
        """Source tables with documents in which ids of other rows stand."""

    def apply(self, connection: Connection, changed: str = "pg_temp.tenantry_changed") -> Reversed:
        """Bring the source in line with these rows of the target, in the transaction that the caller has begun.

        Args:
            changed: a table (table_name text, legacy_id text) of rows that changed, came or went.

        Raises:
            TransformFailed: a Python function cannot run at all; nothing of the round may be kept.
            psycopg.Error: what no single row is to blame for; likewise.
        """
        refused: dict[tuple[str, str], _Failure] = {}
        while True:
            try:
                with connection.transaction():
                    return _Round(connection, self, refused).run(changed)
            except _UnreadableError as error:
                refused |= error.rows


@dataclass
class _Failure:
    """A row that was refused."""

    kind: str
    reason: str
    unique: bool = False


class _UnreadableError(Exception):
    """What was written to some rows cannot be read from the source again; nothing of the round is kept."""

    def __init__(self, rows: dict[tuple[str, str], _Failure]) -> None:
        super().__init__()
        self.rows = rows


class _Round:
    """One call of apply.

    Args:
        refused: rows that are left out, and why.
    """

    def __init__(self, connection: Connection, reverser: Reverser, refused: dict[tuple[str, str], _Failure]) -> None:
        self.connection = connection
        self.tables = reverser.tables
        self.project = reverser.project
        self.documented = reverser.documented
        self.mended = mended_mappings(connection)
        self.blocks = load_blocks("tenantry.migrate.replay", "reverse_round")
        self.failures: dict[tuple[str, str], _Failure] = dict(refused)
        self.made: dict[str, SourceTable] = {}
        self.counts: dict[str, Counts] = {}
        self.refused: dict[str, set[str]] = {}
        for name, key in refused:
            self.refused.setdefault(name, set()).add(key)
        self.strangers: dict[str, set[str]] = {}
        """Keys of source tables whose old id stands in several tenants: looked at again when the place may be free."""
        self.both = False
        """Both sides are written, and the source has changed rows that are not carried over yet."""
        self.whole: set[str] = set()
        """Tables whose work table still tells of every row looked at, as it is now."""

    def run(self, changed: str) -> Reversed:
        execute = self.connection.execute
        # A constraint that waits for the commit would refuse there, where no single row can be told.
        execute("set constraints all immediate")
        self._script(self.blocks["tables"])
        for statement in TABLES:
            execute(statement)
        self._see_strangers(self.tables)
        row = execute("select to_regclass('pg_temp.tenantry_entry') is not null").fetchone()
        self.both = bool(row and row[0]) and execute("select from tenantry_entry limit 1").fetchone() is not None
        execute(
            f"insert into {CHANGED} select distinct table_name, legacy_id from {changed} where legacy_id is not null"
        )
        self._pass({str(row[0]) for row in execute(f"select distinct table_name from {CHANGED}").fetchall()})
        self._pass_waiting()
        self._delete()
        self._retry()
        self._pass_waiting()
        self._delete()
        self._park()
        self._settle()
        self._conflicts()
        self._list_strangers()
        self._forget_moves()
        return Reversed(self.counts)

    # -- passes ------------------------------------------------------------------------------------------------------

    def _pass(self, targets: set[str]) -> None:
        """Inserts and updates of the source tables that these target tables are made of, parents first; once more for the rows
        that refer to one which was not there yet."""
        waits: dict[str, list[str]] = {}
        for table in self.tables:
            if not targets & {part.target for part in table.parts}:
                continue
            new = table.name not in self.made
            self._open(table)
            self.connection.execute(f"update {table.keys} set now = false where now")
            with about(f"the way back into {table.sql}"):
                for texts in table.changed_keys():
                    self.connection.execute(table.add_keys(texts))
                self._examine(table)
                written = self._write(table)
            if written == 0 and new:
                self.whole.add(table.name)
            else:
                self.whole.discard(table.name)
            waits[table.name] = self._waiting(table)
        progress = True
        while progress:
            progress = False
            for table in self.tables:
                keys = waits.get(table.name)
                if keys:
                    self._examine(table, keys)
                    self.whole.discard(table.name)
                    progress = self._write(table) > 0 or progress
                    waits[table.name] = self._waiting(table)

    def _pass_waiting(self) -> None:
        """Rows that an earlier round kept because a parent was not in the source, which is by now."""
        while True:
            reasons = [
                waiting(part.target) for table in self.made.values() if self._inserted(table) for part in table.parts
            ]
            again = self.connection.execute(self.blocks["waiting"], {"reasons": reasons}).fetchall() if reasons else []
            if not again:
                return
            self._pass({str(row[0]) for row in again})

    def _open(self, table: SourceTable) -> None:
        if table.name in self.made:
            return
        for statement in (*table.make_tables(), *table.clear_tables(all_keys=True)):
            self.connection.execute(statement)
        self.made[table.name] = table
        self.counts[table.name] = Counts()

    def _examine(self, table: SourceTable, keys: Sequence[str] | None = None) -> None:
        """Compare the rows of these keys, or of those that are marked; rows with which SQL of the manifest fails are left out."""
        if keys is not None:
            self.connection.execute(f"update {table.keys} set now = key = any (%s)", [list(keys)])
        refused = self.refused.setdefault(table.name, set())
        if refused:
            self.connection.execute(f"update {table.keys} set now = false where key = any (%s)", [list(refused)])
        try:
            with self.connection.transaction():
                self._compare(table)
            return
        except ROW_ERRORS:
            marked = [
                str(row[0]) for row in self.connection.execute(f"select key from {table.keys} where now").fetchall()
            ]
        self._find_refused(table, marked)
        self.connection.execute(
            f"update {table.keys} set now = key = any (%s)", [[k for k in marked if k not in refused]]
        )
        self._compare(table)

    def _find_refused(self, table: SourceTable, keys: Sequence[str]) -> None:
        """Halve the rows until those are found whose comparison fails."""
        try:
            with self.connection.transaction(force_rollback=True):
                self.connection.execute(f"update {table.keys} set now = key = any (%s)", [list(keys)])
                self._compare(table)
        except ROW_ERRORS as error:
            if len(keys) == 1:
                self.refused[table.name].add(keys[0])
                self.failures[table.name, keys[0]] = _Failure("value", _reason(table, error))
                return
            middle = len(keys) // 2
            self._find_refused(table, keys[:middle])
            self._find_refused(table, keys[middle:])

    def _compare(self, table: SourceTable) -> None:
        execute = self.connection.execute
        for statement in table.clear_tables(all_keys=False):
            execute(statement)
        large = self._count(f"{table.keys} where now") >= _ANALYZE_FROM
        if large:
            execute(f"analyze {table.keys}")
        rows, *links = table.read_rows()
        execute(rows)
        if large:
            execute(f"analyze {table.rows}")
        for position in range(len(table.parts)):
            execute(table.derive(position, self.mended))
        if self._find_strangers(table):
            rows, *links = table.read_rows()
        for statement in links:
            execute(statement)
        for position, part in enumerate(table.parts):
            if large and part.link != "same":
                execute(f"analyze {table.link(position)}")
            if part.mapping.python_columns:
                self._take_back(table, position)
        execute(table.compare())
        if self.both and (contested := self.strangers.get(table.name)):
            # In the dual-write window the source's row, which it has changed, stands: it is about to be carried over.
            execute(
                f"delete from {table.work} w using tenantry_entry e where e.table_name = %s and e.key = w.key and w.key = any (%s)",
                [table.name, sorted(contested)],
            )
        for statement in table.collect_gone():
            execute(statement)

    def _find_strangers(self, table: SourceTable) -> bool:
        """Whose the places are that rows of several tenants, or of another one than the source says, claim. True where some are
        strangers, or were."""
        execute = self.connection.execute
        found = False
        for position, part in enumerate(table.parts):
            if not self.project.scoped(part.target):
                continue
            execute("delete from pg_temp.tenantry_claim")
            execute(table.claims(part))
            if part.target in table.strangers:
                execute(table.forget_strangers(part))
            if execute(doubtful(self.project, part, table.up(position))).fetchone() is None:
                continue
            found = True
            execute("delete from pg_temp.tenantry_says")
            execute(table.says(position, self.mended))
            for statement in find_strangers(self.project, part, CHANGED):
                execute(statement)
            keys = {str(row[0]) for row in execute(stranger_keys(part, table.keys)).fetchall()}
            self.strangers.setdefault(table.name, set()).update(keys)
        if found:
            self._see_strangers([table])
        return found

    def _see_strangers(self, tables: Sequence[SourceTable]) -> None:
        found = strangers_in(self.connection)
        for table in tables:
            table.strangers = found

    def _list_strangers(self) -> None:
        for name in self.strangers:
            table = self.made[name]
            self.connection.execute(f"update {table.keys} set now = true where not now")
            self.connection.execute(f"delete from {table.rows}")
            for position, part in enumerate(table.parts):
                if self.project.scoped(part.target):
                    self.connection.execute("delete from pg_temp.tenantry_claim")
                    self.connection.execute(table.claims(part))
                    statement = list_strangers(self.project, part, table.loser(position))
                    self.counts[name].conflicts += self.connection.execute(statement).rowcount

    def _forget_moves(self) -> None:
        """The source says by now what applications have moved, unless it refused something."""
        refused = {part.target for name, _ in self.failures for part in self.made[name].parts}
        self.connection.execute(
            f"delete from {MOVE} m using {CHANGED} c where m.table_name = c.table_name and m.legacy_id = c.legacy_id"
            " and m.table_name <> all (%s)",
            [sorted(refused)],
        )

    def _waiting(self, table: SourceTable) -> list[str]:
        rows = self.connection.execute(f"select key from {table.work} where waits is not null").fetchall()
        return [str(row[0]) for row in rows]

    def _inserted(self, table: SourceTable) -> bool:
        found = self.connection.execute(f"select from {table.keys} where state = 'inserted' limit 1").fetchone()
        return found is not None

    # -- writing -----------------------------------------------------------------------------------------------------

    def _write(self, table: SourceTable) -> int:
        """Write what the work table says; returns the rows written."""
        flags = ", ".join(f"bool_or(c[{j + 1}])" for j in range(len(table.slots)))
        row = self.connection.execute(
            f"select bool_or(ins), max(n){', ' + flags if flags else ''} from {table.work}"
        ).fetchone()
        assert row is not None
        places = [j for j, flag in enumerate(row[2:]) if flag]
        done = 0
        if places:
            done += self._attempt(
                table, "update", lambda condition: table.update(places, condition), row[1],
                lambda condition: self._updated(table, places, condition),
            )  # fmt: skip
        if row[0]:
            done += self._attempt(
                table, "insert", table.insert, row[1], lambda condition: self._inserted_now(table, condition)
            )
            done -= self._left_out(table)
        if done:
            self.whole.discard(table.name)
        return done

    def _updated(self, table: SourceTable, places: Sequence[int], condition: str) -> None:
        any_of = " or ".join(f"w.c[{j + 1}]" for j in places)
        self._mark(table, "updated", f"({any_of}) and {condition}")
        if self.mended & {part.mapping.name for part in table.parts}:
            self.connection.execute(table.unpatch(places, condition))

    def _inserted_now(self, table: SourceTable, condition: str) -> None:
        # What a document says of ids depends on which rows there are.
        self.whole -= self.documented
        self._mark(table, "inserted", f"w.ins and {condition}")
        for statement in table.born_parts(inserted=True):
            self.connection.execute(statement)

    def _mark(self, table: SourceTable, state: str, condition: str) -> None:
        self.connection.execute(
            f"update {table.keys} k set state = {literal(state)} from {table.work} w"
            f" where k.key = w.key and {condition} and k.state is distinct from 'inserted'"
        )

    def _left_out(self, table: SourceTable) -> int:
        statement = table.left_out()
        if statement is None:
            return 0
        keys = [str(row[0]) for row in self.connection.execute(statement).fetchall()]
        if keys:
            self.connection.execute(f"update {table.keys} set state = null where key = any (%s)", [keys])
            for key in keys:
                self.failures[table.name, key] = _Failure(
                    "insert", f"the filter of the manifest leaves {table.name} rows like it out"
                )
        return len(keys)

    def _attempt(
        self,
        table: SourceTable,
        kind: str,
        statement: Callable[[str], str],
        last: int,
        then: Callable[[str], None] = lambda _condition: None,
    ) -> int:
        """Do it for all rows, or for all but those that are refused; returns the rows written.

        Args:
            statement: what writes the rows of a condition.
            last: the highest number of a row.
            then: is called with the condition of what was written.
        """

        def attempt(low: int, high: int, condition: str) -> int:
            try:
                with self.connection.transaction():
                    done = self.connection.execute(statement(condition)).rowcount
                    then(condition)
                    return done
            except ROW_ERRORS:
                if high - low <= _AT_ONCE:
                    return self._each(table, kind, statement, low, high, then)
                middle = (low + high) // 2
                return attempt(low, middle, _between(low, middle)) + attempt(middle, high, _between(middle, high))

        return attempt(1, last + 1, "true")

    def _each(
        self,
        table: SourceTable,
        kind: str,
        statement: Callable[[str], str],
        low: int,
        high: int,
        then: Callable[[str], None],
    ) -> int:
        """Each of some rows by itself, within the server: whoever has many rows refused does not hold up all others."""
        refused = self.connection.execute(
            f"select n, code, said from {JOURNAL}.try_each(%s, %s, %s)", [statement("w.n = $1"), low, high]
        ).fetchall()
        written = refused.pop()[2]
        for place, code, said in refused:
            self._failed(table, kind, int(place), str(code), str(said))
        names = ", ".join(str(int(place)) for place, _, _ in refused)
        condition = _between(low, high) + (f" and w.n not in ({names})" if names else "")
        then(condition)
        return int(written)

    def _failed(self, table: SourceTable, kind: str, place: int, code: str, said: str) -> None:
        source = table.gone if kind == "delete" else table.work
        row = self.connection.execute(f"select key from {verbatim(source)} where n = %s", [place]).fetchone()
        if row is not None:
            reason = _WITHHELD if _holds_secrets(table) else said
            self.failures[table.name, str(row[0])] = _Failure(kind, reason, code == _UNIQUE)

    def _retry(self) -> None:
        """Try again what was refused: what stood in its way may be done by now."""
        progress = True
        while progress:
            progress = False
            for table in self.tables:
                keys = [
                    key
                    for (name, key), failure in self.failures.items()
                    if name == table.name and failure.kind != "value"
                ]
                for key in keys:
                    del self.failures[table.name, key]
                keys += self.strangers.get(table.name, set()) - set(keys)
                if not keys:
                    continue
                self._examine(table, keys)
                self.whole.discard(table.name)
                progress = self._write(table) > 0 or progress

    def _park(self) -> None:
        """Rows that exchange unique values: all are given values that nobody has, then their own."""
        for table in self.tables:
            keys = [
                key
                for (name, key), failure in self.failures.items()
                if name == table.name and failure.kind == "update" and failure.unique
            ]
            while len(keys) > 1:
                refused = self._exchange(table, keys)
                if not refused:
                    for key in keys:
                        del self.failures[table.name, key]
                    break
                if refused == set(keys):
                    break
                keys = [key for key in keys if key not in refused]

    def _exchange(self, table: SourceTable, keys: Sequence[str]) -> set[str]:
        """The rows that are refused even so; nothing is changed unless there are none."""
        self._examine(table, keys)
        self.whole.discard(table.name)
        before = dict(self.failures)
        refused: set[str] = set()
        try:
            with self.connection.transaction():
                for statement in table.park():
                    self.connection.execute(statement)
                self._write(table)
                refused = {
                    key
                    for (name, key), failure in self.failures.items()
                    if name == table.name and before.get((name, key)) is not failure
                }
                if refused:
                    raise psycopg.Rollback
        except ROW_ERRORS:
            refused = set(keys)
        for key in refused:
            self.failures[table.name, key] = before[table.name, key]
        return refused

    # -- deleting ----------------------------------------------------------------------------------------------------

    def _delete(self) -> None:
        """Delete what has gone in the target, unless rows that stay refer to it."""
        going = [table for table in self.made.values() if self._count(table.gone)]
        if not going:
            return
        held = True
        while held:
            held = False
            for table in going:
                for child, statement in table.held_back(going):
                    rows = self.connection.execute(statement).fetchall()
                    held = held or bool(rows)
                    for row in rows:
                        self.failures[table.name, str(row[0])] = _Failure(
                            "delete", f"rows of {child} that stay in the source refer to it"
                        )
        going = [table for table in going if self._count(table.gone)]
        if not going:
            return
        parts = ", ".join(f"d{i} as ({table.delete()} returning 1)" for i, table in enumerate(going))
        try:
            with self.connection.transaction():
                self.connection.execute(
                    f"with {parts} select {', '.join(f'(select count(*) from d{i})' for i in range(len(going)))}"
                )
        except ROW_ERRORS:
            for table in reversed([each for each in self.tables if each in going]):
                self._delete_some(table)
        for table in going:
            counted = self._count(table.gone)
            self.counts[table.name].deleted += counted
            if counted:
                self.whole -= {table.name, *self.documented}
            for statement in table.forget():
                self.connection.execute(statement)
            self.connection.execute(f"update {table.keys} k set state = null from {table.gone} d where k.key = d.key")
            self.connection.execute(f"delete from {table.gone}")

    def _delete_some(self, table: SourceTable) -> None:
        self.connection.execute(
            f"update {table.gone} d set n = o.n from (select key, row_number() over (order by key) as n from {table.gone}) o"
            " where o.key = d.key"
        )
        before = set(self.failures)
        self._attempt(
            table, "delete", lambda condition: table.delete(condition.replace("w.n", "d.n")), self._count(table.gone)
        )  # fmt: skip
        failed = [key for name, key in set(self.failures) - before if name == table.name]
        failed += [key for (name, key), each in self.failures.items() if name == table.name and each.kind == "delete"]
        self.connection.execute(f"delete from {table.gone} where key = any (%s)", [failed])

    def _count(self, temporary: str) -> int:
        row = self.connection.execute(f"select count(*) from {temporary}").fetchone()
        assert row is not None
        return int(row[0])

    # -- Python transforms ---------------------------------------------------------------------------------------------

    def _take_back(self, table: SourceTable, position: int) -> None:
        """What Python made, through its `down`, into the temporary table that the comparison joins."""
        part = table.parts[position]
        columns = part.mapping.python_columns
        wanted = ", ".join(f"t.{ident(column.name)}" for column in columns)
        names = [f"{kind}{n}" for n in range(len(columns)) for kind in ("b", "ok")]
        rows = self.connection.execute(
            f"select l.key, {wanted} from {table.link(position)} l join"
            f" {table.target_sql(part)} t on t.legacy_id = l.legacy"
        ).fetchall()
        command = psql.SQL("copy {} ({}) from stdin").format(
            psql.Identifier(table.python(position).removeprefix("pg_temp.").strip('"')),
            psql.SQL(", ").join(psql.Identifier(name) for name in ["key", *names]),
        )
        for first in range(0, len(rows), PYTHON_BATCH):
            batch = rows[first : first + PYTHON_BATCH]
            made = [self._through(table, position, n, [row[1 + n] for row in batch]) for n in range(len(columns))]
            with self.connection.cursor() as cursor, cursor.copy(command) as pipe:
                for place, row in enumerate(batch):
                    pipe.write_row([row[0], *(value for values in made for value in values[place])])

    def _through(self, table: SourceTable, position: int, n: int, values: Sequence[Any]) -> list[tuple[Any, bool]]:
        """Each value through `down`, and whether it was taken; a value that is refused is told from a `down` that cannot run."""
        part = table.parts[position]
        column = part.mapping.python_columns[n]
        assert column.python is not None
        where = f"{part.mapping.name}.{column.name}"
        try:
            return [(value, True) for value in apply_function(column.python.down, values, where)]
        except TransformFailed:
            sample = self.connection.execute(
                f"select s.{ident(column.source or column.name)} from {table.sql} s"
                f" where s.{ident(column.source or column.name)} is not null limit 1"
            ).fetchone()
            if sample is None:
                raise
            apply_function(column.python.down, apply_function(column.python.up, [sample[0]], where), where)
        made: list[tuple[Any, bool]] = []
        for value in values:
            try:
                made.append((apply_function(column.python.down, [value], where)[0], True))
            except TransformFailed:
                made.append((None, False))
        return made

    # -- what is left ------------------------------------------------------------------------------------------------

    def _settle(self) -> None:
        """Compare once more, and list what the target alone has."""
        execute = self.connection.execute
        for table in self.made.values():
            execute(f"update {table.keys} set now = true where not now")
            if table.name not in self.whole:
                before = set(self.refused.get(table.name, ()))
                self._examine(table)
                self._need_readable(table, self.refused[table.name] - before)
                execute(f"delete from {table.gone}")
            counted = execute(
                f"select count(*) filter (where state = 'inserted'), count(*) filter (where state = 'updated') from {table.keys}"
            ).fetchone()
            assert counted is not None
            counts = self.counts[table.name]
            counts.inserted, counts.updated = counted
            for query in table.examined():
                execute(f"insert into tenantry_examined {query}")
            for query in table.placed():
                execute(f"insert into tenantry_placed {query}")
            for statement in table.born_parts():
                execute(statement)
            for query in table.kept():
                execute(f"insert into tenantry_keep select {literal(table.name)}, * from ({query}) z")
        for table in self.made.values():
            for query in table.alone():
                execute(
                    f"insert into tenantry_keep select {literal(table.name)}, z.a, z.b, '', z.c from ({query}) z (a, b, c)"
                    " where not exists (select from tenantry_placed p where p.table_name = z.a and p.legacy_id = z.b)"
                )
        for name, refused in self.refused.items():
            for part in self.made[name].parts:
                legacies = [f"{part.mapping.legacy_prefix}{key}" for key in refused]
                execute(
                    "insert into tenantry_keep select %s, %s, t.legacy_id, '', 'refused: see tenantry.conflict' from"
                    f" {verbatim(self.made[name].target_sql(part))} t where t.legacy_id = any (%s)",
                    [name, part.target, legacies],
                )
        self._foreign()
        for name, contested in self.strangers.items() if self.both else ():
            for part in self.made[name].parts:
                # What the source has changed of these is about to be carried over.
                execute(
                    "delete from tenantry_keep k using tenantry_entry e where k.table_name = %s and e.table_name = %s"
                    " and k.legacy_id = %s || e.key and e.key = any (%s)",
                    [part.target, name, part.mapping.legacy_prefix, sorted(contested)],
                )
        self._script("insert into tenantry_examined select table_name, legacy_id from tenantry_look")
        self._script(self.blocks["list_kept"])
        for name, count in execute(
            "select source_table, count(*) from (select distinct source_table, table_name, legacy_id, column_name"
            " from tenantry_keep) z group by 1"
        ).fetchall():
            self.counts[name].kept = count

    def _need_readable(self, table: SourceTable, refused: set[str]) -> None:
        """What was written must be readable as what the source says, or every comparison would fail there.

        Raises:
            _UnreadableError: it is not.
        """
        if not refused:
            return
        written = self.connection.execute(
            f"select key from {verbatim(table.keys)} where key = any (%s) and state is not null", [sorted(refused)]
        ).fetchall()
        if written:
            raise _UnreadableError({(table.name, str(key)): self.failures[table.name, str(key)] for (key,) in written})

    def _foreign(self) -> None:
        """Rows of the target whose old id is none of a source table: born beside keys that are numbers, or several columns."""
        for table in self.made.values():
            for part in table.parts:
                if part.natural and (query := table.without_place(part)):
                    self.connection.execute(
                        f"insert into tenantry_keep select {literal(table.name)}, {literal(part.target)}, z.legacy_id, '',"
                        f" {literal(WAITS[0])} || z.parent || {literal(WAITS[1])} from ({query}) z where z.parent is not null"
                        " and not exists (select from tenantry_placed p where p.table_name ="
                        f" {literal(part.target)} and p.legacy_id = z.legacy_id)"
                    )
        for name, mappings in self.project.by_target.items():
            first = mappings[0].source.name
            if first not in self.made:
                continue
            self.connection.execute(
                f"insert into tenantry_keep select {literal(first)}, c.table_name, c.legacy_id, '', 'its id is no id of a source table'"
                f" from {CHANGED} c join {without_strangers(self.project, name)} t on t.legacy_id = c.legacy_id"
                f" where c.table_name = {literal(name)}"
                " and not exists (select from tenantry_placed p where p.table_name = c.table_name and p.legacy_id = c.legacy_id)"
                " and not exists (select from tenantry_keep k where k.table_name = c.table_name and k.legacy_id = c.legacy_id"
                " and k.column_name = '')"
            )

    def _conflicts(self) -> None:
        """List what was refused, each row once for a reason: its line says what the row was last."""
        refused: dict[str, list[tuple[str, _Failure]]] = {}
        for (name, key), failure in self.failures.items():
            refused.setdefault(name, []).append((key, failure))
        for name, failures in refused.items():
            table = self.made[name]
            self.counts[name].conflicts += len(failures)
            self.connection.execute("delete from tenantry_refused")
            self.connection.execute(
                "insert into tenantry_refused select * from unnest(%s::text[], %s::text[], %s::text[])",
                [
                    [key for key, _ in failures],
                    [failure.kind for _, failure in failures],
                    [failure.reason for _, failure in failures],
                ],
            )
            for position in range(len(table.parts)):
                self.connection.execute(list_refused(table, position))

    def _script(self, text: str) -> None:
        for statement in text.split(";\n"):
            self.connection.execute(statement)


def _holds_secrets(table: SourceTable) -> bool:
    return any(part.mapping.secrets for part in table.parts)


def _reason(table: SourceTable, error: psycopg.Error) -> str:
    """What the server said, unless it may have named a secret."""
    if _holds_secrets(table):
        return _WITHHELD
    return error.diag.message_primary or type(error).__name__


def _between(low: int, high: int) -> str:
    return f"w.n >= {low} and w.n < {high}"


__all__ = ["Counts", "Reversed", "Reverser"]
