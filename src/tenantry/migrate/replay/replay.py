"""Replay: carry what applications changed in the source over to the target, round by round.

A round is one REPEATABLE READ transaction. It takes the entries of the log that it sees (and removes exactly these), finds
all rows that derive from them, derives these again from the same snapshot of the source, and brings the target in line.
So a round can be repeated, the order of entries does not matter, and what becomes visible later is the next round's.

What derives from a changed row is found along the mappings: a row whose id or tenant changed in the target, which came or
went, takes along the rows that refer to it. Rows in quarantine wait under the key of the parent that they miss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import product

import psycopg
from psycopg import errors as pg

from tenantry.accounts.decide import link_statement, profile_mapping
from tenantry.accounts.make import account_keys, account_statements
from tenantry.derivation.forward import effective_source, merge_keys, qualified_order
from tenantry.derivation.keys import (
    comparable,
    equal,
    key_parts_sql,
    mapping_key,
    plain_text,
    reference_text,
    references_equal,
    same_key,
)
from tenantry.derivation.pilot import Draw, Inside
from tenantry.derivation.reverse import moved
from tenantry.derivation.reverse.columns import FEWER_DIGITS
from tenantry.derivation.reverse.write import as_shown
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import Mapping, Project, Reference
from tenantry.mapping.project import ROW_ID
from tenantry.mapping.reasons import written
from tenantry.migrate.copy.ranges import run_python
from tenantry.migrate.replay.both_sides import TABLES as BOTH_TABLES
from tenantry.migrate.replay.target_only import LEFT_TABLES, LeftAlone
from tenantry.postgres import about, ident, idents, literal, literals
from tenantry.statements.copy import RUN, copy_statement
from tenantry.statements.merge import merging

ROUND_ENTRIES = 50_000
"""Log entries that one round takes at most, however quick it is: bounds what a kill costs."""

BOTH_LEAST = 20
"""Log entries of the source that a round takes at least while both sides are written, however long they take."""

ROUND_SECONDS = 1.0
"""How long a round shall take, about: while it lasts, whoever wants to truncate or alter a table that it reads must wait, and
everybody else behind him."""

EVERYTHING = 1_000_000_000
"""As a limit of entries: all that are visible."""

ROW_ERRORS = (pg.DataError, pg.IntegrityError, pg.RaiseException, pg.ProgramLimitExceeded)

_TABLES = """
create temporary table if not exists tenantry_entry (table_name text not null, key text, at timestamptz, stated boolean) on commit delete rows;
create temporary table if not exists tenantry_changed (table_name text not null, legacy_id text, at timestamptz, stated boolean)
    on commit delete rows;
create temporary table if not exists tenantry_dirty (m int not null, key text not null) on commit delete rows;
create temporary table if not exists tenantry_touched (m int not null, key text not null) on commit delete rows;
create temporary table if not exists tenantry_batch (key text primary key) on commit delete rows;
create temporary table if not exists tenantry_all (key text primary key) on commit delete rows;
create temporary table if not exists tenantry_before (key text, id uuid, tenant uuid, extra text) on commit delete rows;
create temporary table if not exists tenantry_after (key text, id uuid, tenant uuid, extra text) on commit delete rows;
create temporary table if not exists tenantry_account (key text primary key) on commit delete rows;
create temporary table if not exists tenantry_patch (key text, patch jsonb, since timestamptz) on commit delete rows;
create temporary table if not exists tenantry_known (key text) on commit delete rows;
create temporary table if not exists tenantry_gone (name text, legacy text, primary key (name, legacy)) on commit delete rows;
create temporary table if not exists tenantry_was (m int, key text, id uuid, tenant uuid) on commit delete rows;
create temporary table if not exists tenantry_moved
    (key text, old_id uuid, old_tenant uuid, born boolean, moved boolean, extra boolean, named boolean) on commit delete rows;
"""


_STATES = ("all", "before", "after", "moved", "known")
"""What is remembered of the rows of one mapping while they are derived."""


@dataclass
class Round:
    """What one round did. Times in seconds."""

    entries: int = 0
    keys: int = 0
    rows: int = 0
    refused: int = 0
    oldest: float = 0.0
    """Age in seconds of the oldest entry that it took."""
    complete: bool = True
    """It took all entries that it saw. If not, rows may stand beside others that are not up to date: they are not compared yet."""
    reversed_entries: int = 0
    """Entries of the target's log."""
    conflicts: int = 0


class Pace:
    """How many entries a round takes: as many as lately were carried over in some seconds."""

    def __init__(self, *, seconds: float = ROUND_SECONDS, least: int = 2_000, first: int = ROUND_ENTRIES // 5) -> None:
        self._seconds, self._least = seconds, least
        self.limit = first

    def tell(self, entries: int, seconds: float) -> None:
        """What a round of this limit did, and how long it took."""
        if seconds > 2 * self._seconds:
            self.limit = max(self._least, int(min(entries, self.limit) * self._seconds / seconds))
        elif entries >= self.limit and seconds < self._seconds / 2:
            self.limit = min(ROUND_ENTRIES, 2 * self.limit)

    def less(self) -> None:
        """A round of this limit was given up."""
        self.limit = max(self._least, self.limit // 4)


class TooLong(Exception):
    """A round has taken longer than writers may wait behind it; nothing of it is kept."""


@dataclass(frozen=True)
class _Child:
    """A mapping whose rows refer to those of another one."""

    position: int
    mapping: Mapping
    ref: Reference
    column: str | None
    """The target column that holds the reference, where there is one."""
    enforced: bool
    """The source has a valid foreign key for it, so that no row can be older than the row that it refers to."""
    lenient: bool
    """Something stands in for a row that does not exist."""


class Replayer:
    """Applies changes of one project's source to its target, over one connection.

    Every method must be called within the round's transaction, but for `prepare`.
    """

    def __init__(self, project: Project) -> None:
        self.project = project
        self._mended: frozenset[str] = frozenset()
        self._positions = {mapping.name: i for i, mapping in enumerate(project.mappings)}
        self._made: set[int] = set()
        self._making: set[int] = set()
        self._statements: dict[tuple[int, frozenset[str]], str] = {}
        self._profiles = profile_mapping(project)
        self._trial = bool(project.trial)
        self._left_alone = LeftAlone(project)
        self.deadline: float | None = None
        """Of a round behind which writers wait: by time.monotonic()."""
        # Whether entries may have been left out by the round before this one, which may have been another process's.
        self._loose = True
        self._still_loose = True

    # -- the round ---------------------------------------------------------------------------------------------------

    @staticmethod
    def begin(connection: Connection) -> None:
        """The session's temporary tables; once for a connection, outside of a round."""
        for tables in (_TABLES, BOTH_TABLES, LEFT_TABLES):
            connection.execute(tables)

    def take(self, connection: Connection, limit: int = EVERYTHING, *, also: str | None = None) -> Round:
        """Take entries from the log: the first statement of a round, whose snapshot all others share.

        Args:
            also: a condition over further entries, while both sides are written.
        """
        entries, oldest = take_log(
            connection,
            "source_log",
            "tenantry_entry (table_name, key, at, stated)",
            limit,
            side="source" if also else None,
            also=also,
        )
        complete = entries < limit
        self._loose, self._still_loose = self._still_loose or not complete, not complete
        return Round(entries=entries, oldest=oldest, complete=complete)

    def apply(self, connection: Connection, done: Round, *, thorough: bool = False) -> Round:
        """Bring the target in line with the source for all entries taken.

        Args:
            thorough: what was copied was read at different moments, so that a row counts as moved even if it already
                stands in the target as it should: others may have seen it otherwise.
        """
        self._mark(connection)
        return self.settle(connection, done, thorough=thorough)

    def settle(self, connection: Connection, done: Round, *, thorough: bool = False) -> Round:
        """Derive everything that is marked as dirty, and what follows from it, until nothing is left."""
        self._mended = _mended(connection)
        self._making.clear()
        self._left_alone.begin(connection)
        connection.execute("set constraints all deferred")
        while True:
            todo = {int(row[0]) for row in connection.execute("select distinct m from tenantry_dirty").fetchall()}
            if not todo:
                if not self._sweep(connection):
                    break
                continue
            for position, mapping in enumerate(self.project.mappings):
                if position in todo or self._is_dirty(connection, position):
                    with about(str(mapping)):
                        self._mapping(connection, position, mapping, done, thorough=thorough)
        done.conflicts += self._left_alone.settle(connection)
        row = connection.execute("select count(*) from tenantry_touched").fetchone()
        assert row is not None
        done.keys = int(row[0])
        return done

    def mark(self, connection: Connection, mapping: Mapping, keys: Sequence[str]) -> None:
        """Have these source rows derived again, whatever the log says."""
        connection.execute(
            "insert into tenantry_dirty select %s, k from unnest(%s::text[]) k",
            [self._positions[mapping.name], list(keys)],
        )

    def mark_all(self, connection: Connection, mapping: Mapping) -> None:
        """Look at a whole table again, also at what is no longer there."""
        position = self._positions[mapping.name]
        source, key = ident(self.project.source.schema, mapping.source.name), mapping_key(mapping)
        connection.execute(
            f"insert into tenantry_dirty select {position}, z.k from (select {key} from {source} s"
            f" union select {_stripped(mapping, 't')} from {self._target(mapping)} t{_mine(mapping, ' where')}"
            f" union select source_key from {JOURNAL}.merged where mapping = {literal(mapping.name)}"
            f" union select source_key from {JOURNAL}.quarantine where mapping = {literal(mapping.name)} and state = 'open'"
            ") z (k)"
        )

    # -- marking -----------------------------------------------------------------------------------------------------

    def _mark(self, connection: Connection) -> None:
        names = ", ".join(
            f"({position}, {literal(mapping.source.name)})" for position, mapping in enumerate(self.project.mappings)
        )
        connection.execute(
            f"insert into tenantry_dirty select n.m, e.key from tenantry_entry e join (values {names}) n (m, name)"
            " on n.name = e.table_name where e.key is not null"
        )
        truncated = connection.execute("select table_name from tenantry_entry where key is null").fetchall()
        for (table,) in truncated:
            for mapping in self.project.of_source(table):
                self.mark_all(connection, mapping)
        if any(mapping.reads for mapping in self.project):
            changed = {str(row[0]) for row in connection.execute("select distinct table_name from tenantry_entry")}
            for mapping in self.project:
                if changed & set(mapping.reads):
                    self.mark_all(connection, mapping)

    def _in_time(self) -> None:
        if self.deadline is not None and time.monotonic() > self.deadline:
            raise TooLong

    def _is_dirty(self, connection: Connection, position: int) -> bool:
        return connection.execute("select from tenantry_dirty where m = %s limit 1", [position]).fetchone() is not None

    # -- one mapping -------------------------------------------------------------------------------------------------

    def _mapping(self, connection: Connection, position: int, mapping: Mapping, done: Round, *, thorough: bool) -> None:
        self._in_time()
        _clear(connection, "batch")
        connection.execute(
            "with gone as (delete from tenantry_dirty where m = %s returning key)"
            " insert into tenantry_batch select distinct key from gone",
            [position],
        )
        if self._trial and self._bring_along(connection, position, mapping):
            # First those who came along: parents come before their children in the next turn.
            connection.execute(f"insert into tenantry_dirty select {position}, key from tenantry_batch")
            return
        # Outside of what is taken back when a row is refused.
        self._table(connection, position, mapping)
        for evict in (False, True):
            try:
                with connection.transaction():
                    done.rows += self._derive(connection, position, mapping, thorough=thorough, evict=evict)
                    return
            except pg.UniqueViolation:
                continue  # perhaps of rows that pass a value on to each other, also to some whose entries wait in the log
            except ROW_ERRORS:
                break  # some row of many: looked for below
        keys = [str(row[0]) for row in connection.execute("select key from tenantry_batch order by key").fetchall()]
        self._one_by_one(connection, position, mapping, keys, done, thorough=thorough)

    def _one_by_one(
        self,
        connection: Connection,
        position: int,
        mapping: Mapping,
        keys: Sequence[str],
        done: Round,
        *,
        thorough: bool,
    ) -> None:
        """Halve what failed until single rows are left. Some only stood in another's way, and go when that has moved; two
        that exchange a unique value go when both have been taken out; what is left is refused, row by row."""
        failed: dict[str, psycopg.Error] = {}

        def attempt(some: Sequence[str]) -> None:
            self._in_time()
            for evict in (False, True):
                try:
                    with connection.transaction():
                        _fill(connection, some)
                        done.rows += self._derive(connection, position, mapping, thorough=thorough, evict=evict)
                        return
                except ROW_ERRORS as error:
                    if isinstance(error, pg.UniqueViolation) and not evict:
                        continue
                    if len(some) == 1:
                        failed[some[0]] = error
                        return
                    break
            attempt(some[: len(some) // 2])
            attempt(some[len(some) // 2 :])

        attempt(keys)
        while failed:
            again, before = list(failed), len(failed)
            failed.clear()
            for key in again:
                attempt([key])
            if len(failed) == before:
                break
        if failed:
            again = list(failed)
            failed.clear()
            with connection.transaction():
                # Their dependents find them gone and come again, then find them there.
                _fill(connection, again)
                _clear(connection, *_STATES)
                connection.execute("insert into tenantry_all select key from tenantry_batch")
                connection.execute(self._state(mapping, "batch", "before"))
                self._take_out(connection, mapping, "tenantry_batch")
                self._spread(connection, position, mapping, thorough=thorough)
            for key in again:
                attempt([key])
        plain = {
            index.name for index in mapping.target.indexes if set(index.columns) <= {c.name for c in mapping.columns}
        }
        for key, error in failed.items():
            if (
                not done.complete
                and isinstance(error, pg.UniqueViolation | pg.ExclusionViolation)
                and error.diag.constraint_name not in plain
            ):
                # Whose value it is cannot be told, and the entry by which they gave it up may be among those not taken.
                raise error
            self._refuse(connection, position, mapping, key, error, thorough=thorough)
            done.refused += 1
        if mapping is self._profiles:
            # Those who were looked at one by one may be waiting for each other's addresses.
            _fill(connection, keys)
            self._accounts(connection, "tenantry_batch")

    def _refuse(
        self,
        connection: Connection,
        position: int,
        mapping: Mapping,
        key: str,
        error: psycopg.Error,
        *,
        thorough: bool,
    ) -> None:
        """A row that the server refuses goes to the quarantine, with what the server said."""
        said = (
            "the server's message is withheld: the table holds secrets"
            if mapping.secrets
            else error.diag.message_primary
        )
        _fill(connection, [key])
        _clear(connection, *_STATES)
        connection.execute("insert into tenantry_all select key from tenantry_batch")
        connection.execute(self._state(mapping, "batch", "before"))
        self._forget(connection, mapping)
        self._take_out(connection, mapping, "tenantry_batch")
        connection.execute(
            f"insert into {JOURNAL}.quarantine (run_id, mapping, source_table, source_key, original, problems, reason,"
            f" column_name, detail) select {RUN}, {literal(mapping.name)}, {literal(mapping.source.name)},"
            f" {mapping_key(mapping)}, to_json(s.*), 'row_refused', 'row_refused', {literal(error.diag.column_name)},"
            f" {literal(said)} from {self._rows(mapping)} s" + (f" where {mapping.where}" if mapping.where else "")
        )
        self._patch(connection, mapping)
        connection.execute("insert into tenantry_touched select %s, key from tenantry_batch", [position])
        self._spread(connection, position, mapping, thorough=thorough)

    def _derive(
        self, connection: Connection, position: int, mapping: Mapping, *, thorough: bool, evict: bool = False
    ) -> int:
        """The rows of the batch, from the source into the target; marks what follows from them. Returns rows written.

        Args:
            evict: rows that stand where one of the batch shall stand are derived with it, and taken out first where they give
                their place up.
        """
        new = _new(position)
        _clear(connection, *_STATES, new.removeprefix("tenantry_"))
        seen = self._is_parent(position, mapping)
        if mapping is self._profiles:
            connection.execute(link_statement(self.project, only=self._decided_on(mapping)))
        while True:
            if mapping.merge is not None:
                self._with_group(connection, mapping)
            connection.execute("analyze tenantry_batch")
            connection.execute("insert into tenantry_all select key from tenantry_batch on conflict do nothing")
            if seen:
                connection.execute(self._state(mapping, "batch", "before"))
                connection.execute(
                    f"with was as (delete from tenantry_was w using tenantry_batch b where w.m = {position}"
                    " and w.key = b.key returning w.key, w.id, w.tenant)"
                    " insert into tenantry_before select w.key, w.id, w.tenant, null from was w"
                    " where not exists (select from tenantry_before x where x.key = w.key)"
                )
            self._forget(connection, mapping)
            if mapping.python_columns:
                run_python(connection, self.project, mapping, "true", relation=self._rows(mapping))
            connection.execute(self._statement(position, mapping))
            self._patch(connection, mapping)
            if mapping.merge is not None and self._equals(connection, position, mapping):
                continue
            if not evict or not self._holders(connection, position, mapping):
                break
        if mapping.merge is not None:
            self._merge(connection, position, mapping)
        connection.execute("analyze tenantry_all")
        connection.execute(f"analyze {new}")
        for statement in moved.forget(self.project, mapping, "tenantry_all"):
            connection.execute(statement)
        self._let_go(connection, mapping, new)
        written = self._take_out(
            connection,
            mapping,
            "tenantry_all",
            f"not exists (select from {new} n where n.legacy_id = t.legacy_id)"
            # What has no source form is kept, and so has no source row.
            f" and not exists (select from {JOURNAL}.kept k where k.table_name = {literal(mapping.target.name)}"
            " and k.legacy_id = t.legacy_id and k.column_name = '')",
        )
        # What the source says takes the place of the row that stood for it, and was born in the target.
        written += self._take_out(
            connection,
            mapping,
            f"(select b.source_key as key, b.legacy_id from {JOURNAL}.born_part b join tenantry_all k on k.key = b.source_key"
            f" where b.mapping = {literal(mapping.name)}"
            f" and exists (select from {new} n where n.legacy_id = {_legacy(mapping, 'k.key')}))",
            legacy="a.legacy_id",
        )
        if evict:
            for condition in self._passed_on(position, mapping):
                self._take_out(connection, mapping, "tenantry_all", condition)
        if always := [column.name for column in mapping.columns if self._is_given_once(mapping, column.name)]:
            # GENERATED ALWAYS: the server changes no such number, but takes one with a row that is new.
            written += self._take_out(
                connection,
                mapping,
                "tenantry_all",
                f"exists (select from {new} n where n.legacy_id = t.legacy_id and ({idents(always, prefix='n')})"
                f" is distinct from ({idents(always, prefix='t')}))",
            )
        self._left_alone.note_changes(connection, mapping, new)
        for statement in self._write(position, mapping):
            written += max(0, connection.execute(statement).rowcount)
        connection.execute(f"insert into tenantry_touched select {position}, key from tenantry_all")
        # Rows that were derived are what the source says: of them only what no source column feeds is kept in the target.
        connection.execute(
            f"delete from {JOURNAL}.kept k using {new} n where k.table_name = {literal(mapping.target.name)}"
            f" and k.legacy_id = n.legacy_id and k.column_name = any (array[{literals(['', *_fed(mapping)])}])"
        )
        connection.execute(
            f"delete from {JOURNAL}.kept k using tenantry_all a where k.table_name = {literal(mapping.target.name)}"
            f" and k.legacy_id = {_legacy(mapping, 'a.key')} and k.column_name <> ''"
            f" and not exists (select from {self._target(mapping)} t where t.legacy_id = k.legacy_id)"
        )
        connection.execute(
            f"delete from {JOURNAL}.kept k using tenantry_all a join {JOURNAL}.born_part b on a.key in (b.legacy_id, b.source_key)"
            f" where b.mapping = {literal(mapping.name)} and k.table_name = {literal(mapping.target.name)}"
            " and k.legacy_id = b.legacy_id and k.column_name <> ''"
            f" and not exists (select from {self._target(mapping)} t where t.legacy_id = k.legacy_id)"
        )
        connection.execute(
            f"delete from {JOURNAL}.born_part b using tenantry_all a where b.mapping = {literal(mapping.name)}"
            f" and (b.legacy_id = {_legacy(mapping, 'a.key')} or b.source_key = a.key and not exists"
            f" (select from {self._target(mapping)} t where t.legacy_id = b.legacy_id))"
        )
        if mapping is self._profiles:
            self._accounts(connection, "tenantry_all")
        if seen:
            self._spread(connection, position, mapping, thorough=thorough)
        return written

    def _accounts(self, connection: Connection, keys: str) -> None:
        """The accounts of these people, and of those who have an address that one of them is to have."""
        _clear(connection, "account")
        connection.execute(f"insert into tenantry_account select key from {keys} on conflict do nothing")
        while connection.execute(account_keys(self.project, "tenantry_account")).rowcount:
            pass
        for statement in account_statements(self.project, only="select key from tenantry_account"):
            connection.execute(statement)

    def _decided_on(self, mapping: Mapping) -> str:
        """A select of the keys of those people of the batch for whom an account is decided on."""
        condition = self._compile().condition(mapping) if self._trial else None
        if condition is None:
            return "select key from tenantry_batch"
        return f"select {mapping_key(mapping)} from {self._rows(mapping)} s where {condition}"

    # -- trials ------------------------------------------------------------------------------------------------------

    def _compile(self) -> Inside:
        return Inside(
            self.project,
            lambda each: (
                effective_source(self.project, each)
                if each.name in self._mended
                else ident(self.project.source.schema, each.source.name)
            ),
        )

    def _bring_along(self, connection: Connection, position: int, mapping: Mapping) -> bool:
        """List rows without a tenant that come along with the batch, and mark them; True where there were any."""
        inside = self._compile()
        found = 0
        if mapping.merge is not None and inside.kinds[mapping.name] in ("people", "hanging"):
            found += self._same_come_along(connection, mapping)
        for draw in self._draws[position]:
            found += self._list(connection, draw.parent, inside.draw(draw, self._rows(mapping)))
        return found > 0

    def _same_come_along(self, connection: Connection, mapping: Mapping) -> int:
        """Rows of which one would stand for the other come along together."""
        name, key = literal(mapping.name), mapping.ours("key")
        assert mapping.merge is not None
        there = " or ".join(
            f"exists (select from {self._target(mapping)} t where {same})"
            for same in _same_values(mapping, mapping.merge.by, "t", "h", nulls=True)
        )
        listed = f"exists (select from {JOURNAL}.inside l where l.mapping = {name} and l.source_key = h.{key})"
        insert = f"insert into {JOURNAL}.inside (mapping, source_key)"
        few = self._rows(mapping)
        connection.execute("analyze tenantry_batch")
        one = f"{insert} select {name}, h.{key} from hashed h where not {listed} and ({there}) on conflict do nothing"
        found = self._list(connection, mapping, merging(self.project, mapping, one, rows=few, few=True))
        # A row with values that none has there: all rows are asked whether they mean the same.
        connection.execute("delete from tenantry_known")
        new = f"insert into tenantry_known select h.{key} from hashed h where {listed} and not ({there})"
        if connection.execute(merging(self.project, mapping, new, rows=few, few=True)).rowcount:
            same = (
                f"{insert} select {name}, a.{key} from hashed a where a.{mapping.ours('same')} in"
                f" (select b.{mapping.ours('same')} from hashed b join tenantry_known k on k.key = b.{key}) on conflict do nothing"
            )
            found += self._list(connection, mapping, merging(self.project, mapping, same))
            connection.execute("delete from tenantry_known")
        return found

    def _list(self, connection: Connection, parent: Mapping, statement: str) -> int:
        """Run a statement that lists rows of a mapping, and mark those."""
        return connection.execute(
            f"with listed as ({statement} returning source_key)"
            f" insert into tenantry_dirty select {self._positions[parent.name]}, source_key from listed"
        ).rowcount

    @cached_property
    def _draws(self) -> dict[int, list[Draw]]:
        found: dict[int, list[Draw]] = {position: [] for position in range(len(self.project.mappings))}
        for draw in Inside(self.project).draws():
            found[self._positions[draw.mapping.name]].append(draw)
        return found

    # -- parts of a derivation ---------------------------------------------------------------------------------------

    def _table(self, connection: Connection, position: int, mapping: Mapping) -> None:
        if position not in self._made:
            self._making.add(position)
            fields = ", ".join(f"{ident(column.name)} {column.type}" for column in mapping.columns)
            connection.execute(
                f"create temporary table if not exists {_new(position)} ({fields}) on commit delete rows"
            )

    def made(self) -> None:
        """The round has been committed, and with it the temporary tables that it made."""
        self._made |= self._making

    def _statement(self, position: int, mapping: Mapping) -> str:
        found = self._statements.get((position, self._mended))
        if found is None:
            found = copy_statement(
                self.project,
                mapping,
                rows=self._rows(mapping),
                into=_new(position),
                few=True,
                mended=self._mended,
            )
            self._statements[position, self._mended] = found
        return found

    def _rows(self, mapping: Mapping) -> str:
        """The source rows of the batch."""
        relation = (
            effective_source(self.project, mapping)
            if mapping.name in self._mended
            else ident(self.project.source.schema, mapping.source.name)
        )
        return f"(select o.* from {relation} o join tenantry_batch b on {same_key(self.project.source, mapping, 'o', 'b.key')})"

    def _state(self, mapping: Mapping, keys: str, into: str) -> str:
        """Id and tenant under which the target has the rows of some keys, or those that stand for them."""
        target = self._target(mapping)
        tenant = self._tenant(mapping, "t")
        extra = "null"
        if mapping.is_root and self._tenant_columns:
            extra = f"row({idents(self._tenant_columns, prefix='t')})::text"
        select = (
            f"insert into tenantry_{into} select a.key, t.id, {tenant}, {extra} from tenantry_{keys} a"
            f" join {target} t on t.legacy_id = {_legacy(mapping, 'a.key')}"
        )
        if mapping.merge is not None:
            select += (
                f" union all select a.key, t.id, {tenant}, {extra} from tenantry_{keys} a join {JOURNAL}.merged m"
                f" on m.mapping = {literal(mapping.name)} and m.source_key = a.key"
                f" join {target} t on t.legacy_id = {_legacy(mapping, 'm.into_key')}"
            )
        return select

    def _forget(self, connection: Connection, mapping: Mapping) -> None:
        """What the journal says of the batch is said anew; mends that wait for a retry are kept, and the time since when a row is there."""
        name = literal(mapping.name)
        _clear(connection, "patch")
        connection.execute(
            f"with gone as (delete from {JOURNAL}.quarantine q using tenantry_batch b where q.mapping = {name}"
            " and q.source_key = b.key and q.state = 'open' returning q.source_key, q.patch, q.created_at),"
            " known as (insert into tenantry_known select source_key from gone)"
            " insert into tenantry_patch select source_key, patch, created_at from gone"
        )
        connection.execute(
            f"delete from {JOURNAL}.change c using tenantry_batch b where c.mapping = {name} and c.source_key = b.key"
        )
        if mapping.merge is not None:
            connection.execute(
                f"delete from {JOURNAL}.merged m using tenantry_batch b where m.mapping = {name} and m.source_key = b.key"
            )

    def _patch(self, connection: Connection, mapping: Mapping) -> None:
        connection.execute(
            f"with p as (delete from tenantry_patch returning key, patch, since)"
            f" update {JOURNAL}.quarantine q set patch = p.patch, created_at = p.since"
            f" from p where q.mapping = {literal(mapping.name)} and q.source_key = p.key and q.state = 'open'"
        )

    def _let_go(self, connection: Connection, mapping: Mapping, new: str) -> None:
        """List the rows that lose what stood in the target only, since the source's row is carried over again, or goes. That a row which
        was born there gets the id that the source gives it is no loss, nor are digits of a second that the source never holds."""
        name = literal(mapping.target.name)
        told = f"column_name not in ('', {literal(ROW_ID)}) and right(reason, {len(FEWER_DIGITS)}) <> {literal(FEWER_DIGITS)}"
        connection.execute(
            f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
            f" select 'forward', {name}, t.legacy_id, a.key, 'source', {as_shown(mapping)},"
            " 'the row of the source was carried over again; the target alone held ' || lost.names"
            f" from (select distinct legacy_id from {JOURNAL}.kept where table_name = {name} and {told}) h"
            f" join {self._left_alone.as_it_was(mapping.target.name)} t on t.legacy_id = h.legacy_id"
            f" join tenantry_all a on t.legacy_id = {_legacy(mapping, 'a.key')} left join {new} n on n.legacy_id = t.legacy_id"
            f" cross join lateral (select string_agg(quote_ident(k.column_name), ', ' order by k.column_name) as names"
            f" from (select * from {JOURNAL}.kept where table_name = {name} and {told}) k where k.legacy_id = h.legacy_id"
            f" and (n.legacy_id is null or k.column_name = any (array[{literals(_fed(mapping))}]::text[])"
            " and to_json(t.*) ->> k.column_name is distinct from to_json(n.*) ->> k.column_name)) lost"
            " where lost.names is not null"
        )

    def _take_out(
        self, connection: Connection, mapping: Mapping, keys: str, condition: str = "true", *, legacy: str = ""
    ) -> int:
        """Delete rows of the target, and before them those that a foreign key would delete or change with them: they are
        derived again, as their source says, and not as the key's action would have it. Returns the rows of the mapping itself.

        Args:
            keys: a relation `a` with the source keys.
            condition: over the target's row `t`.
            legacy: SQL of the rows' legacy ids over `a`, where it is not the one of the key.
        """
        legacy = legacy or _legacy(mapping, "a.key")
        target = self._target(mapping)
        name = mapping.target.name
        _clear(connection, "gone")
        found = connection.execute(
            f"insert into tenantry_gone select {literal(name)}, t.legacy_id from {target} t join {keys} a"
            f" on t.legacy_id = {legacy} where {condition}"
        ).rowcount
        if not found:
            return 0
        reached, new, others_too = [name], {name}, False
        while new:
            parents, new = new, set()
            for child, columns, parent, others in self._acting:
                if parent not in parents:
                    continue
                here, there = ident(self.project.target.schema, child), ident(self.project.target.schema, parent)
                on = " and ".join(f"t.{ident(a)} = p.{ident(b)}" for a, b in zip(columns, others, strict=True))
                more = connection.execute(
                    f"insert into tenantry_gone select {literal(child)}, t.legacy_id from tenantry_gone g"
                    f" join {there} p on p.legacy_id = g.legacy join {here} t on {on}"
                    f" where g.name = {literal(parent)} on conflict do nothing"
                ).rowcount
                if more:
                    others_too = True
                    new.add(child)
                    reached = [*(each for each in reached if each != child), child]
        for table in reversed(reached):
            here = ident(self.project.target.schema, table)
            rows = f"tenantry_gone g join {here} t on t.legacy_id = g.legacy where g.name = {literal(table)}"
            for position, each in enumerate(self.project.mappings):
                if each.target.name != table or (each is mapping and not others_too):
                    continue
                # The rows that were asked for are being derived; all others are to be, and what they were is remembered.
                others_only = (
                    f" and not exists (select from {keys} a where t.legacy_id = {legacy})" if each is mapping else ""
                )
                connection.execute(
                    f"insert into tenantry_was select {position}, {_stripped(each, 't')}, t.id, {self._tenant(each, 't')}"
                    f" from {rows}{_mine(each, ' and')}{others_only}"
                )
                connection.execute(
                    f"insert into tenantry_dirty select {position}, {_stripped(each, 't')}"
                    f" from {rows}{_mine(each, ' and')}{others_only}"
                )
            self._left_alone.put_by(connection, table, rows)
            connection.execute(
                f"delete from {here} t using tenantry_gone g where g.name = {literal(table)} and t.legacy_id = g.legacy"
            )
        return found

    @cached_property
    def _acting(self) -> list[tuple[str, tuple[str, ...], str, tuple[str, ...]]]:
        """Foreign keys among tables that a source feeds whose parent takes its children along, or changes them, when it goes."""
        fed = self.project.by_target
        return [
            (table.name, fk.columns, str(fk.ref_table), fk.ref_columns)
            for table in self.project.target.tables
            if table.name in fed
            for fk in table.foreign_keys
            if fk.ref_schema == self.project.target.schema
            and fk.ref_table in fed
            and fk.on_delete in ("cascade", "set null", "set default")
        ]

    def _holders(self, connection: Connection, position: int, mapping: Mapping) -> bool:
        """Make a batch of the target's rows that have a unique value which a row just derived shall have; False where there is
        none. They may have given it up already: their entries wait in the log, or are another round's."""
        _clear(connection, "batch")
        ways = [
            same
            for columns, nulls in self._unique(mapping)
            for same in _same_values(mapping, columns, "t", "n", nulls=nulls)
        ]
        if not ways:
            return False
        connection.execute(f"analyze {_new(position)}")
        found = " union ".join(
            f"select {_stripped(mapping, 't')} as key from {_new(position)} n join {self._target(mapping)} t on {same}"
            f" where t.legacy_id <> n.legacy_id{_mine(mapping, ' and')}"
            for same in ways
        )
        return (
            connection.execute(
                f"insert into tenantry_batch select h.key from ({found}) h"
                " where not exists (select from tenantry_all a where a.key = h.key)"
            ).rowcount
            > 0
        )

    @staticmethod
    def _unique(mapping: Mapping) -> list[tuple[tuple[str, ...], bool]]:
        """The columns of the target's unique indexes, and whether nulls count as equal; those over expressions are left out."""
        known = {column.name for column in mapping.columns}
        return list(
            dict.fromkeys(
                (tuple(name for name in index.columns if name is not None), index.nulls_not_distinct)
                for index in mapping.target.indexes
                if index.unique and set(index.columns) <= known
            )
        )

    def _passed_on(self, position: int, mapping: Mapping) -> Iterator[str]:
        """Conditions over target rows `t`: the row gives up a unique value that another row of the batch shall have. An update
        of both would meet the old one, since unique indexes are checked row by row."""
        new = _new(position)
        for columns, nulls in self._unique(mapping):
            own = " and ".join(f"t.{ident(name)} is not distinct from m.{ident(name)}" for name in columns)
            for same in _same_values(mapping, columns, "t", "o", nulls=nulls):
                yield (
                    f"exists (select from {new} o where o.legacy_id <> t.legacy_id and {same}) and exists"
                    f" (select from {new} m where m.legacy_id = t.legacy_id and not ({own}))"
                )

    @staticmethod
    def _is_given_once(mapping: Mapping, name: str) -> bool:
        column = mapping.target.column(name)
        return column is not None and column.identity == "always"

    def _write(self, position: int, mapping: Mapping) -> Iterator[str]:
        target, new = self._target(mapping), _new(position)
        settable = [
            column.name
            for column in mapping.columns
            if column.name != "legacy_id" and not self._is_given_once(mapping, column.name)
        ]
        compared = idents(settable, prefix="t"), idents(settable, prefix="n")
        pairs = ", ".join(f"{ident(name)} = n.{ident(name)}" for name in settable)
        # Images, not values: 'a' and 'A' may be equal to a column, and some types cannot be compared at all.
        yield (
            f"update {target} t set {pairs} from {new} n where t.legacy_id = n.legacy_id"
            f" and row({compared[0]})::record *<> row({compared[1]})::record"
        )
        names = [column.name for column in mapping.columns]
        system = " overriding system value" if any(column.identity for column in mapping.target.columns) else ""
        yield (
            f"insert into {target} ({idents(names)}){system} select {idents(names, prefix='n')} from {new} n"
            f" where not exists (select from {target} t where t.legacy_id = n.legacy_id)"
        )

    # -- merging -----------------------------------------------------------------------------------------------------

    def _with_group(self, connection: Connection, mapping: Mapping) -> None:
        """Rows that were merged with one of the batch are looked at with it."""
        name = literal(mapping.name)
        connection.execute(
            "with touched as (select m.into_key from tenantry_batch b"
            f" join {JOURNAL}.merged m on m.mapping = {name} and m.source_key = b.key\n"
            f" union select b.key from tenantry_batch b join {JOURNAL}.merged m on m.mapping = {name} and m.into_key = b.key)\n"
            "insert into tenantry_batch select into_key from touched union"
            f" select m.source_key from touched t join {JOURNAL}.merged m on m.mapping = {name}"
            " and m.into_key = t.into_key on conflict do nothing"
        )

    def _equals(self, connection: Connection, position: int, mapping: Mapping) -> bool:
        """Make a batch of the target's rows that mean the same as a row just derived; False where there is none."""
        assert mapping.merge is not None
        ways = _same_values(mapping, mapping.merge.by, "t", "n", nulls=True)
        _clear(connection, "batch")
        connection.execute(f"analyze {_new(position)}")
        equal = " union ".join(
            f"select t.legacy_id, {_stripped(mapping, 't')} as key from {_new(position)} n"
            f" join {self._target(mapping)} t on {same}"
            for same in ways
        )
        found = connection.execute(
            f"insert into tenantry_batch select distinct e.key from ({equal}) e"
            f" where not exists (select from tenantry_all a where e.legacy_id = {_legacy(mapping, 'a.key')})"
        )
        return found.rowcount > 0

    def _merge(self, connection: Connection, position: int, mapping: Mapping) -> None:
        merge, new = mapping.merge, _new(position)
        assert merge is not None
        connection.execute(
            f"with ranked as (select t.ctid as tid, first_value(t.legacy_id) over w as"
            f" into_key, row_number() over w as place from {new} t window w as"
            f" (partition by {merge_keys(mapping, 't')} order by {qualified_order(mapping, 't')})),\n"
            f"gone as (delete from {new} t using ranked r where t.ctid = r.tid and r.place > 1"
            " returning t.legacy_id, r.into_key, to_json(t.*) as derived)\n"
            f"insert into {JOURNAL}.merged (mapping, source_table, source_key, into_key, reason, original, derived)\n"
            f"select {literal(mapping.name)}, {literal(mapping.source.name)}, g.legacy_id, g.into_key, {literal(merge.reason)},"
            " to_json(s.*), g.derived\n"
            f"  from gone g join {ident(self.project.source.schema, mapping.source.name)} s"
            f" on {same_key(self.project.source, mapping, 's', 'g.legacy_id')}"
        )

    # -- what follows ------------------------------------------------------------------------------------------------

    def _spread(self, connection: Connection, position: int, mapping: Mapping, *, thorough: bool) -> None:
        """Mark the rows that derive from rows whose id, tenant or existence has changed."""
        if not self._is_parent(position, mapping):
            return
        children = self._children[position]
        zoned = mapping.is_root and bool(self._tenant_columns)
        connection.execute(self._state(mapping, "all", "after"))
        # What is looked at whatever it was, is so once in a round: rows may name each other in a circle.
        first = "(v.visits is null or v.visits < 2)"
        moved = "(b.id is distinct from a.id or b.tenant is distinct from a.tenant)"
        if self._trial or any(child.lenient for child in children):
            # Rows come and go also by way of the quarantine, and those that hang on them with them: a row that is there, if only in
            # the quarantine, is no orphan's.
            moved = (
                "(b.id is distinct from a.id or b.tenant is distinct from a.tenant"
                " or (b.id is not null or exists (select from tenantry_known n where n.key = k.key))"
                f" <> (a.id is not null or exists (select from {JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)}"
                " and q.source_key = k.key and q.state = 'open')))"
            )
        elif thorough and self.project.subset is not None and mapping.merge is not None:
            # Behind a trial rows are merged anew, so that another one may stand for the same rows.
            mine = f"from {JOURNAL}.merged where mapping = {literal(mapping.name)}"
            moved = f"({moved} or {first} and k.key in (select source_key {mine} union all select into_key {mine}))"
        if position in self._document_ways:
            # The tenant of a row that is named in a document is the source's to say, also while it is in quarantine.
            moved = f"({moved} or (b.id is null and a.id is null and {first}))"
        named = moved
        if position in self._documented:
            # Ids in documents are those of rows that the source has, whether they could be carried over or not.
            source = ident(self.project.source.schema, mapping.source.name)
            known = "(b.id is not null or exists (select from tenantry_known n where n.key = k.key))"
            there = f"exists (select from {source} s where {same_key(self.project.source, mapping, 's', 'k.key')})"
            named = f"({moved} or {known} <> {there})"
        connection.execute(
            "insert into tenantry_moved select k.key, b.id, b.tenant, b.id is null, "
            f"{moved}, b.extra is distinct from a.extra, {named}\n"
            "  from tenantry_all k left join tenantry_before b on b.key = k.key left join tenantry_after a on a.key = k.key\n"
            f"  left join (select key, count(*) as visits from tenantry_touched where m = {position} group by key) v on v.key = k.key\n"
            f" where {named} or b.extra is distinct from a.extra" + (f" or {first}" if thorough else "")
        )
        if connection.execute("select from tenantry_moved limit 1").fetchone() is None:
            return
        connection.execute("analyze tenantry_moved")
        for child in children:
            for select in self._dependents(mapping, child, thorough=thorough):
                connection.execute(f"insert into tenantry_dirty select {child.position}, k from ({select}) z (k)")
        for select in self._documents(mapping, thorough=thorough):
            connection.execute(select)
        if zoned:
            self._by_tenant(connection)

    def _dependents(self, parent: Mapping, child: _Child, *, thorough: bool) -> Iterator[str]:
        """Selects of the keys of a child's rows that refer to rows of tenantry_moved."""
        mapping, ref = child.mapping, child.ref
        own = ref.by == parent.key
        if own:
            yield (
                f"select q.source_key from tenantry_moved v join {JOURNAL}.quarantine q on q.parent_table ="
                f" {literal(parent.source.name)} and q.parent_key = v.key where q.mapping = {literal(mapping.name)}"
                " and q.state = 'open' and v.moved"
            )
        # Where the source has a foreign key, no row can have referred to one before that was there; but its entry can have been
        # taken before that one's where a round did not take all.
        every = ref.late or not own
        which = "v.moved" if not (thorough and every) else "true"
        if child.enforced and own and not self._loose and not self._trial and not (thorough and every):
            which += " and not v.born"
        source = ident(self.project.source.schema, mapping.source.name)
        if own:
            on = self._names(mapping, ref, parent, "v.key")
            yield f"select {mapping_key(mapping)} from tenantry_moved v join {source} s on {on} where {which}"
        else:
            above = ident(self.project.source.schema, parent.source.name)
            on = references_equal(mapping.source, ref.columns, parent.source, ref.by, "s", "p")
            yield (
                f"select {mapping_key(mapping)} from tenantry_moved v join {above} p on {same_key(self.project.source, parent, 'p', 'v.key')}"
                f" join {source} s on {on} where {which}"
            )
        target = self._target(mapping)
        condition = None
        if child.column is not None:
            condition = f"t.{ident(child.column)} = v.old_id"
            if mapping.scoped and parent.scoped:
                condition += f" and {self._tenant(mapping, 't')} = v.old_tenant"
        elif parent.is_root and mapping.scoped:
            condition = f"{self._tenant(mapping, 't')} = v.old_id"
        if condition is not None:
            yield (
                f"select {_stripped(mapping, 't')} from tenantry_moved v join {target} t on {condition}"
                f" where v.moved and not v.born{_mine(mapping, ' and')}"
            )

    def _names(self, mapping: Mapping, ref: Reference, parent: Mapping, key: str) -> str:
        """A condition that finds rows which refer to a parent by the text of its key."""
        mine = [column for name in ref.columns if (column := mapping.source.column(name)) is not None]
        theirs = [column for name in ref.by if (column := parent.source.column(name)) is not None]
        if not all(comparable(here, there) for here, there in zip(mine, theirs, strict=True)):
            return f"{plain_text(mapping.source, 's', ref.columns)} = {key}"
        parts = key_parts_sql(self.project.source, parent, key)
        return " and ".join(
            equal(there, f"s.{ident(here.name)}", part) for here, there, part in zip(mine, theirs, parts, strict=True)
        )

    def _documents(self, parent: Mapping, *, thorough: bool) -> Iterator[str]:
        """Rows with documents in which ids of the moved rows stand."""
        which = "true" if thorough else "v.named"
        for position, mapping in enumerate(self.project.mappings):
            for column in mapping.columns:
                for each in column.ids:
                    if parent not in self.project.by_target[each.parent]:
                        continue
                    source = ident(self.project.source.schema, mapping.source.name)
                    yield (
                        f"insert into tenantry_dirty select {position}, {mapping_key(mapping)} from {source} s"
                        f" where exists (select from jsonb_path_query({column.value}, {literal('$.' + each.path)}::jsonpath) x (node)"
                        f" join tenantry_moved v on v.key = x.node #>> '{{}}' where {which})"
                    )

    def _by_tenant(self, connection: Connection) -> None:
        """Rows that read something of their tenant's row, as its time zone."""
        for position, mapping in enumerate(self.project.mappings):
            if any(column.zoned for column in mapping.columns):
                connection.execute(
                    f"insert into tenantry_dirty select {position}, {_stripped(mapping, 't')} from tenantry_moved v"
                    f" join {self._target(mapping)} t on {self._tenant(mapping, 't')} = v.old_id"
                    f" where v.extra and v.old_id is not null{_mine(mapping, ' and')} union all"
                    f" select {position}, q.source_key from {JOURNAL}.quarantine q where q.mapping = {literal(mapping.name)}"
                    " and q.state = 'open' and exists (select from tenantry_moved v where v.extra)"
                )

    def _sweep(self, connection: Connection) -> bool:
        """Rows within a cycle of references whose parent did not arrive follow it into the quarantine; True where there were any."""
        found = False
        for position, mapping in enumerate(self.project.mappings):
            for column in mapping.columns:
                ref = column.reference
                if ref is None or not ref.late:
                    continue
                target, parent = self._target(mapping), ident(self.project.target.schema, ref.parent)
                feeding = self.project.feeding(ref)[0]
                key = reference_text(self.project, mapping, ref, "s")
                _clear(connection, "batch", *_STATES)
                connection.execute(
                    f"insert into tenantry_batch select distinct x.key from tenantry_touched x join {target} t"
                    f" on t.legacy_id = {_legacy(mapping, 'x.key')} where x.m = {position} and t.{ident(column.name)}"
                    f" is not null and not exists (select from {parent} p where p.id = t.{ident(column.name)})"
                )
                connection.execute("insert into tenantry_all select key from tenantry_batch")
                connection.execute(self._state(mapping, "batch", "before"))
                self._forget(connection, mapping)
                gone = self._take_out(connection, mapping, "tenantry_batch")
                if not gone:
                    continue
                found = True
                connection.execute(
                    f"insert into {JOURNAL}.quarantine (run_id, mapping, source_table, source_key, original, problems, reason,"
                    " column_name, parent_mapping, parent_table, parent_key)\n"
                    f"select {RUN}, {literal(mapping.name)}, {literal(mapping.source.name)}, {mapping_key(mapping)}, to_json(s.*),"
                    f" {literal(written(f'reference_missing:{column.name}'))}, case when exists (select from {JOURNAL}.quarantine q"
                    f" where q.source_table = {literal(feeding.source.name)} and q.source_key = {key})"
                    f" then 'parent_quarantined' else 'reference_missing' end, {literal(column.name)},"
                    f" {literal(feeding.name)}, {literal(feeding.source.name)}, {key} from {self._rows(mapping)} s"
                )
                self._patch(connection, mapping)
                self._spread(connection, position, mapping, thorough=False)
        return found

    # -- parts -------------------------------------------------------------------------------------------------------

    @cached_property
    def _children(self) -> list[list[_Child]]:
        found: list[list[_Child]] = [[] for _ in self.project.mappings]
        for position, mapping in enumerate(self.project.mappings):
            known = set()
            for ref in (*mapping.references, *mapping.tenant_paths):
                for parent in self.project.feeding(ref):
                    if (ref.columns, parent.name, ref.by) in known:
                        continue
                    known.add((ref.columns, parent.name, ref.by))
                    column = next(
                        (c.name for c in mapping.columns if c.reference is not None and c.reference.columns == ref.columns
                         and c.reference.parent == ref.parent and c.fallback is None),
                        None,
                    )  # fmt: skip
                    enforced = any(
                        sorted(zip(fk.columns, fk.ref_columns, strict=True))
                        == sorted(zip(ref.columns, ref.by, strict=True))
                        and fk.ref_table == parent.source.name
                        and fk.validated
                        and fk.enforced
                        for fk in mapping.source.foreign_keys
                    )
                    lenient = any(
                        c.orphan is not None and c.reference is not None and c.reference.columns == ref.columns
                        for c in mapping.columns
                    )
                    found[self._positions[parent.name]].append(
                        _Child(position, mapping, ref, column, enforced, lenient)
                    )
        return found

    @cached_property
    def _documented(self) -> set[int]:
        """Mappings whose ids stand in documents of others."""
        return {
            self._positions[parent.name]
            for mapping in self.project.mappings
            for column in mapping.columns
            for each in column.ids
            for parent in self.project.by_target[each.parent]
        }

    @cached_property
    def _document_ways(self) -> set[int]:
        """Mappings whose ids stand in documents of others, and those through which they reach their tenant."""
        found: set[int] = set()
        queue = list(self._documented)
        while queue:
            position = queue.pop()
            if position in found:
                continue
            found.add(position)
            queue += [
                self._positions[parent.name]
                for path in self.project.mappings[position].tenant_paths
                for parent in self.project.feeding(path)
            ]
        return found

    def _is_parent(self, position: int, mapping: Mapping) -> bool:
        """Whether other rows derive from a mapping's rows."""
        return (
            bool(self._children[position])
            or position in self._documented
            or (mapping.is_root and bool(self._tenant_columns))
        )

    @cached_property
    def _tenant_columns(self) -> tuple[str, ...]:
        """The columns of the tenant's row that some value is made with."""
        root = self.project.root.target
        texts = [
            text
            for mapping in self.project.mappings
            for column in mapping.columns
            if column.zoned
            for text in (column.value, column.fallback, column.missing, column.present)
            if text
        ]
        return tuple(
            column.name for column in root.columns if any(f"tenant.{ident(column.name)}" in text for text in texts)
        )

    def _target(self, mapping: Mapping) -> str:
        return ident(self.project.target.schema, mapping.target.name)

    def _tenant(self, mapping: Mapping, alias: str) -> str:
        if mapping.is_root:
            return f"{alias}.id"
        return f"{alias}.{ident(self.project.manifest.tenant.column)}" if mapping.scoped else "null::uuid"


def take_log(
    connection: Connection, log: str, into: str, limit: int, *, side: str | None = None, also: str | None = None
) -> tuple[int, float]:
    """Move the keys of visible entries into a temporary table, each with the time of its last change, and remove exactly these
    entries. Returns their number, and the age of the oldest in seconds.

    The time is that of the commit where the server keeps these (track_commit_timestamp), else that of the statement.

    Args:
        side: during the dual-write window, the side whose log it is: what its changes said is kept for the round.
        also: a condition over entries that are taken beside those of the limit.
    """
    row = connection.execute("select current_setting('track_commit_timestamp')").fetchone()
    when = "pg_xact_commit_timestamp(xmin)" if row is not None and row[0] == "on" else "at"
    some = f" where ctid = any (array(select ctid from {JOURNAL}.{log} limit {limit}))" if limit < EVERYTHING else ""
    if some and also:
        some += f" or {also}"
    said = ""
    if side is not None:
        said = (
            "said as (insert into tenantry_said select distinct on (g.place, k.key)"
            f" '{side}', g.table_name, k.key, g.changed, case when k.key = g.new_key then g.image end, g.was from gone g"
            " cross join lateral (values (g.old_key), (g.new_key)) k (key) where k.key is not null),\n"
        )
    row = connection.execute(
        f"with gone as (delete from {JOURNAL}.{log}{some}"
        f" returning ctid as place, table_name, old_key, new_key, at, image, was, coalesce({when}, at) as changed),\n{said}"
        f"keys as (insert into {into} select g.table_name, k.key, max(g.changed), bool_or(g.was is null) from gone g cross join lateral"
        " (values (g.old_key), (g.new_key)) k (key) where k.key is not null"
        " or (g.old_key is null and g.new_key is null) group by 1, 2)\n"
        "select count(*), coalesce(extract(epoch from clock_timestamp() - min(at)), 0)::float8 from gone"
    ).fetchone()
    assert row is not None
    return int(row[0]), float(row[1])


def pending(connection: Connection, log: str = "source_log") -> tuple[int, float, int]:
    """Entries not yet replayed (100,000 where there are more), age of the oldest in seconds, bytes of the log."""
    row = connection.execute(
        f"select (select count(*) from (select from tenantry.{log} limit 100000) z),"
        f" coalesce(extract(epoch from clock_timestamp() - (select min(at) from (select at from tenantry.{log} limit 1000) z)), 0)"
        f"::float8, pg_total_relation_size('tenantry.{log}')"
    ).fetchone()
    assert row is not None
    return int(row[0]), float(row[1]), int(row[2])


def replay_round(
    connection: Connection,
    replayer: Replayer,
    *,
    limit: int = EVERYTHING,
    thorough: bool = False,
    before_commit: Callable[[Connection, Round], None] | None = None,
) -> Round:
    """One round, in a transaction of its own."""

    def once(limit: int) -> Round:
        with connection.transaction():
            connection.execute("set transaction isolation level repeatable read")
            done = replayer.take(connection, limit)
            if done.entries or before_commit is not None:
                replayer.apply(connection, done, thorough=thorough)
            if before_commit is not None:
                before_commit(connection, done)
        replayer.made()
        return done

    return or_everything(once, limit)


def or_everything(once: Callable[[int], Round], limit: int) -> Round:
    """A round that a foreign key refuses, since what it left in the log belonged to what it took, takes everything instead."""
    try:
        return once(limit)
    except pg.IntegrityError:
        if limit >= EVERYTHING:
            raise
        return once(EVERYTHING)


# -- texts ---------------------------------------------------------------------------------------------------------------


def _mended(connection: Connection) -> frozenset[str]:
    return frozenset(
        str(row[0])
        for row in connection.execute(
            f"select distinct mapping from {JOURNAL}.quarantine where state = 'readmitted' and patch <> '{{}}'"
        )
    )


def _clear(connection: Connection, *tables: str) -> None:
    connection.execute("; ".join(f"delete from tenantry_{table}" for table in tables))


def _fill(connection: Connection, keys: Sequence[str]) -> None:
    _clear(connection, "batch")
    connection.execute("insert into tenantry_batch select unnest(%s::text[])", [list(keys)])


def _new(position: int) -> str:
    return f"tenantry_new_{position}"


def _same_values(mapping: Mapping, columns: Sequence[str], one: str, other: str, *, nulls: bool) -> list[str]:
    """Conditions, of which any may hold, that two rows of the target have the same values: one for each set of columns that are
    null, where nulls count as the same, since an index serves no condition that leaves it open."""
    nullable = [
        name for name in columns if nulls and (column := mapping.target.column(name)) is not None and column.nullable
    ]
    ways = []
    for empty in product((False, True), repeat=len(nullable)):
        if all(empty) and len(nullable) == len(columns):
            continue  # nothing is nobody's sameness
        null = dict(zip(nullable, empty, strict=True))
        ways.append(
            " and ".join(
                f"{one}.{ident(name)} is null and {other}.{ident(name)} is null"
                if null.get(name)
                else f"{one}.{ident(name)} = {other}.{ident(name)}"
                for name in columns
            )
        )
    return ways


def _legacy(mapping: Mapping, key: str) -> str:
    return f"{literal(mapping.legacy_prefix)} || {key}" if mapping.legacy_prefix else key


def _fed(mapping: Mapping) -> list[str]:
    return [column.name for column in mapping.columns]


def _stripped(mapping: Mapping, alias: str) -> str:
    """The source key behind a target row's legacy id."""
    prefix = len(mapping.legacy_prefix)
    return f"substr({alias}.legacy_id, {prefix + 1})" if prefix else f"{alias}.legacy_id"


def _mine(mapping: Mapping, word: str) -> str:
    prefix = mapping.legacy_prefix
    return f"{word} left(t.legacy_id, {len(prefix)}) = {literal(prefix)}" if prefix else ""


__all__ = [
    "BOTH_LEAST",
    "EVERYTHING",
    "ROUND_ENTRIES",
    "ROUND_SECONDS",
    "Pace",
    "Replayer",
    "Round",
    "TooLong",
    "pending",
    "replay_round",
]
