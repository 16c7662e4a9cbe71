"""Connections for the engine: direct, checked, with settings that make results the same on every server."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import psycopg
from psycopg import errors as pg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import set_json_loads

from tenantry.errors import (
    ConnectionLost,
    DiskTrouble,
    EncodingUnsupported,
    LoginRefused,
    PoolerInTheWay,
    RightsMissing,
    ServerTooOld,
    ServerUnreachable,
    SettingsError,
    SideFenced,
    SourceAltered,
    SourceLocked,
    StatementRefused,
    TenantryError,
)
from tenantry.postgres.json_text import read_json

OLDEST = 150000

# Parameters that Prisma and similar tools add to a URL and libpq does not know.
_FOREIGN_PARAMETERS = frozenset(
    {
        "schema",
        "connection_limit",
        "pool_timeout",
        "pgbouncer",
        "socket_timeout",
        "statement_cache_size",
        "sslaccept",
        "sslidentity",
        "single_use_connections",
    }
)

SESSION_SETTINGS = {
    # Canonical text of every value, regardless of the locations of server and client.
    "datestyle": "ISO, YMD",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "1",
    "bytea_output": "hex",
    "xmloption": "content",
    "standard_conforming_strings": "on",
    "client_encoding": "UTF8",
    # Bulk work: JIT compilation for a chunk costs more than it saves.
    "jit": "off",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    # Below deadlock_timeout (1 s), so that a deadlock never ends the application's transaction.
    "lock_timeout": "900ms",
    # A server that no longer hears from this client ends the session, and releases its locks.
    "tcp_keepalives_idle": "10",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "25s",
}

NETWORK = {
    # The same on this side: a lost network is noticed within 25 seconds.
    "keepalives": 1,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}

_CHECK_CLIENT = "select set_config('client_connection_check_interval', '2s', false)"
"""Makes a backend whose client was killed stop waiting for a lock. Servers on some platforms do not support it."""


_ESCAPED = re.compile(r"[ \\]")


def _escape(match: re.Match[str]) -> str:
    return "\\" + match.group()


def normalise_dsn(dsn: str) -> str:
    """Return a connection string that libpq accepts: without Prisma's own URL parameters.

    Raises:
        SettingsError: the text is no connection string (the message omits it, since it may contain a password).
    """
    text = dsn.strip()
    try:
        if "://" in text:
            parts = urlsplit(text)
            kept = [(key, value) for key, value in parse_qsl(parts.query) if key not in _FOREIGN_PARAMETERS]
            text = urlunsplit(parts._replace(query=urlencode(kept, quote_via=quote)))
        conninfo_to_dict(text)
    except (psycopg.Error, ValueError):
        raise SettingsError(
            "PostgreSQL does not understand the connection string (it is not shown, because it may contain a password).",
            hint="Give a URL such as postgresql://user@host:5432/database, or key=value pairs: 'host=… dbname=… user=…'.",
        ) from None
    return text


def describe_dsn(dsn: str) -> str:
    """Describe the target of a connection string, without secrets: 'clinic at db.example:5432 as owner'."""
    found = conninfo_to_dict(dsn)
    host = found.get("host") or found.get("hostaddr") or os.environ.get("PGHOST") or "the local socket"
    port = found.get("port")
    where = f"{host}:{port}" if port and not str(host).startswith("/") else str(host)
    user = found.get("user") or os.environ.get("PGUSER") or "the default user"
    return f"{found.get('dbname') or user} at {where} as {user}"


def with_parameters(dsn: str, **parameters: str) -> str:
    """Return a DSN of the same server with other parameters, e.g. user or dbname."""
    return make_conninfo(dsn, **parameters)


def connect(
    dsn: str, *, name: str = "tenantry", autocommit: bool = True, any_encoding: bool = False
) -> psycopg.Connection[tuple[object, ...]]:
    """Open a direct connection with the engine's session settings.

    Args:
        any_encoding: accept any encoding, for work that concerns only the server, not the database's content.

    Raises:
        ServerUnreachable, LoginRefused, ServerTooOld, PoolerInTheWay, EncodingUnsupported: with what to do.
    """
    options = " ".join(f"-c {key}={_ESCAPED.sub(_escape, value)}" for key, value in SESSION_SETTINGS.items())
    given = conninfo_to_dict(dsn)
    own = given.get("options")
    try:
        connection = psycopg.connect(
            dsn,
            autocommit=autocommit,
            application_name=name,
            connect_timeout=int(str(given.get("connect_timeout") or 10)),
            options=f"{own} {options}" if own else options,
            prepare_threshold=None,
            **{name: value for name, value in NETWORK.items() if name not in given},  # type: ignore[arg-type]
        )
    except psycopg.Error as error:
        raise _explain_connect(error, dsn) from None
    set_json_loads(read_json, connection)
    if connection.info.server_version < OLDEST:
        version = connection.info.server_version // 10000
        connection.close()
        raise ServerTooOld(
            f"The server is PostgreSQL {version}; Tenantry needs 15 or newer.",
            hint="Upgrade the server (pg_upgrade, or a logical replica of a newer version).",
        )
    # The server reports its encoding at login: no query is sent to a database that may not understand it.
    encoding = connection.info.parameter_status("server_encoding") or "UTF8"
    if encoding != "UTF8" and not any_encoding:
        database = connection.info.dbname
        connection.close()
        raise EncodingUnsupported(database, encoding)
    with suppress(AttributeError):
        if connection.info.parameter_status("TimeZone") != "UTC":
            connection.close()
            raise PoolerInTheWay(
                f"The connection to {describe_dsn(dsn)} does not keep its session settings. It seems to go through a pooler.",
                hint="Give the direct address of the server, not that of pgbouncer or another pooler.",
            )
    if autocommit:
        with suppress(psycopg.DatabaseError):
            connection.execute(_CHECK_CLIENT)
    return connection


def _explain_connect(error: psycopg.Error, dsn: str) -> TenantryError:
    text = str(error).strip()
    where = describe_dsn(dsn)
    if "unsupported startup parameter" in text:
        return PoolerInTheWay(
            f"{where}: a pooler answered, and it refuses session settings.",
            hint="Give the direct address of the server, not that of pgbouncer or another pooler.",
        )
    if "does not exist" in text and "database" in text:
        return LoginRefused(
            f"The server answers, but the database does not exist: {where}.",
            hint="Correct the database's name in --dsn, TENANTRY_DSN or DATABASE_URL, or create the database (createdb).",
        )
    if any(words in text for words in ("too many clients", "too many connections", "remaining connection slots")):
        return DiskTrouble(
            f"The server has no free connection: {where}. {text.splitlines()[-1]}",
            hint="Close unused connections, or raise the limit: max_connections of the server, or the limit of the role or"
            " the database (alter role … connection limit …). `tenantry migrate` needs one for each worker (--workers) and five"
            " more. Then run the same command again: it resumes from the journal.",
        )
    if any(word in text for word in ("authentication failed", "no password supplied", "role", "pg_hba.conf")):
        return LoginRefused(
            f"The server refuses this login: {where}.",
            hint="Check the user, the password (also in PGPASSWORD and ~/.pgpass) and pg_hba.conf.",
        )
    reason = text.splitlines()[-1] if text else type(error).__name__
    return ServerUnreachable(
        f"No PostgreSQL server could be reached: {where}. {reason}",
        hint="Check that the server is running, and that host and port are right. Without --dsn, TENANTRY_DSN and DATABASE_URL,"
        " Tenantry starts an embedded server by itself.",
    )


def explain(error: psycopg.Error, doing: str) -> TenantryError:
    """Return a server error as a TenantryError with an explanation. `doing` completes 'while …'."""
    primary = error.diag.message_primary or str(error).strip().splitlines()[0] if str(error) else type(error).__name__
    if isinstance(error, pg.InsufficientPrivilege):
        return RightsMissing(
            f"The login lacks a right while {doing}: {primary}.",
            hint="Tenantry needs a login that owns the source tables and has CREATE on the database. A superuser or the"
            " tables' owner can grant it: GRANT CREATE ON DATABASE … TO …; ALTER TABLE … OWNER TO ….",
        )
    if isinstance(error, pg.DiskFull | pg.OutOfMemory | pg.TooManyConnections | pg.InsufficientResources):
        return DiskTrouble(
            f"The server ran out of a resource while {doing}: {primary}.",
            hint="Free disk (the copy needs about twice the data), memory or connections. Then run the same command again:"
            " it resumes from the journal.",
        )
    if isinstance(error, pg.IdleInTransactionSessionTimeout | pg.TransactionTimeout):
        return ConnectionLost(
            f"The server ended the session while {doing}: this process hung or lost its connection while it held locks"
            " that applications wait for. The transaction was rolled back.",
            hint="Run the same command again: it resumes from the journal.",
        )
    if is_fence(error):
        return SideFenced(
            f"The fence refused a write while {doing}: {primary}. {error.diag.message_detail or ''}".rstrip(),
            hint="Connect as the login of the runs (--dsn, TENANTRY_DSN), which the fence lets write. Or wait until applications write"
            " this side: after `tenantry cutover` that is the target.",
        )
    if isinstance(error, pg.ReadOnlySqlTransaction):
        return SourceAltered(
            f"The server accepts no writes: {primary} (while {doing}).",
            hint="If it is a standby, connect to the primary. If it is to become the primary, promote it first. If it is no standby,"
            " default_transaction_read_only is on for this login or database.",
        )
    if isinstance(error, pg.LockNotAvailable | pg.DeadlockDetected):
        return SourceLocked(
            f"Another session held a lock for longer than Tenantry waits, while {doing}: {primary}."
            " The transaction was rolled back.",
            hint="`tenantry status` names the sessions that have written and not committed. End their transactions, or wait. Then run the same"
            " command again: it resumes from the journal.",
        )
    if isinstance(error, psycopg.OperationalError) and (
        error.sqlstate is None or isinstance(error, pg.AdminShutdown | pg.CrashShutdown | pg.CannotConnectNow)
    ):
        return ConnectionLost(
            f"The connection broke while {doing}: {primary}.",
            hint="Run the same command again when the server is back: it resumes from the journal.",
        )
    return _refused(error, doing, primary)


def is_fence(error: psycopg.Error) -> bool:
    """Whether Tenantry's own trigger refused the write, on the inactive side."""
    return isinstance(error, pg.ReadOnlySqlTransaction) and "tenantry.refuse_write()" in (error.diag.context or "")


@contextmanager
def about(what: str) -> Iterator[None]:
    """Add the current object to server errors, e.g. `the mapping goals, from public.goals to clinic.goals`."""
    try:
        yield
    except psycopg.Error as error:
        if not getattr(error, "__notes__", ()):
            error.add_note(what)
        raise


def _refused(error: psycopg.Error, doing: str, primary: str) -> StatementRefused:
    """Return the error for all other refusals: with the mapping, and the table, column and constraint that the server names."""
    diag = error.diag
    named = {
        "table": ".".join(part for part in (diag.schema_name, diag.table_name) if part),
        "column": diag.column_name or "",
        "constraint": diag.constraint_name or "",
        "type": diag.datatype_name or "",
    }
    where = [*getattr(error, "__notes__", ()), *(f"{kind} {name}" for kind, name in named.items() if name)]
    return StatementRefused(
        f"PostgreSQL refused a statement while {doing}: {primary}."
        + (f" It concerns {', '.join(where)}." if where else ""),
        hint=" ".join(filter(None, (diag.message_hint, _advice(error)))),
        detail={"sqlstate": error.sqlstate, "about": where, "context": (diag.context or "")[:500]},
    )


def _advice(error: psycopg.Error) -> str:
    """Return a hint for the kind of the error."""
    if isinstance(error, pg.SerializationFailure | pg.DeadlockDetected | pg.LockNotAvailable | pg.QueryCanceled):
        return "It passes: others were at work on the same rows or tables, or it took too long. Run the same command again."
    if isinstance(error, pg.DataError | pg.IntegrityError):
        return "A value is to blame. Look at it in the source, or say in the manifest what becomes of such values, then run again."
    if isinstance(
        error, pg.UndefinedTable | pg.UndefinedColumn | pg.UndefinedFunction | pg.UndefinedObject | pg.InvalidSchemaName
    ):
        return (
            "A named object does not exist: check whether a table or column was renamed or dropped since the run began, and whether"
            " SQL of the manifest names schemas in full. Then run the same command again."
        )
    if isinstance(error, pg.RaiseException):
        return (
            "A trigger or function of the application raised it: check whether it must run for the migration's writes."
        )
    return (
        "Check whether a trigger, rule, function or type of the application causes this. Fix it and run the same command again. If"
        " nothing is, this is a defect of Tenantry: please report it with the output of the same command and --json."
    )
