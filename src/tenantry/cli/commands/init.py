"""tenantry init: a draft of the manifest and of the target's files, from the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from tenantry.catalog import read_catalog
from tenantry.cli.command import HelpSection, command
from tenantry.cli.console import err, out, print_json, written
from tenantry.cli.database import described
from tenantry.cli.options import AsJson, Dsn, PrismaPath, SqlFiles, TenantTable, UsersTable, Yes
from tenantry.cli.progress import Bars
from tenantry.draft import DraftOptions, make_draft
from tenantry.draft.check import project_of_folder, write_files
from tenantry.draft.merge import merge_files, remember
from tenantry.draft.preview import need_tenant_and_users
from tenantry.errors import RightsMissing, SettingsError, TenantryError
from tenantry.report.terminal.survey import candidate_name
from tenantry.settings import DATA_FOLDER, read_settings
from tenantry.survey import Survey, survey
from tenantry.survey.model import CONSTANT


class IdsOfRows(StrEnum):
    """Which ids rows get."""

    DERIVE = "derive"
    KEEP = "keep"


@command(
    "tenantry init --dsn postgresql://…",
    "tenantry init --tenant organizations --users users",
    "tenantry init --prisma prisma/schema.prisma",
    "tenantry init --tenant constant",
    "tenantry init --tenant orders.company_name",
    "tenantry init --person --snake",
    "tenantry init --keep invoices,tickets",
    section=HelpSection.BEFORE,
    exit_1="the draft does not fit the database yet; the message names file, line and key",
)
def init(
    folder: Annotated[Path, typer.Argument(help="Where the files are written.", show_default=True)] = Path(),
    dsn: Dsn = None,
    prisma: PrismaPath = None,
    sql: SqlFiles = None,
    schema: Annotated[str, typer.Option(help="The schema that exists.")] = "public",
    target_schema: Annotated[str, typer.Option(help="The schema that is wanted.")] = "app",
    tenant: TenantTable = None,
    person: Annotated[bool, typer.Option("--person", help="Each person is a tenant.")] = False,
    users: UsersTable = None,
    name: Annotated[
        str | None, typer.Option(help="The name of the migration; default: the database's.", show_default=False)
    ] = None,
    snake: Annotated[
        bool, typer.Option("--snake", help="Names of the target in snake_case; otherwise unchanged.")
    ] = False,
    ids: Annotated[
        IdsOfRows,
        typer.Option(help="`keep`: rows keep the ids that they have, wherever possible. `derive`: they get uuids."),
    ] = IdsOfRows.DERIVE,
    keep: Annotated[
        str | None,
        typer.Option(
            help="Tables whose rows keep their ids, such as numbers that people know: `invoices,tickets`.",
            show_default=False,
        ),
    ] = None,
    yes: Yes = False,
    as_json: AsJson = False,
) -> None:
    """Draft a migration: tenantry.toml, the target's SQL files, and QUESTIONS.md.

    Reads the database and samples of its rows; nothing in it is changed. The draft is complete: `tenantry analyze` and `tenantry
    plan` run on it. Where more than one decision is possible it takes the safe one (rows that cannot be placed go to the quarantine,
    tables without an owner are only open to the service) and lists it in QUESTIONS.md with its evidence and the alternatives.

    Without a database, --prisma or --sql give the schema alone; then it knows nothing about the rows.

    At a terminal it asks what a tenant is and who signs in; otherwise options decide, or the most likely candidate is used. A rerun
    keeps your edits.
    """
    settings = read_settings(dsn=dsn)
    if settings.dsn is None and prisma is None and not sql:
        raise SettingsError(
            "Which database?",
            hint="Give its connection string with --dsn, TENANTRY_DSN or DATABASE_URL; or a schema alone with --prisma or --sql.",
        )
    if person and tenant:
        raise SettingsError("--person and --tenant exclude each other.", hint="Give one of them.")
    with described(settings, prisma, sql or ()) as connection:
        with Bars(err, quiet=as_json) as bars:
            found = survey(connection, schema, tenant=tenant, users=users, progress=bars.count)
        connection.rollback()
        catalog = read_catalog(connection, schema)
        asked = err.is_terminal and not yes and not as_json
        options = DraftOptions(
            schema=target_schema,
            names="snake" if snake else "kept",
            tenant=tenant,
            person=person,
            users=users,
            keep=tuple(each.strip() for each in (keep or "").split(",") if each.strip()),
            keep_ids=ids is IdsOfRows.KEEP,
            name=name or _name(found, folder, from_files=bool(prisma or sql)),
        )
        if asked and tenant is None and not person:
            options = _ask(found, options)
        need_tenant_and_users(found, options)
        drafted = make_draft(catalog, found, options)
        base = folder / DATA_FOLDER / "draft"
        merged = merge_files(folder, base, drafted.files)
        write_files(folder, merged.files)
        remember(base, drafted.files)
        connection.rollback()
        problem = ""
        try:
            project_of_folder(connection, folder)
        except RightsMissing as error:
            err.print(f"Not checked against the database: {error}", markup=False)
        except TenantryError as error:
            problem = str(error)
    if as_json:
        print_json(
            {
                "folder": str(folder), "files": list(merged.files), "kept": list(merged.kept), "conflicts": list(merged.conflicts),
                "questions": [
                    {"about": each.about, "question": each.question, "evidence": list(each.evidence), "chosen": each.chosen,
                     "alternatives": list(each.alternatives)} for each in drafted.questions
                ],
                "left_out": dict(drafted.left_out), "valid": not problem, "problem": problem,
            }
        )  # fmt: skip
    else:
        for path in merged.files:
            written(folder / path)
        for each in merged.kept:
            err.print(
                f"Kept as edited: {each}" + (" (the new draft differs)" if each in merged.conflicts else ""),
                markup=False,
            )
        left = len(drafted.left_out)
        out.print(
            f"{len(drafted.tables)} tables drafted" + (f", {left} left behind" if left else "")
            + f", {len(drafted.questions)} questions in QUESTIONS.md."
        )  # fmt: skip
        if problem:
            err.print(f"The draft does not fit yet: {problem}", markup=False)
        else:
            out.print(
                "Next: read QUESTIONS.md, then `tenantry roles`, `tenantry analyze` and `tenantry plan`.", markup=False
            )
    if problem:
        raise typer.Exit(1)


def _name(found: Survey, folder: Path, *, from_files: bool) -> str:
    """Return the database's name, or the folder's."""
    return folder.resolve().name if from_files else found.database


def _ask(found: Survey, options: DraftOptions) -> DraftOptions:
    """Ask at the terminal what a tenant is, with the candidates and their reasons."""
    choices = found.tenants[:5]
    if not choices:
        return options
    err.print("What is a tenant?", style="bold")
    for number, each in enumerate(choices, 1):
        err.print(f"  {number}. {candidate_name(each)} ({each.score} points: {'; '.join(each.reasons)})", markup=False)
    chosen = choices[typer.prompt("Number", value_proc=_number_up_to(len(choices)), default="1", err=True) - 1]
    return replace(
        options,
        tenant={"table": chosen.table, "constant": CONSTANT}.get(chosen.form),
        person=chosen.form == "person",
        values=chosen.column if chosen.form == "column" else "",
    )


def _number_up_to(most: int) -> Callable[[str], int]:
    """Read an answer as a number from 1 to `most`; other answers are rejected."""

    def read(answer: str) -> int:
        if answer.strip().isdecimal() and 1 <= int(answer) <= most:
            return int(answer)
        raise typer.BadParameter(f"{answer!r} is not a number from 1 to {most}.")

    return read
