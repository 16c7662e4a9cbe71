from __future__ import annotations

from tenantry.catalog import Column
from tenantry.mapping import casts
from tenantry.mapping.transform import JSON, Between, Option, Transform


class JsonIds(Transform):
    """Replaces ids inside a JSON document with the new ids of their rows:

    ```toml
    config = { as = "json_ids", ids = { "providerIds[*]" = "providers", "widgets[*].id" = "widgets" }, stale = "drop" }
    ```

    A path consists of keys separated by dots, `[*]` for every element of a list, and `*` for every member of an object.
    `"[*].ruleId"` begins at a list, `"byDay.*.authorId"` reads each member. A `*` at the end means the keys themselves: `"*"`
    are the keys of the document, `"votes.*"` those of the object `votes`. An id that matches no row is kept (`stale =
    "keep"`, the default) or dropped together with its list element (`stale = "drop"`; listed in the change log). An id of
    another tenant's row counts as unmatched (finding TA-138); every tenant may refer to rows without a tenant. If several
    sources feed the table, the first that has the id decides. Values outside the paths are unchanged. Source and target are
    `jsonb` or `json`.
    """

    name = "json_ids"
    reads = (JSON,)
    gives = JSON
    options = (Option("ids", 'ids = { "path[*].to.id" = "target table" }'), Option("stale"))
    back = "the document with the old ids; ids that match no row stay"
    becomes = "json_ids"

    def up(self, raw: str, between: Between) -> str:
        """Return the document with its old ids, as `jsonb`."""
        document = Column("document", "jsonb", type_name="jsonb")
        return casts.cast(raw, between.source, document, (), between.known.server_version)
