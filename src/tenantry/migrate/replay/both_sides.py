"""Conflicts of the dual-write window: rows that both sides changed since the last round. Which side's row wins, and what is lost.

A source row and the target rows that it feeds are decided together. A side that changed it by a statement of
an application wins over a side where only a trigger did; otherwise the later change wins. Every change of the other side is
listed, with both rows and its time. Amounts that triggers added to numbers on the losing side, e.g. to a count of other rows,
are added to the winning row, since those other rows are replayed too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from tenantry.derivation.few import tenants_of
from tenantry.derivation.keys import same_key
from tenantry.derivation.reverse.deleted_ids import INTEGERS
from tenantry.derivation.reverse.strangers import STRANGER, moved_from, without_strangers
from tenantry.derivation.reverse.strangers import TABLES as CLAIM_TABLES
from tenantry.journal.journal import Connection
from tenantry.journal.names import JOURNAL
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.legacy_ids import from_part, legacy_of, source_key
from tenantry.mapping.project import ROW_ID
from tenantry.mapping.values.type_names import base_type
from tenantry.migrate.replay.row_errors import ROW_ERRORS
from tenantry.postgres import ident, literal, literals

TABLES = """
create temporary table if not exists tenantry_said (side text not null, table_name text not null, key text not null,
    at timestamptz not null, image json, was json) on commit delete rows;
create temporary table if not exists tenantry_both (m int not null, key text not null, legacy_id text not null,
    source_at timestamptz, target_at timestamptz, source_stated boolean, target_stated boolean, source_wins boolean) on commit delete rows;
create temporary table if not exists tenantry_added (key text not null, amounts jsonb not null) on commit delete rows;
"""

_NUMBERS = (*INTEGERS, "numeric", "real", "double precision")
_LOCKED = 200
"""The largest number of rows that a round locks in advance on each side."""
_LOCK_MS = 300
"""Milliseconds that a round waits for table locks; writers wait behind it."""
_CAST = re.compile(r"\(?(?P<value>.+?)\)?(::[a-z ]+(\([0-9, ]+\))?)?")


class Both:
    """The conflicts of one round, in its transaction: call `begin`, `settle` before the reverse replay, `add` after it."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._late: list[tuple[str, list[MappedColumn]]] = []

    @staticmethod
    def begin(connection: Connection) -> None:
        """Create the temporary tables of such rounds, unless the session has them."""
        for tables in (TABLES, *CLAIM_TABLES):
            connection.execute(tables)

    def settle(self, connection: Connection) -> int:
        """Decide about all rows that both sides changed; losing changes are not replayed. Return the number of listed lines."""
        self._late = []
        listed = 0
        for table in self.project.source_tables:
            mappings = self.project.of_source(table.name)
            if not self._find(connection, table.name, mappings):
                continue
            listed += self._list(connection, table.name, mappings)
            added = [column for mapping in mappings for column in _added(mapping)]
            if added:
                self._amounts(connection, table.name, mappings, added)
            connection.execute(
                f"delete from tenantry_entry e using tenantry_both b where not b.source_wins and e.key = b.key"
                f" and e.table_name = {literal(table.name)}"
            )
            connection.execute(
                "delete from tenantry_changed c using tenantry_both b where b.source_wins and c.legacy_id = b.legacy_id"
                f" and c.table_name = case b.m {_targets(mappings)} end"
            )
        return listed

    def _find(self, connection: Connection, table: str, mappings: Sequence[Mapping]) -> bool:
        connection.execute("delete from tenantry_both")
        for position, mapping in enumerate(mappings):
            legacy = legacy_of(mapping, "e.key")
            connection.execute(
                f"insert into tenantry_both select {position}, e.key, c.legacy_id, e.at, c.at, coalesce(e.stated, true),"
                " coalesce(c.stated, true) from tenantry_entry e"
                f" join tenantry_changed c on c.table_name = {literal(mapping.target.name)} and (c.legacy_id = {legacy} or exists"
                f" (select from {JOURNAL}.born_part p where p.mapping = {literal(mapping.name)} and p.source_key = e.key"
                f" and p.legacy_id = c.legacy_id)) where e.table_name = {literal(table)} and e.key is not null"
            )
            if mapping.scoped:
                self._part(connection, position, mapping)
        return (
            connection.execute(
                "with decided as (select s.key, case when bool_or(s.source_stated) <> bool_or(s.target_stated)"
                " then bool_or(s.source_stated) else max(s.source_at) >= max(s.target_at) end as source_wins"
                " from tenantry_both s group by 1)\n"
                "update tenantry_both b set source_wins = d.source_wins from decided d where d.key = b.key"
            ).rowcount
            > 0
        )

    def _part(self, connection: Connection, position: int, mapping: Mapping) -> None:
        """Ignore rows of two tenants with one id: they are no common row. Each is replayed separately, and the reverse replay
        treats the target's as a stranger."""
        connection.execute(
            f"delete from tenantry_both b using {STRANGER} n where b.m = {position} and n.legacy_id = b.legacy_id"
            f" and n.table_name = {literal(mapping.target.name)}"
        )
        born = (
            f"(select b.key, t.legacy_id, t.{ident(self.project.manifest.tenant.column)}::text as tenant from tenantry_both b"
            f" join {ident(self.project.target.schema, mapping.target.name)} t on t.legacy_id = b.legacy_id"
            f" where b.m = {position} and t.legacy_id = t.{ident(ROW_ID)}::text)"
        )
        if connection.execute(f"select from {born} t limit 1").fetchone() is None:
            return
        source = ident(self.project.source.schema, mapping.source.name)
        same = same_key(self.project.source, mapping, "o", "b.key")
        rows = (
            f"(select o.* from {source} o where exists (select from tenantry_both b where b.m = {position} and {same}))"
        )
        connection.execute("delete from tenantry_says")
        connection.execute(f"insert into tenantry_says {tenants_of(self.project, mapping, rows, rows, frozenset())}")
        connection.execute(
            f"delete from tenantry_both b using tenantry_says w join {born} t on t.key = w.key where b.m = {position}"
            f" and b.key = w.key and w.tenant <> t.tenant and not {moved_from(mapping.target.name, 't', 'w.tenant')}"
        )

    def matching(self) -> str:
        """Return a condition over entries of the source's queue: the target's queue has an entry for the same row."""
        ways = []
        for mapping in self.project:
            keys = (
                f"(select {source_key(mapping, 'c')} from tenantry_changed c where c.table_name = {literal(mapping.target.name)}"
                f" and c.legacy_id is not null{from_part(mapping, ' and', 'c')} union select p.source_key from {JOURNAL}.born_part p"
                f" join tenantry_changed c on c.legacy_id = p.legacy_id and c.table_name = {literal(mapping.target.name)}"
                f" where p.mapping = {literal(mapping.name)})"
            )
            ways.append(f"(table_name = {literal(mapping.source.name)} and (new_key in {keys} or old_key in {keys}))")
        return " or ".join(ways)

    def lock(self, connection: Connection) -> None:
        """Lock the most written rows of both sides, as the first statement of a round: its snapshot has their current
        values, and nobody can change them until it ends."""
        most = (
            "select z.name, z.key from (select l.table_name as name, unnest(array[l.old_key, l.new_key]) as key from"
            f" {JOURNAL}.{{}} l) z where z.key is not null group by 1, 2 order by count(*) desc limit {_LOCKED}"
        )
        parts = [
            f"hot as materialized ({most.format('source_log')})",
            f"warm (name, legacy_id) as materialized ({most.format('target_log')})",
        ]
        for i, mapping in enumerate(self.project):
            of_target = (
                f"select {source_key(mapping, 'w')} as key from warm w where w.name = {literal(mapping.target.name)}"
                f"{from_part(mapping, ' and', 'w')}"
            )
            of_source = f"select h.key from hot h where h.name = {literal(mapping.source.name)}"
            source = ident(self.project.source.schema, mapping.source.name)
            target = ident(self.project.target.schema, mapping.target.name)
            parts.append(
                f"s{i} as materialized (select 1 from ({of_source} union {of_target} offset 0) k join {source} s"
                f" on {same_key(self.project.source, mapping, 's', 'k.key')} for no key update of s)"
            )
            parts.append(
                f"t{i} as materialized (select 1 from ({of_source} union {of_target} offset 0) k join {target} t"
                f" on t.legacy_id = {legacy_of(mapping, 'k.key')} for no key update of t)"
            )
        counts = " + ".join(
            f"(select count(*) from {side}{i})" for i in range(len(self.project.mappings)) for side in "st"
        )
        connection.execute(f"with {', '.join(parts)} select {counts}")

    def lock_tables(self, connection: Connection, main: Connection) -> None:
        """Lock the most written tables against writers during a round, if its rows cannot be locked."""
        hot = {
            (str(log), str(name))
            for log, name in main.execute(
                f"select distinct 'source', l.table_name from {JOURNAL}.source_log l"
                f" union select distinct 'target', l.table_name from {JOURNAL}.target_log l"
            )
        }
        names = dict.fromkeys(
            ident(schema, table)
            for mapping in self.project
            if hot & {("source", mapping.source.name), ("target", mapping.target.name)}
            for schema, table in (
                (self.project.source.schema, mapping.source.name),
                (self.project.target.schema, mapping.target.name),
            )
        )
        if names:
            connection.execute(f"set local lock_timeout = '{_LOCK_MS}ms'")
            connection.execute(f"lock table {', '.join(names)} in share row exclusive mode")

    # -- lost changes ------------------------------------------------------------------------------------------------

    def _list(self, connection: Connection, table: str, mappings: Sequence[Mapping]) -> int:
        first = mappings[0]
        source = ident(self.project.source.schema, table)
        hidden = _array(first.secrets)
        same = same_key(self.project.source, first, "s", "b.key")
        stands = f"(select {JOURNAL}.as_listed({JOURNAL}.row_json(s.*), {hidden}) from {source} s where {same})"
        listed = 0
        into = f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason, stands, changed_at)"
        for position, mapping in enumerate(mappings):
            masked = _array(column.name for column in mapping.columns if mapping.is_secret(column))
            told = _told([column.name for column in _added(mapping)])
            listed += connection.execute(
                f"{into}\nselect 'reverse', {literal(mapping.target.name)}, b.legacy_id, b.key, 'source',"
                f" {JOURNAL}.as_listed(x.image, {masked}), 'both sides changed the row; the source''s change wins', {stands}, x.at"
                f" from tenantry_both b join tenantry_said x on {_of_target([mapping])}"
                f" where b.m = {position} and b.source_wins and {told} order by x.at"
            ).rowcount
        place = next((i for i, mapping in enumerate(mappings) if not mapping.legacy_prefix), 0)
        mapping = mappings[place]
        masked = _array(column.name for column in mapping.columns if mapping.is_secret(column))
        target = without_strangers(self.project, mapping.target.name)
        legacy = legacy_of(mapping, "b.key")
        told = _told([str(column.source) for each in mappings for column in _added(each)])
        listed += connection.execute(
            f"{into}\nselect 'forward', {literal(mapping.target.name)}, {legacy}, b.key, 'target',"
            f" {JOURNAL}.as_listed(x.image, {hidden}), 'both sides changed the row; the target''s change wins',"
            f" (select {JOURNAL}.as_listed({JOURNAL}.row_json(t.*), {masked}) from {target} t where t.legacy_id = {legacy}), x.at"
            f" from (select distinct b.key from tenantry_both b where not b.source_wins) b"
            f" join tenantry_said x on {_of_source(table)} where {told} order by x.at"
        ).rowcount
        return listed

    # -- amounts of triggers -----------------------------------------------------------------------------------------

    def _amounts(
        self, connection: Connection, table: str, mappings: Sequence[Mapping], added: Sequence[MappedColumn]
    ) -> None:
        """Compute the amounts that triggers of the losing side have added to numbers, by source key and column."""
        connection.execute("delete from tenantry_added")
        for position, mapping in enumerate(mappings):
            columns = _added(mapping)
            if columns:
                self._sum(connection, _of_target([mapping]), f"b.m = {position} and b.source_wins",
                          [(column.name, str(column.source)) for column in columns])  # fmt: skip
        self._apply(connection, table, mappings[0], added)
        connection.execute("delete from tenantry_added")
        names = dict.fromkeys(str(column.source) for column in added)
        self._sum(connection, _of_source(table), "not b.source_wins", [(name, name) for name in names])
        found = connection.execute("select a.key, a.amounts::text from tenantry_added a").fetchall()
        if found:
            # The target's row is replayed into the source first.
            self._late.append((table, list(added)))
            connection.execute(
                "insert into tenantry_said (side, table_name, key, at, image) select 'added',"
                f" {literal(table)}, a.key, now(), a.amounts::json from tenantry_added a"
            )

    @staticmethod
    def _sum(connection: Connection, of_side: str, which: str, columns: Sequence[tuple[str, str]]) -> None:
        for there, name in columns:
            connection.execute(
                f"insert into tenantry_added select b.key, jsonb_build_object({literal(name)}, sum("
                f"{_amount(there)}))"
                f" from (select distinct b.m, b.key, b.legacy_id from tenantry_both b where {which}) b"
                f" join tenantry_said x on {of_side} where x.was is not null group by b.key"
                f" having sum({_amount(there)}) <> 0"
            )

    def add(self, connection: Connection) -> None:
        """Add the amounts of the source's triggers again, which the reverse replay has overwritten, and have the rows
        replayed again."""
        late, self._late = self._late, []
        for table, added in late:
            connection.execute("delete from tenantry_added")
            connection.execute(
                "insert into tenantry_added select x.key, x.image::jsonb from tenantry_said x where x.side = 'added'"
                f" and x.table_name = {literal(table)}"
            )
            self._apply(connection, table, self.project.of_source(table)[0], added)
            connection.execute(
                f"insert into tenantry_entry (table_name, key, at) select distinct {literal(table)}, a.key, now()"
                " from tenantry_added a"
            )

    def stay(self, connection: Connection) -> int:
        """Restore rows that the target has deleted and the source refuses to delete. Return their number."""
        found = 0
        for mapping in self.project:
            target = without_strangers(self.project, mapping.target.name)
            found += connection.execute(
                "insert into tenantry_entry (table_name, key, at) select distinct"
                f" {literal(mapping.source.name)}, c.source_key, now() from {JOURNAL}.conflict c"
                f" where c.direction = 'reverse' and c.winner = 'source' and c.table_name = {literal(mapping.target.name)}"
                f"{from_part(mapping, ' and', 'c')}"
                f" and not exists (select from {target} t where t.legacy_id = c.legacy_id)"
            ).rowcount
        return found

    def _apply(self, connection: Connection, table: str, mapping: Mapping, added: Sequence[MappedColumn]) -> None:
        source = ident(self.project.source.schema, table)
        for name in dict.fromkeys(str(column.source) for column in added):
            found = mapping.source.column(name)
            assert found is not None
            try:
                with connection.transaction():
                    connection.execute(
                        f"update {source} s set {ident(name)} = (s.{ident(name)} + a.amount)::{found.type} from (select z.key,"
                        f" (z.amounts ->> {literal(name)})::numeric as amount from tenantry_added z"
                        f" where z.amounts ? {literal(name)}) a where {same_key(self.project.source, mapping, 's', 'a.key')}"
                    )
            except ROW_ERRORS:
                connection.execute(
                    f"insert into {JOURNAL}.conflict (direction, table_name, legacy_id, source_key, winner, loser, reason)"
                    f" select 'forward', {literal(mapping.target.name)}, {legacy_of(mapping, 'a.key')}, a.key, 'target',"
                    " a.amounts, 'the source refuses what triggers of the two sides added together' from tenantry_added a"
                    f" where a.amounts ? {literal(name)}"
                )


def _added(mapping: Mapping) -> list[MappedColumn]:
    """Return numeric columns that are migrated unchanged, so that an amount of one side can be added on the other."""
    found = []
    for column in mapping.columns:
        if (
            column.kind != "value"
            or column.source is None
            or column.source in mapping.key
            or column.reference is not None
        ):
            continue
        source = mapping.source.column(column.source)
        if (
            source is None
            or source.generated is not None
            or source.identity is not None
            or base_type(source.type) not in _NUMBERS
            or base_type(column.type) not in _NUMBERS
        ):
            continue
        bare = _CAST.fullmatch(column.value)
        if bare is not None and bare["value"] == f"s.{ident(column.source)}":
            found.append(column)
    return found


def _told(added: Sequence[str]) -> str:
    """Return a condition over an entry `x`: it changed more than the numbers to which amounts are added anyway."""
    image, was = (f"{JOURNAL}.as_listed(x.{name}, {_array(added)})" for name in ("image", "was"))
    return f"(x.was is null or {image} is distinct from {was})"


def _amount(column: str) -> str:
    now, before = (
        f"({JOURNAL}.as_listed(x.{name}, '{{}}') ->> {literal(column)})::numeric" for name in ("image", "was")
    )
    return f"{now} - {before}"


def _of_source(table: str) -> str:
    return f"(x.side = 'source' and x.table_name = {literal(table)} and x.key = b.key)"


def _of_target(mappings: Sequence[Mapping]) -> str:
    names = literals(dict.fromkeys(mapping.target.name for mapping in mappings))
    return f"(x.side = 'target' and x.table_name in ({names}) and x.key = b.legacy_id)"


def _targets(mappings: Sequence[Mapping]) -> str:
    return " ".join(f"when {i} then {literal(mapping.target.name)}" for i, mapping in enumerate(mappings))


def _array(names: Iterator[str] | Sequence[str]) -> str:
    return f"array[{literals(names)}]::text[]"


__all__ = ["Both"]
