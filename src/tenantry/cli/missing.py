"""Reports rows that an application has written and the serving side does not have: last, with exit code 1."""

from __future__ import annotations

from dataclasses import asdict

import typer

from tenantry.cli.console import err
from tenantry.migrate.verify.missing import missing_rows
from tenantry.postgres import connect
from tenantry.report.terminal.missing import missing as show_missing


class MissingRows:
    """The missing rows at the time of this call."""

    def __init__(self, address: str) -> None:
        with connect(address, name="tenantry: rows that are missing") as connection:
            self._count, self._rows = missing_rows(connection)

    def to_json(self) -> dict[str, object]:
        return {"missing": {"count": self._count, "rows": [asdict(each) for each in self._rows]}}

    def end(self) -> None:
        """
        Raises:
            typer.Exit: rows are missing.
        """
        if self._count:
            show_missing(err, self._count, self._rows)
            raise typer.Exit(1)
