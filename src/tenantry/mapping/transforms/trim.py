from __future__ import annotations

from tenantry.mapping.transform import TEXT, Between, Examples, Invalid, Transform
from tenantry.mapping.values.texts import no_longer, trimmed


class Trim(Transform):
    """Removes blanks at both ends; the change log lists such a change."""

    name = "trim"
    reads = (TEXT,)
    gives = TEXT
    back = "the text itself"
    back_never = "texts longer than the column"
    examples = (
        Examples(
            "text", "character varying(5)", {"  ab c\u00a0": "ab c", "abcdef": Invalid("six characters")}
        ),
    )  # fmt: skip

    def up(self, raw: str, between: Between) -> str:
        return no_longer(trimmed(raw), between.target.type)

    def normal(self, raw: str) -> str | None:
        return trimmed(raw)
