"""PostgreSQL's own programs: finding suitable versions, and running one until it ends."""

from __future__ import annotations

import re
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from tenantry.errors import EmbeddedServerFailed
from tenantry.postgres import ident
from tenantry.postgres.embedded import binaries


def fitting_programs(found: Path, oldest: int, fitting: int) -> tuple[str, str] | None:
    """Find pg_dump and pg_restore that can read servers of version `oldest` and, if there are several, match version
    `fitting`.

    Args:
        found: a pg_dump; others are searched for next to the embedded server's.
    """
    folders = [found.parent]
    for version in (fitting, oldest):
        with suppress(EmbeddedServerFailed):
            folders.append(binaries(version))
    there = {
        version: (str(folder / "pg_dump"), str(folder / "pg_restore"))
        for folder in folders
        if (folder / "pg_restore").exists() and (version := _version(folder / "pg_dump")) >= oldest
    }
    if not there:
        return None
    return there[min(there, key=lambda version: (version != fitting, version))]


def _version(program: Path) -> int:
    """Return the major version of a PostgreSQL program; 0 if it does not run."""
    try:
        said = subprocess.run([str(program), "--version"], capture_output=True, text=True, check=True).stdout  # noqa: S603
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r"\) (\d+)", said)
    return int(found[1]) if found else 0


def run_program(
    command: Sequence[str], environment: Mapping[str, str], line: str, told: Callable[[int], None]
) -> tuple[int, list[str]]:
    """Run a PostgreSQL program; return its exit code and its error messages. It ends when we end, however we end.

    Args:
        line: text of its messages about each table; `told` is called with their number.
    """
    process = subprocess.Popen(  # noqa: S603 - a program of PostgreSQL, with arguments of ours
        list(command),
        env={**environment, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        start_new_session=True,
    )
    errors: list[str] = []
    last: deque[str] = deque(maxlen=3)
    done = 0
    try:
        assert process.stderr is not None
        for text in process.stderr:
            said = text.strip()
            last.append(said)
            if line in said:
                done += 1
                told(done)
            elif ": error: " in said:
                errors.append(said.partition(": error: ")[2])
            elif said.startswith("Command was: ") and errors:
                errors[-1] += f" ({said.removeprefix('Command was: ')[:120]})"
        code = process.wait()
    except BaseException:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(timeout=10)
        process.kill()
        raise
    finally:
        if process.stderr is not None:
            process.stderr.close()
        process.wait()
    return code, errors or (list(last) if code != 0 else [])


def unread(hidden: Sequence[str], login: str) -> str:
    """Return what to do about pg_dump's failure to read a database.

    Args:
        hidden: the tables that row-level security hides from the login. pg_dump itself does not always name them: of its parallel
            workers only the first to fail is sure to print a message.
    """
    if hidden:
        shown = ", ".join(hidden[:5]) + (f" and {len(hidden) - 5} more" if len(hidden) > 5 else "")
        return (
            f"Row-level security is forced on tables ({shown}), also for their owner, and pg_dump leaves out no rows silently. Run the command"
            f" as a superuser, or ask one to run: alter role {ident(login)} bypassrls; (afterwards: nobypassrls). With no other session"
            " connected a small database is copied by template, which needs neither. `tenantry prove --copy` needs no rows of them."
        )
    return (
        "Fix the cause: the login needs to read every table of the database; --scratch gives another folder for the dump if the"
        " disk is full."
    )


def in_short(errors: Sequence[str]) -> str:
    shown = "; ".join(error.rstrip(".") for error in errors[:3]) or "no message"
    return shown + (f"; and {len(errors) - 3} more" if len(errors) > 3 else "")


__all__ = ["fitting_programs", "in_short", "run_program", "unread"]
