"""Plain SQL files, for psql or any tool that runs scripts."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.export.form import Form
from tenantry.export.subject import ExportPart, Subject


class Sql(Form):
    name = "sql"
    title = "plain SQL files"
    example = "schema"
    apply = "for file in FOLDER/*.sql; do psql -v ON_ERROR_STOP=1 -f $file …; done"

    def files(self, subject: Subject) -> Mapping[str, str]:
        made = {"00_roles.sql": roles_script(subject)}
        for number, part in enumerate(subject.parts, 1):
            made[f"{number:02}_{part.name}.sql"] = part_script(part)
        return made


def roles_script(subject: Subject) -> str:
    return subject.roles.rstrip() + "\n"


def part_script(part: ExportPart) -> str:
    """A part as a script of its own: one transaction."""
    about = "\n".join(f"-- {line}" for line in (f"{part.title[0].upper()}{part.title[1:]}.", part.note) if line)
    return f"{about}\n\nbegin;\n\n{part.script()}\n\ncommit;\n"
