"""Names of the target: as in the source, or in snake_case, each unique, and distinct from those that Tenantry needs."""

from __future__ import annotations

from collections.abc import Collection

from tenantry.draft.model import Names
from tenantry.postgres import free_name
from tenantry.survey.names import plural, singular, words

_MOST = 63


def target_name(name: str, names: Names) -> str:
    """Return the name in the target."""
    if names == "kept":
        return name
    return "_".join(words(name)) or name


def column_for(table: str, names: Names) -> str:
    """Name a column that refers to a table: `organization_id`, or `organizationId` among camelCase names."""
    parts = [singular(word) for word in words(table)]
    if names == "kept" and any(letter.isupper() for letter in table[1:]):
        return "".join([parts[0], *(word.capitalize() for word in parts[1:]), "Id"])
    return "_".join([*parts, "id"])


def tenants_of_column(column: str, names: Names) -> str:
    """Name the table of the tenants that a column names: companies for company_name, sites for siteCode."""
    parts = words(column)
    while len(parts) > 1 and parts[-1] in ("name", "id", "code", "key", "slug", "title", "no", "number"):
        parts = parts[:-1]
    parts = (*parts[:-1], plural(parts[-1]))
    if names == "kept" and any(letter.isupper() for letter in column):
        made = "".join(word.capitalize() for word in parts)
        return made if column[:1].isupper() else made[:1].lower() + made[1:]
    return "_".join(parts)


def free(wanted: str, taken: Collection[str]) -> str:
    """Return the name, with the first free number after it if it is taken."""
    return free_name(wanted, taken, limit=_MOST)
