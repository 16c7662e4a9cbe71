from __future__ import annotations

from collections.abc import Sequence

from tenantry.catalog import Column as CatalogColumn
from tenantry.manifest.scalars import PATH
from tenantry.mapping import casts
from tenantry.mapping.id_transform import IdTransform
from tenantry.mapping.shapes import Document, Shape
from tenantry.mapping.transform import JSON, Between, Kind, Option
from tenantry.mapping.values.texts import trimmed
from tenantry.mapping.values.type_names import is_text

_JSON_OR_TEXT = Kind("JSON, also in a text", lambda column: JSON.holds(column) or is_text(column))


class JsonIds(IdTransform):
    """Replaces ids inside a JSON document with the new ids of their rows:

    ```toml
    config = { as = "json_ids", ids = { "providerIds[*]" = "providers", "widgets[*].id" = "widgets" }, stale = "drop" }
    ```

    A path consists of keys separated by dots, `[*]` for every element of a list, and `*` for every member of an object.
    `"[*].ruleId"` begins at a list, `"byDay.*.authorId"` reads each member. A `*` at the end means the keys themselves: `"*"`
    are the keys of the document, `"votes.*"` those of the object `votes`. `**` stands for any depth: `"**.authorId"` is each
    member of this name, wherever it is. `"$"` is the document itself: a single id.

    An id that matches no row is kept (`stale = "keep"`, the default) or dropped together with its list element (`stale = "drop"`;
    listed in the change log), or its row is quarantined (`stale = "quarantine"`). An id of another tenant's row counts as unmatched
    (finding TA-138); every tenant may refer to rows without a tenant. If several sources feed the table, the first that has the id
    decides. Values outside the paths are unchanged.

    Source and target are `jsonb`, `json` or a text that holds JSON. A text that is not JSON is invalid; a blank one stays, or becomes
    null where the target is no text. A text without replaced ids stays exactly as it is; any other is written as PostgreSQL prints
    `jsonb`.
    """

    name = "json_ids"
    reads = (_JSON_OR_TEXT,)
    gives = _JSON_OR_TEXT
    options = (Option("ids", 'ids = { "path[*].to.id" = "target table" }'), Option("stale"))
    back = "the document with the old ids; ids that match no row stay"

    def up(self, raw: str, between: Between) -> str:
        """Return the document with its old ids, as `jsonb`."""
        document = CatalogColumn("document", "jsonb", type_name="jsonb")
        made = casts.cast(raw, between.source, document, (), between.known.server_version)
        return f"case when {trimmed(raw)} <> '' then {made} end" if is_text(between.source) else made

    def shape(self, raw: str, source: CatalogColumn, target: CatalogColumn, between: Between) -> Shape:
        """Return a document."""
        written = raw if is_text(between.source) else f"{raw}::text"
        return Document(
            target.name, between.target.type, between.source.type, between.wanted.server_version,
            written if is_text(between.target) else "",
        )  # fmt: skip

    def present(self, raw: str, between: Between) -> str | None:
        """Return a condition that there is a document; a `jsonb` is always valid."""
        if between.source.type == "jsonb":
            return None
        blank = f" and {trimmed(raw)} <> ''" if is_text(between.source) else ""
        return f"{raw} is not null{blank}"

    def missing(self, raw: str, between: Between) -> str:
        """Return a condition that there is no document; a blank text is one for a text."""
        blank = is_text(between.source) and not is_text(between.target)
        return f"{raw} is null or {trimmed(raw)} = ''" if blank else f"{raw} is null"

    def wrong_place(self, key: str, tables: str | Sequence[str]) -> str | None:
        """Explain why a path cannot be read."""
        if not PATH.fullmatch(key):
            return f'{key!r} is not a path; write keys with dots, [*] for lists and * for members, such as "rows[*].id"'
        return super().wrong_place(key, tables)
