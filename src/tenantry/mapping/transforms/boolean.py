from __future__ import annotations

from tenantry.mapping.transform import BOOLEAN, TEXT, Between, Examples, Invalid, Transform
from tenantry.mapping.values import texts


class Boolean(Transform):
    """Reads true, t, yes, y, on, 1 and false, f, no, n, off, 0; ignores case and surrounding blanks."""

    name = "boolean"
    reads = (TEXT,)
    gives = BOOLEAN
    back = "`true` and `false`; `t` and `f` in shorter columns"
    examples = (
        Examples("text", "boolean", {" Yes ": "true", "OFF": "false", "1": "true", "2": Invalid(), "maybe": Invalid()}),
    )

    def up(self, raw: str, between: Between) -> str:
        return texts.boolean(raw)
