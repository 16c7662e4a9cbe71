"""Synthetic writes that exercise a rehearsal: they switch some rows of each table between two values.

They use another login than the migrator's, as an application does, so that capture, replay, the fence and reverse replay
are exercised. Only for a copy: they need rights there, which are revoked afterwards.
"""

from __future__ import annotations

import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.derivation.keys import mapping_key, same_key
from tenantry.journal.journal import Connection
from tenantry.manifest import Manifest
from tenantry.mapping import MappedColumn, Mapping, Project
from tenantry.mapping.project import ROW_ID
from tenantry.mapping.values.type_names import base_type, text_length
from tenantry.postgres import ident, idents, load_blocks, verbatim
from tenantry.rehearse.contexts import ClientContexts

ROWS = 20
"""Number of written rows per table: half of them with the lowest keys, half with the highest."""

_AUDIT = {"created_at", "updated_at", "created_by", "updated_by"}
_PAUSE = 0.004
"""Seconds between two writes of a load."""
_KEY, _VALUE = "/* key */", "/* value */"
"""Marks for parameters in statements: names may contain any character, also the percent sign."""
_REFUSES = "25006"
"""read_only_sql_transaction: the fence of the inactive side."""


class CannotWrite(Exception):
    """There is no login for synthetic writes; the text says why."""


@dataclass(slots=True)
class WritePlace:
    """Some rows of one table, and the column that is written in them.

    Attributes:
        find: the condition that finds a row, by the text of its key.
        column: None if no column can be changed without harm: then rows are rewritten unchanged.
        before: key → the column's value as text.
        also: columns that the table's triggers change with such a write.
        callers: key → the account in whose context the row is written; empty in the source, which has no contexts.
    """

    table: str
    sql: str
    relation: tuple[str, str]
    """Schema and name of the table."""
    source: str
    """The rows' source table."""
    find: str
    column: CatalogColumn | None
    forth: str
    same: str
    """An assignment that changes nothing."""
    keys: tuple[str, ...]
    before: dict[str, str | None] = field(default_factory=dict)
    also: frozenset[str] = frozenset()
    callers: dict[str, str] = field(default_factory=dict)


# -- places to write -----------------------------------------------------------------------------------------------------


def chosen_keys(connection: Connection, project: Project, rows: int = ROWS) -> dict[str, tuple[str, ...]]:
    """Return source table → keys of the rows to write."""
    found: dict[str, tuple[str, ...]] = {}
    for table in project.source_tables:
        mapping = first_mapping(project, table)
        source = ident(project.source.schema, table.name)
        order = idents(mapping.key, prefix="s")
        down = ", ".join(f"s.{ident(name)} desc" for name in mapping.key)
        key = mapping_key(mapping)
        half = max(rows // 2, 1)
        keys = connection.execute(
            f"select k from (select {key} as k from {source} s order by {order} limit {half}) a"
            f" union select k from (select {key} as k from {source} s order by {down} limit {half}) b order by 1"
        )
        found[table.name] = tuple(str(row[0]) for row in keys)
    return found


def source_places(
    writer: Connection, project: Project, keys: dict[str, tuple[str, ...]]
) -> tuple[list[WritePlace], list[str]]:
    """Return the places to write in the source, and the tables that cannot be written, with the reason."""
    places = []
    for table in project.source_tables:
        mapping = first_mapping(project, table)
        candidates = [pair[0] for each in _parts(project, table) for pair in pairs(project, each)]
        same = f"{ident(mapping.key[0])} = {ident(mapping.key[0])}"
        find = same_key(project.source, mapping, "s", _KEY)
        sql = ident(project.source.schema, table.name)
        places += [
            WritePlace(
                table.name,
                f"{sql} s",
                (table.schema, table.name),
                table.name,
                find,
                column,
                _forth(column, "s"),
                same,
                keys[table.name],
            )
            for column in [*candidates, None]
        ]
    return _tried(writer, places)


def target_places(
    writer: Connection, project: Project, keys: dict[str, tuple[str, ...]], contexts: ClientContexts
) -> tuple[list[WritePlace], list[str]]:
    """Return the places to write in the target: rows from the source's chosen ones, each written as a member of its tenant."""
    places = []
    for mapping in project:
        sql = ident(project.target.schema, mapping.target.name)
        legacy = [f"{mapping.legacy_prefix}{key}" for key in keys[mapping.source.name]]
        there = writer.execute(
            f"select legacy_id, {verbatim(_tenant_of(project, mapping.name))}, {verbatim(_account_of(project, mapping.name))}"
            f" from {verbatim(sql)} where legacy_id = any (%s) order by 1",
            [legacy],
        ).fetchall()
        callers = {str(key): contexts.account_for(tenant, account) for key, tenant, account in there}
        candidates = [pair[1] for pair in pairs(project, mapping)]
        find = f"s.legacy_id = {_KEY}"
        places += [
            WritePlace(mapping.name, f"{sql} s", (mapping.target.schema, mapping.target.name), mapping.source.name, find, column, _forth(column, "s"),
                  "legacy_id = legacy_id", tuple(callers), callers=callers)
            for column in [*candidates, None]
        ]  # fmt: skip
    return _tried(writer, places, contexts)


def _tenant_of(project: Project, table: str) -> str:
    """Return SQL of the tenant of a target row."""
    tenant = project.manifest.tenant
    column = tenant.column if project.scoped(table) else ROW_ID if table == tenant.table else None
    return f"{ident(column)}::text" if column is not None else "null"


def _account_of(project: Project, table: str) -> str:
    """Return SQL of the account of the person that a target row describes."""
    users = project.manifest.users
    return f"{ident(users.account)}::text" if users is not None and table == users.profile else "null"


def pairs(project: Project, mapping: Mapping) -> list[tuple[CatalogColumn, CatalogColumn]]:
    """Return source columns that migrate unchanged, in both directions, into a single target column; the best first.

    Keys, references and columns in constraints, merges and conditions are excluded: a write there could have effects.
    """
    found = []
    for column in mapping.columns:
        source, target = mapping.source.column(column.source or ""), mapping.target.column(column.name)
        if column.kind != "value" or column.present is not None or source is None or target is None:
            continue
        plain = _is_plain(column.value, "s", source.name) and _is_plain(column.down or "", "t", target.name)
        if not plain or _serves_else(project, mapping, column, source.name):
            continue
        if any(_bound(table, each) for table, each in ((mapping.source, source), (mapping.target, target))):
            continue
        if _forth(source, "s") and _forth(target, "s") and column.name not in _AUDIT:
            found.append((source, target))
    order = ["text", "character varying", "numeric", "bigint", "integer", "smallint", "boolean"]
    return sorted(
        found, key=lambda pair: order.index(kind) if (kind := base_type(pair[0].type)) in order else len(order)
    )


def _parts(project: Project, table: Table) -> list[Mapping]:
    return sorted(project.of_source(table.name), key=lambda mapping: mapping.namespace != table.name)


def first_mapping(project: Project, table: Table) -> Mapping:
    return _parts(project, table)[0]


def _is_plain(expression: str, alias: str, column: str) -> bool:
    """Whether an expression is the column itself, or a cast of it."""
    text = expression.strip()
    while True:
        shorter = re.sub(r"::[a-z ]+(\(\d+(,\d+)?\))?$", "", text)
        if shorter.startswith("(") and shorter.endswith(")") and shorter.count("(") == 1:
            shorter = shorter[1:-1]
        if shorter == text:
            return text == f"{alias}.{ident(column)}"
        text = shorter


def _serves_else(project: Project, mapping: Mapping, column: MappedColumn, name: str) -> bool:
    """Whether anything else is derived from a source column, or depends on it."""
    said = [mapping.source.name]
    for each in project.of_source(mapping.source.name):
        if name in each.secrets:
            return True
        for other in each.columns:
            if other is not column:
                said += [other.value, other.present or "", other.missing or ""]
        said += [each.where or "", each.merge.keep if each.merge is not None else ""]
        if each.merge is not None and column.name in each.merge.by:
            return True
        if any(name in ref.columns for ref in (*each.references, *each.tenant_paths)):
            return True
    for ref in (ref for each in project for ref in (*each.references, *each.tenant_paths)):
        if any(name in hop.by for hop in ref.hops()):
            return True
        if any(name in hop.onward.columns for hop in ref.hops() if hop.onward and hop.source == mapping.source.name):
            return True
    word = re.compile(rf"(?<![\w$]){re.escape(name)}(?![\w$])")
    return any(word.search(text) for text in said[1:])


def _bound(table: Table, column: CatalogColumn) -> bool:
    """Whether a key, a reference, a check or an expression of the table uses a column, or the server fills it."""
    if column.generated is not None or column.identity is not None or column.type_kind != "base":
        return True
    if any(column.name in constraint.columns for constraint in table.constraints):
        return True
    if any(index.unique and (column.name in index.columns or None in index.columns) for index in table.indexes):
        return True
    texts = [table.partition_key or "", *(each.generated or "" for each in table.columns)]
    return any(re.search(rf"(?<![\w$]){re.escape(column.name)}(?![\w$])", text) for text in texts)


def _forth(column: CatalogColumn | None, alias: str) -> str:
    """Return SQL of the other value of a column; empty if its type has none that surely fits."""
    if column is None:
        return ""
    value = f"{alias}.{ident(column.name)}"
    match base_type(column.type):
        case "text" | "character varying":
            length = text_length(column.type)
            room = f"left(coalesce({value}, ''), {length - 1})" if length is not None else f"coalesce({value}, '')"
            return f"{room} || '~'"
        case "numeric" | "bigint" | "integer" | "smallint":
            # Towards zero, so that it fits the type's limits.
            return f"case when {value} >= 1 then {value} - 1 else coalesce({value}, 0) + 1 end"
        case "boolean":
            return f"not coalesce({value}, false)"
        case "timestamp with time zone" | "timestamp without time zone":
            return f"coalesce({value}, timestamp '2000-01-01') + interval '1 second'"
        case "date":
            return f"coalesce({value}, date '2000-01-01') + 1"
    return ""


def _tried(
    writer: Connection, candidates: Sequence[WritePlace], contexts: ClientContexts | None = None
) -> tuple[list[WritePlace], list[str]]:
    """Return the first place of each table where a write succeeds; all trials are rolled back."""
    places: dict[str, WritePlace] = {}
    reasons: dict[str, str] = {}
    for place in candidates:
        if place.table in places or not place.keys:
            continue
        try:
            with writer.transaction(force_rollback=True):
                key = {"key": place.keys[0]}
                _enter(writer, place, place.keys[0], contexts)
                before = writer.execute(
                    _ready(f"select to_json(s.*) from {place.sql} where {place.find}"), key
                ).fetchone()
                after = writer.execute(
                    _ready(f"update {place.sql} set {_assignment(place)} where {place.find} returning to_json(s.*)"),
                    key,
                ).fetchone()
        except psycopg.Error as error:
            reasons.setdefault(place.table, error.diag.message_primary or type(error).__name__)
            continue
        if before is None or after is None:
            reasons.setdefault(place.table, "its rows cannot be seen")
            continue
        changed = {name for name, value in after[0].items() if value != before[0].get(name)}
        if place.column is not None and place.column.name not in changed:
            continue
        place.also = frozenset(changed - {place.column.name if place.column is not None else ""})
        places[place.table] = place
        if place.column is not None:
            found = writer.execute(
                _ready(
                    f"select k.key, (select s.{ident(place.column.name)}::text from {place.sql}"
                    f" where {place.find.replace(_KEY, 'k.key')}) from unnest(/* keys */::text[]) k (key)"
                ).replace(b"/* keys */", b"%(keys)s"),
                {"keys": list(place.keys)},
            )
            place.before = {str(key): value for key, value in found}
    left = [f"{table}: {reason}" for table, reason in reasons.items() if table not in places]
    return list(places.values()), left


def _enter(writer: Connection, place: WritePlace, key: str, contexts: ClientContexts | None) -> None:
    """Open the context for a row in the writer's transaction; the source has no contexts."""
    if contexts is not None:
        contexts.open(writer, place.callers[key])


def _ready(statement: str) -> bytes:
    """Return a statement with parameters instead of the marks."""
    text = statement.replace("%", "%%").replace(_KEY, "%(key)s::text").replace(_VALUE, "%(value)s::text")
    return text.encode()


def _assignment(place: WritePlace) -> str:
    return f"{ident(place.column.name)} = {place.forth}" if place.column is not None else place.same


# -- logins --------------------------------------------------------------------------------------------------------------


def login_address(copy_dsn: str, manifest: Manifest, login_dsn: str | None) -> str:
    """Return how the API's login connects to the copy: with the given name and password, otherwise with the manifest's name."""
    parts = {
        key: value for key, value in conninfo_to_dict(copy_dsn).items() if key not in ("user", "password", "options")
    }
    given = conninfo_to_dict(login_dsn) if login_dsn else {}
    parts["user"] = given.get("user") or manifest.database_roles.login
    if given.get("password"):
        parts["password"] = given["password"]
    return make_conninfo(**{key: str(value) for key, value in parts.items() if value is not None})


@contextmanager
def opened(copy_dsn: str, manifest: Manifest, login_dsn: str | None, role: str | None = None) -> Iterator[Connection]:
    """Open a connection whose session_user is not the migrator.

    Args:
        role: the role to set.

    Raises:
        CannotWrite: the login failed.
    """
    name = manifest.database_roles.login
    address, application, become = login_address(copy_dsn, manifest, login_dsn), "rehearsal writer", ""
    with psycopg.connect(copy_dsn, autocommit=True, application_name="tenantry: rehearsal") as migrator:
        row = migrator.execute(
            "select session_user, (select rolsuper from pg_roles where rolname = session_user)"
        ).fetchone()
    assert row is not None
    if row[1] and login_dsn is None:
        # A superuser can become any login without its password.
        address, application, become = (
            copy_dsn,
            "tenantry: rehearsal writer",
            f"set session authorization {ident(name)}",
        )
    elif conninfo_to_dict(address).get("user") == row[0]:
        raise CannotWrite(f"{row[0]} is the login that migrates: its writes are not captured")
    try:
        connection = psycopg.connect(address, autocommit=True, application_name=application, connect_timeout=10)
    except psycopg.Error as error:
        raise CannotWrite(
            f"the login {name} cannot connect ({(str(error).strip().splitlines() or ['?'])[-1]})"
        ) from None
    with connection:
        for statement in ("reset role" if become else "", become, f"set role {ident(role)}" if role else ""):
            if statement:
                try:
                    connection.execute(statement.encode())
                except psycopg.Error as error:
                    raise CannotWrite(f"{error.diag.message_primary}") from None
        connection.execute("set statement_timeout = '30s'; set datestyle = 'ISO, YMD'; set intervalstyle = 'postgres'")
        yield connection


@contextmanager
def allowed(connection: Connection, schema: str, role: str) -> Iterator[None]:
    """Let a role write a schema's tables, as far as the migrator may grant that."""
    statements = connection.execute(
        load_blocks("tenantry.rehearse", "synthetic_writes")["rights"], {"schema": schema, "role": role}
    ).fetchall()
    for grant, _ in statements:
        connection.execute(str(grant).encode())
    try:
        yield
    finally:
        if not connection.closed:
            for _, revoke in reversed(statements):
                connection.execute(str(revoke).encode())


# -- writing -------------------------------------------------------------------------------------------------------------


@dataclass
class Written:
    """The writes of one side.

    Attributes:
        rows: number of distinct rows.
        changing: tables in which a value changed back and forth; in the others rows were rewritten unchanged.
        refused: the server's message → number of refusals.
        fenced: whether the side refused writes, since the other one is active now.
        longest: seconds of the slowest write, from its start to the commit.
    """

    side: str
    login: str
    tables: int
    changing: int
    rows: int
    writes: int = 0
    fenced: bool = False
    longest: float = 0.0
    refused: Counter[str] = field(default_factory=Counter)


class Writer:
    """Writes back and forth over one connection."""

    def __init__(
        self, connection: Connection, places: Sequence[WritePlace], side: str, contexts: ClientContexts | None = None
    ) -> None:
        self._connection, self.places, self._contexts = connection, places, contexts
        self.triggered: set[tuple[str, str]] = set()
        """Schema and name of tables in which a write changed more than its own row: by a trigger or a key's action."""
        row = connection.execute("select session_user::text").fetchone()
        assert row is not None
        self.done = Written(
            side,
            str(row[0]),
            len(places),
            sum(place.column is not None for place in places),
            sum(len(place.keys) for place in places),
        )
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def forth(self) -> None:
        """Change each row once to its other value."""
        for place in self.places:
            for key in place.keys:
                self._write(place, _assignment(place), {"key": key})

    def back(self) -> None:
        """Restore each row's value."""
        for place in self.places:
            for key in place.keys:
                self._back(place, key)

    def _back(self, place: WritePlace, key: str) -> None:
        if place.column is None:
            self._write(place, place.same, {"key": key})
            return
        assignment = f"{ident(place.column.name)} = ({_VALUE})::{place.column.type}"
        self._write(place, assignment, {"key": key, "value": place.before[key]})

    def _write(self, place: WritePlace, assignment: str, values: dict[str, Any]) -> None:
        begun = time.monotonic()
        try:
            with self._connection.transaction():
                _enter(self._connection, place, values["key"], self._contexts)
                before = self._changed()
                own = self._connection.execute(
                    _ready(f"update {place.sql} set {assignment} where {place.find}"), values
                ).rowcount
                self._connection.execute("set constraints all immediate")
                changed = self._changed()
            changed.subtract(before)
            changed[place.relation] -= own
            self.triggered |= {name for name, rows in changed.items() if rows > 0}
            self.done.writes += 1
        except psycopg.Error as error:
            if error.sqlstate == _REFUSES:
                self.done.fenced = True
                self._stop.set()
            elif error.sqlstate is None or self._connection.closed:
                self._stop.set()
                self.done.refused["the connection was lost"] += 1
            else:
                self.done.refused[f"{place.table}: {error.diag.message_primary}"] += 1
        self.done.longest = max(self.done.longest, time.monotonic() - begun)

    def _changed(self) -> Counter[tuple[str, str]]:
        rows = self._connection.execute(load_blocks("tenantry.rehearse", "synthetic_writes")["written"])
        return Counter({(str(schema), str(name)): int(number) for schema, name, number in rows})

    def is_fenced(self, patience: float = 2.0) -> bool:
        """Whether this side refuses writes; a load gets a moment to notice."""
        if self._thread is not None:
            self._thread.join(timeout=patience)
            self.stop()
        if not self.done.fenced and self.places:
            place = self.places[0]
            self._back(place, place.keys[0])
        return self.done.fenced

    # -- load --------------------------------------------------------------------------------------------------------

    def start(self) -> None:
        """Write continuously in a thread, until stopped, or refused because the other side is active now."""
        self._thread = threading.Thread(target=self._work, name="tenantry-invented", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join(timeout=60)
            self._thread = None

    def _work(self) -> None:
        def there(place: WritePlace, key: str) -> None:
            self._write(place, _assignment(place), {"key": key})

        while not self._stop.is_set() and self.places:
            for write in (there, self._back):
                for place in self.places:
                    for key in place.keys:
                        write(place, key)
                        if self._stop.wait(_PAUSE):
                            return


# -- effects of triggers ------------------------------------------------------------------------------------------------


def triggered_tables(project: Project, writer: Writer) -> set[str]:
    """Return source tables in which triggers or keys' actions change further rows because of the synthetic writes."""
    source = {table.name for table in project.source_tables}
    found = {name for schema, name in writer.triggered if schema == project.source.schema and name in source}
    fed = {name for schema, name in writer.triggered if schema == project.target.schema}
    return found | {mapping.source.name for name in fed for mapping in project.by_target.get(name, ())}


def stamped_columns(project: Project, places: Sequence[WritePlace], *, target: bool) -> dict[str, set[str]]:
    """Return source table → columns that triggers change with the writes in these places."""
    found: dict[str, set[str]] = {}
    for place in places:
        names = set(place.also)
        if target:
            mapping = project.mapping(place.table)
            names = {
                column.source for column in mapping.columns if column.name in place.also and column.source is not None
            }
        found.setdefault(place.source, set()).update(names)
    return found


__all__ = [
    "CannotWrite",
    "WritePlace",
    "Writer",
    "Written",
    "allowed",
    "chosen_keys",
    "first_mapping",
    "login_address",
    "opened",
    "source_places",
    "stamped_columns",
    "target_places",
    "triggered_tables",
]
