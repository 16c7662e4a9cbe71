"""The database to copy, and the facts that were read about it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, ClassVar

from psycopg.rows import dict_row

from tenantry.catalog import Catalog, read_catalog
from tenantry.catalog.hidden import need_rows_of
from tenantry.errors import RunInProgress, TenantryError
from tenantry.journal.journal import Connection
from tenantry.manifest import Manifest
from tenantry.postgres import (
    connect,
    ident,
    load_blocks,
)
from tenantry.postgres.advisory import lock_holder

Count = Callable[[str, int, int], None]
"""Called with the kind of object counted, the number done, and the total."""

MARK = "made by tenantry rehearse"
_LOCK = 7304871220353
"""Advisory lock on the original: one rehearsal at a time, so a marked copy found meanwhile is not in use."""

QUICK_BYTES = 2 * 1024**3
"""Nobody can connect to a template while it is copied, so larger databases are dumped if a pg_dump is available."""

SQL = "tenantry.dbcopy"


class CopyRefused(TenantryError):
    """The copy for the rehearsal cannot be made here."""

    code: ClassVar[str] = "TN-211"
    remedy: ClassVar[str] = "Correct what the message names, or rehearse elsewhere: `--copy-dsn` or `--embedded`."


@dataclass(frozen=True, slots=True)
class Original:
    """Facts about the database to copy.

    Attributes:
        user, login: current_user and session_user of the DSN.
        system: the server's identifier, which distinguishes it from every other.
        sessions: connected programs, except this one.
        facts: the row of pg_database.
        settings: the settings of ALTER DATABASE … SET.
    """

    dsn: str
    database: str
    user: str
    login: str
    superuser: bool
    version: int
    system: str
    size: int
    tables: int
    may_create: bool
    """Whether this login, or the role that it acts as, may create databases."""
    login_creates: bool
    """Whether only the login itself may, not the role that it acts as."""
    owned: bool
    lacking: tuple[str, ...]
    """Rights that a migration needs here. A copy belongs to the login, so it cannot reveal that they are missing."""
    sessions: tuple[str, ...]
    facts: Mapping[str, Any]
    settings: tuple[str, ...]
    catalog: Catalog

    @property
    def mark(self) -> str:
        return f"{MARK}: a copy of {self.database} (system {self.system})"


@dataclass(slots=True)
class Copy:
    """A database with everything that the original had when the copy was made.

    Attributes:
        server: description of its server.
        method: description of how it was made.
        same_server: whether it is on the original's server, so that its durations are comparable.
    """

    dsn: str
    database: str
    server: str
    method: str
    same_server: bool
    seconds: float = 0.0
    notes: list[str] = field(default_factory=list)


@contextmanager
def reading(dsn: str, manifest: Manifest, *, every_row: bool = True) -> Iterator[tuple[Connection, Original]]:
    """Open a read-only connection to the original, and read the facts about it.

    Args:
        every_row: whether all rows of its tables are needed.

    Raises:
        RunInProgress: another rehearsal of it is running.
        SchemaMissing: the source schema does not exist.
        RowsHidden: row-level security hides rows that are needed.
    """
    with connect(dsn, name="tenantry: rehearsal") as connection:
        connection.execute("set default_transaction_read_only = on; set idle_session_timeout = 0")
        if connection.execute("select pg_try_advisory_lock(%s)", [_LOCK]).fetchone() != (True,):
            raise RunInProgress(
                f"Another rehearsal of this database is running: {lock_holder(connection, _LOCK)}.",
                hint="Wait until it ends. Its lock ends with its connection.",
            )
        yield connection, _look(connection, dsn, manifest, every_row)


def _look(connection: Connection, dsn: str, manifest: Manifest, every_row: bool) -> Original:
    blocks = load_blocks(SQL, "duplicate")
    schema = manifest.source.schema_name
    catalog = read_catalog(connection, schema)
    fed = {part.source for rule in manifest.tables.values() for part in rule.parts().values()}
    with connection.cursor(row_factory=dict_row) as cursor:
        row = cursor.execute(blocks["original"], {"schema": schema, "tables": sorted(fed)}).fetchone()
    assert row is not None
    if every_row:
        need_rows_of(connection, [ident(schema, table) for table in sorted(fed)])
    return Original(dsn=dsn, catalog=catalog, **_tuples(row))


def _tuples(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in row.items()}


__all__ = ["MARK", "QUICK_BYTES", "SQL", "Copy", "CopyRefused", "Count", "Original", "reading"]
