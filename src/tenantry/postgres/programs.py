"""PostgreSQL's own programs: finding them, passing them a DSN, and pg_dump of a schema."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from tenantry.errors import StepFailed
from tenantry.postgres import ident


def find_program(name: str) -> str | None:
    """Return the path of a PostgreSQL program of this machine, or of the embedded server."""
    from tenantry.postgres.embedded import binaries  # noqa: PLC0415

    try:
        there = binaries(18) / name
    except Exception:  # noqa: BLE001 - no embedded server here
        there = None
    if there is not None and there.exists():
        return str(there)
    return shutil.which(name)


def program_environment(dsn: str) -> tuple[list[str], dict[str, str]]:
    """Return argument and environment that pass a DSN to a PostgreSQL program: the password goes into the environment."""
    parts = {key: str(value) for key, value in conninfo_to_dict(dsn).items() if value is not None}
    environment = dict(os.environ)
    if "password" in parts:
        environment["PGPASSWORD"] = parts.pop("password")
    return [f"--dbname={make_conninfo(**parts)}"], environment


def dump_schema(dsn: str, schema: str, path: Path) -> None:
    """Archive a schema with pg_dump.

    Raises:
        StepFailed: pg_dump was not found, or failed.
    """
    program = find_program("pg_dump")
    if program is None:
        raise StepFailed(
            "The source cannot be archived: there is no pg_dump on this machine. Nothing was dropped.",
            hint="Install PostgreSQL's client programs, or make a backup yourself and contract without --archive.",
        )
    arguments, environment = program_environment(dsn)
    path.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(  # noqa: S603 - a program of PostgreSQL, with arguments of ours
        [program, *arguments, "--no-password", "--format=custom", f"--schema={ident(schema)}", f"--file={path}"],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise StepFailed(
            f"pg_dump could not archive schema {schema}: {last}. Nothing was dropped.",
            hint="Fix the cause, or make a backup yourself and contract without --archive.",
        )
