"""A folder of migrations for the Supabase CLI."""

from __future__ import annotations

from collections.abc import Mapping

from tenantry.export.form import STAMP, Form
from tenantry.export.forms.sql import part_script, roles_script
from tenantry.export.subject import Subject


class Supabase(Form):
    """Schema auth is left out: Supabase Auth has its own."""

    name = "supabase"
    title = "the migrations folder of a Supabase project"
    example = "supabase"
    owner = "postgres"
    apply = "supabase db push"

    def files(self, subject: Subject) -> Mapping[str, str]:
        made = {_path("roles"): roles_script(subject)}
        made |= {_path(part.name): part_script(part) for part in subject.parts if part.name != "accounts"}
        return made


def _path(name: str) -> str:
    return f"migrations/{STAMP}_tenantry_{name}.sql"
