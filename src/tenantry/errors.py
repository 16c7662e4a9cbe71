"""Typed facts about what went wrong. Every error has a stable code, a message, and a hint that says what to do next.

Nothing here prints or knows how an error is shown; the command line renders them.
Codes: TN-1xx usage and configuration, TN-2xx server and rights, TN-3xx schemas, TN-4xx runs and journal, TN-5xx data, TN-6xx sign-in.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import ClassVar


def nearest(name: str, known: Sequence[str]) -> str | None:
    """The known name that is most like `name`, or None when none is close."""
    found = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
    if found:
        return found[0]
    folded = {item.lower(): item for item in known}
    return folded.get(name.lower())


class TenantryError(Exception):
    """Base of all errors that a user may meet. Raised by itself, it is a defect of Tenantry.

    Each subclass is a line of docs/reference/errors.md: the first sentence of its docstring, and its remedy.

    Attributes:
        exit_code: 1 found problems, 2 wrong usage or configuration.
        remedy: what to do, in general. It is the hint where the place that raises the error knows nothing better.
    """

    code: ClassVar[str] = "TN-000"
    exit_code: ClassVar[int] = 2
    remedy: ClassVar[str] = (
        "Run the same command again. If it fails again, report it with the file that the message names."
    )

    def __init__(self, message: str, *, hint: str = "", detail: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint or self.remedy
        self.detail: Mapping[str, object] = detail or {}

    def to_json(self) -> dict[str, object]:
        return {"code": self.code, "message": self.message, "hint": self.hint, "detail": dict(self.detail)}


# -- TN-1xx: usage and configuration ---------------------------------------------------------------------------------


class SettingsError(TenantryError):
    """A flag, an environment variable or a file has a value that is not possible."""

    code = "TN-101"
    remedy = "Correct the flag, the environment variable or the file that the message names."


class ManifestError(TenantryError):
    """The manifest has problems: one or several, each with file, line and key."""

    code = "TN-110"
    remedy = "Correct the places that the message lists, each with file, line and key. Nothing was changed."

    def __init__(self, problems: Sequence[object]) -> None:
        self.problems = tuple(problems)
        count = len(self.problems)
        super().__init__(
            "\n".join(str(problem) for problem in self.problems),
            hint=f"Fix {'this entry' if count == 1 else f'these {count} entries'} in the manifest and run the same command again;"
            " nothing was changed.",
            detail={"problems": [str(problem) for problem in self.problems]},
        )


class PrismaSchemaWrong(TenantryError):
    """A file of Prisma's schema language cannot be read, or names what does not exist."""

    code = "TN-111"
    remedy = "Correct the line that the message names; `prisma validate` checks the whole schema."


class SchemaFilesWrong(TenantryError):
    """SQL files that describe a schema cannot be read, or a statement of them fails."""

    code = "TN-112"
    remedy = "Correct the file and line that the message names."


class ExportInTheWay(TenantryError):
    """Files that no export wrote, or that were changed since, stand where `tenantry export` would write."""

    code = "TN-113"
    remedy = "Choose another folder, or replace the files that the message lists with `--force`."

    def __init__(self, paths: Sequence[str], *, reason: str = "") -> None:
        shown = ", ".join(paths[:5]) + (f" and {len(paths) - 5} more" if len(paths) > 5 else "")
        super().__init__(
            f"{shown} cannot be written: {reason}."
            if reason
            else f"{shown}: no export wrote this, or it was changed since. Nothing was written.",
            hint="Check the folder, its space and its rights, and run the same command again."
            if reason
            else "Give another folder with --output, or replace what is there with --force.",
            detail={"paths": list(paths)},
        )


class DemoMissing(TenantryError):
    """No application registers itself as a demo in the entry-point group."""

    code = "TN-120"
    remedy = "Install Clinic: `pip install 'tenantry[demo]'`."


class PlanNotSigned(TenantryError):
    """A signed plan is required, and there is none beside the manifest."""

    code = "TN-121"
    remedy = "Review `tenantry plan`, then run `tenantry plan sign --reviewer NAME`. Or do not require it: `[plan] signed` in the manifest."


class PlanChanged(TenantryError):
    """The plan was signed, and the manifest, its files or the source's schema changed since; the message says what."""

    code = "TN-122"
    remedy = "Review the changes that the message lists, and sign the plan again. Delete the file to run without a signature."


class SignatureWrong(TenantryError):
    """The file of a signed plan cannot be read, or was edited."""

    code = "TN-123"
    remedy = "Restore the file, or sign the plan again: `tenantry plan sign --reviewer NAME`."


class PlanFileWrong(TenantryError):
    """A file for `tenantry plan --diff` is no plan, or a file that Tenantry did not write is in the way of `--sql-dir`."""

    code = "TN-124"
    remedy = "Give `--diff` the output of `tenantry plan --json`, and `--sql-dir` a folder of its own."


# -- TN-2xx: server and rights ---------------------------------------------------------------------------------------


class ServerUnreachable(TenantryError):
    """No server answers at the address, or it refuses connections."""

    code = "TN-201"
    remedy = "Start the server, or correct host and port in `--dsn`, `TENANTRY_DSN` or `DATABASE_URL`."


class LoginRefused(TenantryError):
    """The server answered, but it does not accept this user, password or database."""

    code = "TN-202"
    remedy = (
        "Check the user, the password (also in `PGPASSWORD` and `~/.pgpass`), the database's name and `pg_hba.conf`."
    )


class ServerTooOld(TenantryError):
    """The server is older than PostgreSQL 15."""

    code = "TN-203"
    remedy = "Upgrade the server to PostgreSQL 15 or newer."


class RightsMissing(TenantryError):
    """The login lacks a right that the work needs."""

    code = "TN-204"
    remedy = "Grant the right that the message names, or connect as a login that has it."


class PoolerInTheWay(TenantryError):
    """The connection goes through a pooler that loses session state."""

    code = "TN-205"
    remedy = "Give the direct address of the server, not that of pgbouncer or another pooler."


class EmbeddedServerFailed(TenantryError):
    """The embedded PostgreSQL did not start."""

    code = "TN-206"
    remedy = (
        "Check that the disk is not full and that this user owns the folder, or give a server's address with `--dsn`."
    )


class DiskTrouble(TenantryError):
    """The server ran out of disk, memory or connections."""

    code = "TN-207"
    remedy = "Free what ran out, or raise the limit: the copy needs about twice the data on disk. Then run the same command again."


class RolesMissing(TenantryError):
    """Database roles that the policies name do not exist, and this login may not create them."""

    code = "TN-208"
    remedy = (
        "Ask a DBA to run the script that `tenantry roles --sql` prints; a superuser can run `tenantry roles --apply`."
    )


class ConnectionLost(TenantryError):
    """The connection broke during the work. The journal records the progress, and the run can be resumed."""

    code = "TN-209"
    exit_code = 1
    remedy = "Run the same command again: it resumes from the journal."


class RowsHidden(TenantryError):
    """Row-level security hides rows from the login that must see all of them."""

    code = "TN-216"
    remedy = "Make every row visible to the login in the way that the message shows, and run the same command again."


class EncodingUnsupported(TenantryError):
    """The encoding of the database is not UTF8."""

    code = "TN-217"
    remedy = "Copy the database into one whose encoding is UTF8, and move the application there first."

    def __init__(self, database: str, encoding: str) -> None:
        unknown = (
            " SQL_ASCII does not say which encoding its text has. If the restore fails, find out which, and pass it as"
            " PGCLIENTENCODING to psql."
            if encoding == "SQL_ASCII"
            else ""
        )
        super().__init__(
            f"Database {database!r} has the encoding {encoding}. Tenantry works with UTF8 only. Nothing was changed.",
            hint=f"Copy it into a UTF8 database, and move the application there first: createdb --template=template0"
            f" --encoding=UTF8 {database}_utf8; pg_dump {database} | psql {database}_utf8.{unknown}",
            detail={"database": database, "encoding": encoding},
        )


class Unfit(TenantryError):
    """Analysis found something that makes a run impossible; nothing was begun."""

    code = "TN-218"
    remedy = "Resolve the blockers that `tenantry analyze` lists."


class ContextOutdated(TenantryError):
    """The database's context functions are older than the library that opens contexts."""

    code = "TN-219"
    remedy = "Run `tenantry access apply`."


# -- TN-3xx: schemas -------------------------------------------------------------------------------------------------


class SchemaMissing(TenantryError):
    """The schema to read does not exist."""

    code = "TN-301"
    remedy = "Correct `[source] schema` in the manifest, or the DSN."

    def __init__(self, schema: str, database: str, known: Sequence[str]) -> None:
        near = nearest(schema, known)
        there = ", ".join(known) or "none"
        super().__init__(
            f"There is no schema {schema!r} in database {database!r}.",
            hint=(f"Did you mean {near!r}? " if near else "")
            + f"Schemas that this login can see: {there}. Correct [source] schema in the manifest, or the DSN.",
            detail={"schema": schema, "database": database, "known": list(known)},
        )


class TargetNotOurs(TenantryError):
    """The target schema exists, and no run of Tenantry created it."""

    code = "TN-302"
    remedy = "Give another name in `[target] schema`, or drop the schema if it is a leftover."


class TargetFilesWrong(TenantryError):
    """A file of the target schema does not run."""

    code = "TN-303"
    remedy = "Correct the file. Nothing was changed in the database."


# -- TN-4xx: runs and the journal ------------------------------------------------------------------------------------


class RunInProgress(TenantryError):
    """Another run holds the migration lock."""

    code = "TN-401"
    remedy = "Wait until the other run ends; `tenantry status` shows it."


class JournalMismatch(TenantryError):
    """The journal belongs to another manifest, or to another version of the plan."""

    code = "TN-402"
    remedy = "Resume with the manifest, the files and the version that the run began with, or undo it: `tenantry rollback --everything`."


class NoRun(TenantryError):
    """There is no run in this database yet."""

    code = "TN-403"
    remedy = "Run `tenantry migrate`: it begins a run."


class NameTaken(TenantryError):
    """An object of the application has a name that Tenantry needs for an object of its own."""

    code = "TN-423"
    remedy = "Rename the object that the message names, and run the same command again. Nothing was changed."


class StatementRefused(TenantryError):
    """PostgreSQL refused a statement, and no other code describes why; the message names the object."""

    code = "TN-424"
    exit_code = 1
    remedy = "Correct what PostgreSQL's message is about; the mapping, table and column are named."


class SourceLocked(TenantryError):
    """A table that applications use could not be locked in time."""

    code = "TN-404"
    remedy = "End the transactions that the message names, or wait for a quieter time, and run the same command again."


class StepFailed(TenantryError):
    """A step of the plan failed. Its changes are undone, and the run can be resumed."""

    code = "TN-405"
    exit_code = 1
    remedy = "Correct the cause that the message names, and run the same command again: it resumes from the journal."


class RunInterrupted(TenantryError):
    """The user stopped the run. It can be resumed from its journal."""

    code = "TN-406"
    exit_code = 130
    remedy = "Run the same command again: it resumes from the journal."


class RunFinished(TenantryError):
    """The run has been cut over already."""

    code = "TN-407"
    remedy = "Nothing is left to copy. `tenantry rollback` goes back, `tenantry contract` completes the migration."


class SourceAltered(TenantryError):
    """Tables were altered during a run, or the server became a standby."""

    code = "TN-408"
    exit_code = 1
    remedy = "Undo the changes that the message names, or undo the run; on a standby, connect to the primary."


class LoginShared(TenantryError):
    """Other sessions use the login of the runs, by which Tenantry tells its own writes from those of applications."""

    code = "TN-409"
    remedy = "Give Tenantry a login of its own that no application uses."


class NotReady(TenantryError):
    """The run is not in the state that the command needs."""

    code = "TN-410"
    exit_code = 1
    remedy = "Run the command that the message names first, in most cases `tenantry migrate`."


class RulesInTheWay(TenantryError):
    """Rewrite rules of the source would change what Tenantry carries back into it."""

    code = "TN-422"
    remedy = "Cut over without a dual-write window, or drop or disable the rules for its duration."


class CutOverFailed(TenantryError):
    """A cut-over or a rollback exceeded the write pause in every attempt. Nothing was switched."""

    code = "TN-411"
    exit_code = 1
    remedy = "End long transactions, wait for a quieter time (`--when-idle`, `--at`), or allow a longer pause (`--max-write-pause`)."


class JournalDamaged(TenantryError):
    """The journal contradicts itself, or the tables that it describes."""

    code = "TN-412"
    exit_code = 1
    remedy = "Rebuild the journal from both sides: `tenantry verify --journal`."


class SubsetWrong(TenantryError):
    """The condition of --only cannot choose the tenants of a pilot."""

    code = "TN-413"
    remedy = "Write the condition as the message shows, or migrate all tenants at once."


class RowsLeftBehind(TenantryError):
    """Rows came into quarantine since the run was declared ready, and a cut-over would leave them behind."""

    code = "TN-417"
    exit_code = 1
    remedy = "Repair the rows (`tenantry quarantine list`), or run `tenantry cutover --accept-quarantined`."


class SideFenced(TenantryError):
    """The fence refused a write of Tenantry on the side that applications do not write: the login is not that of the runs."""

    code = "TN-418"
    remedy = "Connect as the login of the runs, or wait until applications write this side."


class TriggerFailed(TenantryError):
    """A trigger of the application failed on a row that Tenantry wrote."""

    code = "TN-420"
    exit_code = 1
    remedy = "Correct the trigger's function, or let it skip Tenantry's login, and run the same command again."


# -- TN-5xx: data ----------------------------------------------------------------------------------------------------


class VerificationFailed(TenantryError):
    """Source and target do not agree; the cut-over was not done."""

    code = "TN-501"
    exit_code = 1
    remedy = "Look at the rows and columns that the message lists. Nothing was switched."


class QuarantineEntryUnknown(TenantryError):
    """No open quarantine entry matches."""

    code = "TN-502"
    remedy = "`tenantry quarantine list` shows the open entries."


class TransformFailed(TenantryError):
    """A Python transform of the manifest raised an error or returned a wrong result."""

    code = "TN-504"
    exit_code = 1
    remedy = "Correct the function or its configuration, and run the same command again: it resumes from the journal."


# -- TN-6xx: sign-in -------------------------------------------------------------------------------------------------


class SessionEnded(TenantryError):
    """The caller's token is valid, but its session has ended: they signed out, or were banned or deleted."""

    code = "TN-623"
    exit_code = 1
    remedy = "Sign in again."
