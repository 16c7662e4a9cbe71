"""Schemas in the style of public projects on a hosted platform: what is sound in each, and three holes planted in it.

`schemas/<name>.sql` is a sound application; a line `-- hole: <object>: <what>` begins the statements that break one thing in it, and
names what a finding, or a cell of the matrix, has to name. Lines `-- true: <check>` say which warnings of the sound schema are right.
Everything is built, looked at, and rolled back.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tenantry.prove.lint.run import run_lint
from tenantry.prove.lint.scope import Sought
from tenantry.prove.matrix.without_manifest import prove_found

SCHEMAS = Path(__file__).parent / "schemas"
_SHARED = ("platform", "closing")
_MARK = "-- hole: "
_ROLES = ("anon", "authenticated")

Connection = psycopg.Connection[tuple[object, ...]]


@dataclass(frozen=True)
class Hole:
    """One thing that is broken."""

    object: str
    what: str
    sql: str


@dataclass(frozen=True)
class Measured:
    """What lint and the proof in place said of one schema.

    Attributes:
        missed: holes that neither named.
        errors, warnings: what the lint says of the sound schema, where nothing is to be said.
        right: warnings of the sound schema that are right.
        cells: cells of the matrix that failed on the sound schema.
        said: findings, but for infos, that are about the holes.
        scope: what was found out, and how.
    """

    name: str
    holes: int
    missed: tuple[str, ...]
    errors: tuple[str, ...]
    warnings: tuple[str, ...]
    right: int
    cells: tuple[str, ...]
    said: int
    scope: tuple[str, ...]

    def line(self) -> str:
        return (
            f"{self.name:20} {self.holes - len(self.missed)} of {self.holes} holes; on the sound schema {len(self.errors)} errors,"
            f" {len(self.warnings)} wrong warnings and {self.right} right ones, {len(self.cells)} cells"
        )


def _folder() -> Path:
    return Path(os.environ["TENANTRY_TEST_SERVERS"]) / "foreign"


def keep(measured: Measured) -> None:
    """Store it where the session's summary finds it, from any worker."""
    _folder().mkdir(exist_ok=True)
    _folder().joinpath(measured.name).write_text(measured.line(), encoding="utf-8")


def kept() -> list[str]:
    """The table: one line for each schema that was measured."""
    return [path.read_text(encoding="utf-8") for path in sorted(_folder().iterdir())] if _folder().exists() else []


def names() -> list[str]:
    return sorted(path.stem for path in SCHEMAS.glob("*.sql") if path.stem not in _SHARED)


def _read(name: str) -> str:
    return (SCHEMAS / f"{name}.sql").read_text(encoding="utf-8")


def parts(name: str) -> tuple[str, list[Hole]]:
    """The sound schema, and the holes."""
    sound, *broken = _read(name).split(_MARK)
    holes = []
    for text in broken:
        head, _, sql = text.partition("\n")
        shown, _, what = head.partition(": ")
        holes.append(Hole(shown, what, sql))
    return sound, holes


def measure(connection: Connection, name: str) -> Measured:
    """Build the schema in an empty database, look at it as it is and with all its holes, and take everything back."""
    sound, holes = parts(name)
    try:
        for text in (_read("platform"), sound, _read("closing")):
            connection.execute(text.encode())
        before = run_lint(connection, sought=Sought(roles=_ROLES))
        cells = prove_found(connection, before.scope).failures
        for hole in holes:
            connection.execute(hole.sql.encode())
        after = run_lint(connection, sought=Sought(roles=_ROLES))
        proof = prove_found(connection, after.scope, on_copy=True)
    finally:
        connection.rollback()
    # Findings without an object are about the cluster, which other tests share.
    said = [each for each in before.findings if each.object]
    right = {line.removeprefix("-- true: ") for line in sound.splitlines() if line.startswith("-- true: ")}
    warned = [each for each in said if each.level == "warning"]
    known = {str(finding) for finding in before.findings}
    new = [each for each in after.findings if each.level != "info" and str(each) not in known]
    named = {each.object for each in new} | {cell.table for cell in proof.failures}
    return Measured(
        name,
        len(holes),
        tuple(f"{hole.object}: {hole.what}" for hole in holes if hole.object not in named),
        tuple(str(each) for each in said if each.level == "error"),
        tuple(str(each) for each in warned if each.check not in right),
        sum(each.check in right for each in warned),
        tuple(str(cell) for cell in cells),
        len(new),
        after.scope.sentences,
    )
