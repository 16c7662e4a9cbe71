"""Converts old ids to new ones and back: computed without a database, or looked up in one.

    from tenantry.ids import lookup

    lookup.id_of("clinic", "clinics", "cla6wu2oc68muf4tfnss4x2oy")     # computed: the same in any program, see docs/reference/ids.md
    lookup.look_up(connection, "clinics", "cla6wu2oc68muf4tfnss4x2oy")  # from the database: merged rows, too; None if unknown
    lookup.old_id_of(connection, "clinics", new)
    dict(lookup.ids_of(connection, "metric_values", many))

A computed id is valid for every migrated row. Computing does not check that the row exists, and is wrong for merged rows:
these have the id of the surviving row, which only the database knows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import islice
from typing import Any, ClassVar
from uuid import UUID

import psycopg
from psycopg import errors

from tenantry.derivation.ids import derive_id
from tenantry.errors import TenantryError, nearest
from tenantry.manifest import Manifest
from tenantry.manifest.model import SourceRule

Connection = psycopg.Connection[Any]

BATCH = 50_000
"""Number of ids per round trip."""


class IdsMissing(TenantryError):
    """The database has no id map."""

    code: ClassVar[str] = "TN-508"
    remedy: ClassVar[str] = "Run `tenantry migrate`, or `tenantry ids apply` if an older version made the run."


class NoSuchTable(TenantryError):
    """No target table with this name has old ids."""

    code: ClassVar[str] = "TN-505"
    remedy: ClassVar[str] = "Use one of the names in the message."


class IdAmbiguous(TenantryError):
    """Several sources of a target table have a row with this old id."""

    code: ClassVar[str] = "TN-506"
    remedy: ClassVar[str] = "Name the source table."


class IdUnknown(TenantryError):
    """No row has this id."""

    code: ClassVar[str] = "TN-507"
    exit_code: ClassVar[int] = 1
    remedy: ClassVar[str] = "Check the id. For files, `--on-unknown` says what happens to such ids."


# -- computed ----------------------------------------------------------------------------------------------------------


def id_of(manifest_or_namespace: Manifest | str, source_table: str, old: str | Sequence[str]) -> UUID:
    """Compute the new id of a migrated row without a database.

    Args:
        manifest_or_namespace: the manifest, or its `[ids] namespace`.
        source_table: the source's table; followed by `/part` if the manifest gives the target table a part, or by `/account`
            for the account that was created for a user.
        old: the old id as text; for a key of several columns all texts, in the key's order.
    """
    namespace = manifest_or_namespace if isinstance(manifest_or_namespace, str) else manifest_or_namespace.ids.namespace
    return derive_id(namespace, source_table, old if isinstance(old, str) else key_text(old))


def key_text(parts: Sequence[str]) -> str:
    """Return the key of a row as old ids write it: the text itself, or a JSON array of several."""
    return parts[0] if len(parts) == 1 else json.dumps(list(parts), ensure_ascii=False)


def source_of(manifest: Manifest, table: str) -> str:
    """Return the namespace of a target table's derived ids: the source table and the part, if any.

    Args:
        table: the target table; `table.source` if several sources feed it.

    Raises:
        NoSuchTable: the manifest does not have it, or it has no source, or several.
    """
    known: dict[str, SourceRule] = {}
    for name, rule in manifest.tables.items():
        parts = rule.parts()
        known.update({f"{name}.{label}" if len(parts) > 1 else name: part for label, part in parts.items()})
    part = known.get(table)
    if part is None:
        several = [name for name in known if name.startswith(f"{table}.")]
        raise NoSuchTable(
            f"{table} has several sources with ids of their own."
            if several
            else f"The manifest has no target table {table!r} with a source.",
            hint=_did_you_mean(table, several or list(known)),
        )
    return part.source if part.part is None else f"{part.source}/{part.part}"


# -- looked up ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class IdTable:
    """One source of a target table.

    Attributes:
        name: its name in this module: the target table, or `table.source` if several sources feed it.
        profile: whether its rows are people.
    """

    source: str
    target: str
    mapping: str
    name: str
    profile: bool


def id_tables(connection: Connection) -> tuple[IdTable, ...]:
    """Return the tables whose rows have old ids.

    Raises:
        IdsMissing: the database has no id map.
    """
    with _explained():
        rows = connection.execute(
            "select source_table, target_table, mapping, name, is_profile from tenantry.id_table"
        ).fetchall()
    return tuple(IdTable(*row) for row in rows)


def look_up(connection: Connection, table: str, old: str) -> UUID | None:
    """Return the new id for an old one; None for rows that are unknown, in quarantine, or invisible to the caller.

    A merged row has the id of the surviving row; a new id returns itself.
    """
    with _explained():
        row = connection.execute("select tenantry.id_of(%s, %s)", [table, old]).fetchone()
    return row[0] if row is not None else None


def old_id_of(connection: Connection, table: str, new: UUID | str) -> str | None:
    """Return the old id for a new one; for a target-native row its own id as text; None for unknown ids."""
    with _explained():
        row = connection.execute("select tenantry.old_id_of(%s, %s::uuid)", [table, str(new)]).fetchone()
    return row[0] if row is not None else None


def ids_of(
    connection: Connection, table: str, olds: Iterable[str], *, batch: int = BATCH
) -> Iterator[tuple[str, UUID | None]]:
    """Yield (old id, new id or None) in the order given: like look_up(), with one round trip per batch.

    For the owner of the target and the service. Holds one batch at a time.

    Raises:
        IdAmbiguous: rows of several sources have the same old id; name the source, as `table.source`.
    """
    for chunk in _batches(olds, batch):
        with _explained():
            rows = connection.execute(
                "select old_id, new_id from tenantry.ids_of(%s, %s::text[])", [table, list(dict.fromkeys(chunk))]
            ).fetchall()
        found: dict[str, UUID] = {}
        for old, new in rows:
            if found.setdefault(old, new) != new:
                raise IdAmbiguous(
                    f"Several rows of {table} have the old id {old!r}.",
                    hint=f"Name the source: {', '.join(_sources(connection, table))}.",
                )
        for old in chunk:
            yield old, found.get(old)


def old_ids_of(
    connection: Connection, table: str, news: Iterable[UUID | str], *, batch: int = BATCH
) -> Iterator[tuple[UUID | str, str | None]]:
    """Yield (new id as given, old id or None) in the order given, one round trip per batch. A text that is not a uuid has no
    old id."""
    for chunk in _batches(news, batch):
        given = [(new, _uuid(new)) for new in chunk]
        with _explained():
            rows = connection.execute(
                "select new_id, old_id from tenantry.old_ids_of(%s, %s::uuid[])",
                [table, list({one for _, one in given if one is not None})],
            ).fetchall()
        found: dict[UUID, str] = dict(rows)
        for new, one in given:
            yield new, found.get(one) if one is not None else None


@dataclass(frozen=True, slots=True)
class Use:
    """How often a form of a table's ids was passed to tenantry.to_id().

    Attributes:
        uses: in transactions that may write.
        read_only_uses, read_only_last: in read-only transactions, on the queried server, since its statistics were reset;
            PostgreSQL records the time from version 16 on.
        accepted: whether the table still accepts both forms.
    """

    table: str
    form: str
    uses: int
    first: datetime | None
    last: datetime | None
    since: datetime
    read_only_uses: int
    read_only_last: datetime | None
    accepted: bool

    @property
    def latest(self) -> datetime | None:
        """The last known use; None if there was none, or its time is unknown."""
        return max((at for at in (self.last, self.read_only_last) if at is not None), default=None)

    @property
    def used(self) -> bool:
        return bool(self.uses or self.read_only_uses)


def id_uses(connection: Connection) -> tuple[Use, ...]:
    """Return the counters by table, the old form before the new one."""
    last = "pg_stat_get_lastscan(u.counter::regclass)" if connection.info.server_version >= 160000 else "null"
    with _explained():
        rows = connection.execute(
            f"select u.target_table, u.form, u.uses, u.first_use, u.last_use, u.since, u.read_only_uses, {last}, u.accepted"
            " from tenantry.id_use u order by u.target_table, u.form desc"
        ).fetchall()
    return tuple(Use(*row) for row in rows)


@dataclass(frozen=True, slots=True)
class Seen:
    """A row found by one of its ids.

    Attributes:
        state: carried; merged: the new id is the surviving row's; quarantined: it has no new id yet; same: a uuid that was
            kept, or a target-native row.
        account: for a person, the account in auth.users.
    """

    source_table: str | None
    target_table: str
    old_id: str
    new_id: UUID | None
    state: str
    account: UUID | None = None


def look(connection: Connection, given: str) -> tuple[Seen, ...]:
    """Find an id in any form: as an old id, a new one, or an account's id. For the owner of the target; searches by index,
    table by table."""
    tables = id_tables(connection)
    seen: dict[tuple[str | None, str, str], Seen] = {}
    with _explained():
        for table in tables:
            parameters = {**asdict(table), "given": given}
            for row in connection.execute(_LOOK, parameters).fetchall():
                seen.setdefault((table.source, table.target, str(row[2])), Seen(*row))
        people = next((table for table in tables if table.profile), None)
        if people is None:
            return tuple(seen.values())
        for old, profile, account, state in connection.execute(
            "select old_id, profile_id, account_id, state from tenantry.person where account_id = %s", [_uuid(given)]
        ).fetchall():
            found = Seen(people.source, people.target, old, profile, state, account)
            seen.setdefault((people.source, people.target, old), found)
        accounts = {
            each.new_id: connection.execute(
                "select account_id from tenantry.person where profile_id = %s limit 1", [each.new_id]
            ).fetchone()
            for each in seen.values()
            if each.target_table == people.target and each.new_id is not None
        }
    return tuple(
        replace(each, account=account[0]) if each.new_id and (account := accounts.get(each.new_id)) else each
        for each in seen.values()
    )


_LOOK = """
select %(source)s, %(target)s, coalesce(m.source_key, o.old), f.id,
       case when m.source_key is not null then 'merged' when o.old = f.id::text then 'same' else 'carried' end
  from (select tenantry.id_of(%(name)s, %(given)s) as id) as f
 cross join lateral (select tenantry.old_id_of(%(name)s, f.id) as old) as o
  left join tenantry.merged as m on m.mapping = %(mapping)s and m.source_key = %(given)s
 where f.id is not null
 union all
select %(source)s, %(target)s, q.source_key, null, 'quarantined'
  from tenantry.quarantine as q
 where q.source_table = %(source)s and q.source_key = %(given)s and q.mapping = %(mapping)s and q.state = 'open'
"""


# -- parts -------------------------------------------------------------------------------------------------------------


def _sources(connection: Connection, table: str) -> list[str]:
    return [each.name for each in id_tables(connection) if each.target == table]


def _batches(items: Iterable[Any], size: int) -> Iterator[list[Any]]:
    walk = iter(items)
    while chunk := list(islice(walk, size)):
        yield chunk


def _uuid(given: UUID | str) -> UUID | None:
    if isinstance(given, UUID):
        return given
    try:
        return UUID(given) if len(given) == 36 else None
    except ValueError:
        return None


def _did_you_mean(table: str, known: Sequence[str]) -> str:
    near = nearest(table, known)
    return (f"Did you mean {near!r}? " if near else "") + f"There are: {', '.join(known)}."


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except (errors.UndefinedFunction, errors.UndefinedTable, errors.InvalidSchemaName) as error:
        raise IdsMissing(
            "There is no id map in this database, or an older version made it.",
            hint="`tenantry migrate` creates it; `tenantry ids apply` updates an older one.",
        ) from error
    except errors.InvalidParameterValue as error:
        raise NoSuchTable(
            f"{(error.diag.message_primary or '').capitalize()}.", hint=error.diag.message_hint or ""
        ) from error
    except errors.CardinalityViolation as error:
        raise IdAmbiguous(
            f"{(error.diag.message_primary or '').capitalize()}.", hint=error.diag.message_hint or ""
        ) from error
