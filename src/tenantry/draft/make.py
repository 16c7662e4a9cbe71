"""Builds the files of a draft from a catalog and a survey. Pure."""

from __future__ import annotations

from tenantry.catalog import Catalog
from tenantry.draft.model import Draft, DraftOptions
from tenantry.draft.target import draft_target
from tenantry.draft.text import manifest_toml, questions_md, references_sql, tables_sql, types_sql
from tenantry.survey.model import Survey


def make_draft(catalog: Catalog, survey: Survey, options: DraftOptions) -> Draft:
    """Return the files that `tenantry init` writes, by path below the folder."""
    drafted = draft_target(catalog, survey, options)
    files = {
        "tenantry.toml": manifest_toml(drafted, survey, options),
        "schema/10_types.sql": types_sql(drafted),
        "schema/20_tables.sql": tables_sql(drafted),
        "schema/30_references.sql": references_sql(drafted),
        "QUESTIONS.md": questions_md(drafted.questions, database=survey.database),
    }
    return Draft(
        tuple(drafted.tables),
        tuple(drafted.questions),
        {path: text for path, text in files.items() if text},
        dict(drafted.ignored),
    )
