from __future__ import annotations

from tenantry.mapping.transform import TEXT, Between, Examples, Transform


class Text(Transform):
    """Returns the value as PostgreSQL prints it. The target is a text type."""

    name = "text"
    gives = TEXT
    back = "the text itself"
    back_never = "texts longer than the column"
    examples = (Examples("integer", "text", {"42": "42"}),)

    def up(self, raw: str, between: Between) -> str:
        return between.cast(raw)
