from __future__ import annotations

from tenantry.mapping.transform import TEXT, Between, Examples, Invalid, Transform, no_digit_no_at
from tenantry.mapping.values.texts import folded, trimmed
from tenantry.mapping.values.type_names import text_length

LONGEST = 254
# The form that HTML's input type=email accepts, with at least one dot in the domain and no two dots in a row.
PATTERN = (
    r"^[a-z0-9!#$%&''*+/=?^_`{|}~-]+(\.[a-z0-9!#$%&''*+/=?^_`{|}~-]+)*"
    r"@[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?(\.[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?)+$"
)


class Email(Transform):
    """Trims blanks and converts A to Z to lower case; the change log lists such a change. An address is valid if HTML's
    e-mail field accepts it, its domain has at least one dot, and it has at most 254 characters.
    """

    name = "email"
    reads = (TEXT,)
    gives = TEXT
    back = "the text itself"
    back_never = "texts longer than the column"
    examples = (
        Examples(
            "text",
            "text",
            {
                " Ana.Lee@Example.ORG ": "ana.lee@example.org",
                "o'brien+x@example.org": "o'brien+x@example.org",
                "ana@example": Invalid("no dot in the domain"),
                "ana..lee@example.org": Invalid(),
                "ana lee@example.org": Invalid(),
                "ana@exämple.org": Invalid(),
            },
        ),
    )

    def up(self, raw: str, between: Between) -> str:
        to = between.target.type
        longest = min(text_length(to) or LONGEST, LONGEST)
        return (
            f"case when octet_length({trimmed(raw)}) <= {longest} and {folded(raw)} ~ '{PATTERN}'"
            f" then {folded(raw)}::{to} end"
        )

    def normal(self, raw: str) -> str | None:
        return folded(raw)

    def refuses_word(self, word: str) -> bool:
        return no_digit_no_at(word)
