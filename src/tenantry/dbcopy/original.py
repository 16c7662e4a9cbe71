"""The database that is copied: what it is, and what was read of it."""

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
"""Called with what is counted, how many are done, and how many there are."""

MARK = "made by tenantry rehearse"
_LOCK = 7304871220353
"""Advisory lock on the original: one rehearsal at a time, so that a marked copy that is found is nobody's."""

QUICK_BYTES = 2 * 1024**3
"""While a template is copied nobody can connect to it: larger databases are dumped, where there is a pg_dump."""

SQL = "tenantry.dbcopy"


class CopyRefused(TenantryError):
    """The copy to rehearse on cannot be made here."""

    code: ClassVar[str] = "TN-211"
    remedy: ClassVar[str] = "Correct what the message names, or rehearse elsewhere: `--copy-dsn` or `--embedded`."


@dataclass(frozen=True, slots=True)
class Original:
    """The database that is copied, as it was found.

    Attributes:
        user, login: current_user and session_user of the DSN.
        system: the server's identifier, by which it is told from every other.
        sessions: programs that are connected, but for this one.
        facts: the row of pg_database.
        settings: what ALTER DATABASE … SET says.
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
    """This login, or the role that it acts as, may create databases."""
    login_creates: bool
    """Only as the login itself, not as the role that it acts as."""
    owned: bool
    lacking: tuple[str, ...]
    """Rights that a migration needs here, and that the copy, which belongs to the login, cannot show the lack of."""
    sessions: tuple[str, ...]
    facts: Mapping[str, Any]
    settings: tuple[str, ...]
    catalog: Catalog

    @property
    def mark(self) -> str:
        return f"{MARK}: a copy of {self.database} (system {self.system})"


@dataclass(slots=True)
class Copy:
    """A database with everything that the original had when it was made.

    Attributes:
        server: where it is, in words.
        method: how it was made, in words.
        same_server: it shares the original's server, so that durations there say something about the original.
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
    """The original over a connection that cannot write, and what is to be known of it.

    Args:
        every_row: whether all rows of its tables are needed.

    Raises:
        RunInProgress: another rehearsal of it is under way.
        SchemaMissing: there is no source schema.
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
