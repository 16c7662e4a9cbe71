"""Load a schema of the corpus: `load("rails_polymorphic")`, then `.create(connection)` and `.fill(connection)`."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests.corpus.answer import Answer, read_answer
from tests.corpus.generate import Fill

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class CorpusSchema:
    name: str
    schema_sql: str
    answer: Answer
    prisma: Path | None
    """The same schema as Prisma states it, where there is one."""
    rows: Callable[[Fill], None]

    def create(self, connection: psycopg.Connection[tuple[object, ...]]) -> None:
        """Create the tables in an empty database, in one transaction."""
        with connection.transaction():
            connection.execute(self.schema_sql.encode())

    def fill(self, connection: psycopg.Connection[tuple[object, ...]], scale: float = 1.0) -> None:
        """Write the rows, the same ones for the same scale; all constraints and triggers are at work. Analyzes the tables."""
        with connection.transaction():
            fill = Fill(connection, self.name, scale)
            self.rows(fill)
            fill.finish()


def names() -> list[str]:
    """The schemas, in alphabetical order: each folder with an answer is one."""
    return sorted(file.parent.name for file in FOLDER.glob("*/answer.toml"))


def load(name: str) -> CorpusSchema:
    """The schema of that name. Raises FileNotFoundError where there is none."""
    folder = FOLDER / name
    prisma = folder / "schema.prisma"
    return CorpusSchema(
        name,
        (folder / "schema.sql").read_text(),
        read_answer(folder / "answer.toml"),
        prisma if prisma.exists() else None,
        importlib.import_module(f"tests.corpus.{name}.data").rows,
    )
