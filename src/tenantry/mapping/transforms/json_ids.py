from __future__ import annotations

from tenantry.catalog import Column
from tenantry.mapping import casts
from tenantry.mapping.transform import JSON, Between, Option, Transform


class JsonIds(Transform):
    """Ids inside a JSON document become the new ids of their rows:

    ```toml
    config = { as = "json_ids", ids = { "providerIds[*]" = "providers", "widgets[*].id" = "widgets" }, stale = "drop" }
    ```

    A path is keys with dots, `[*]` for every element of a list, and `*` for every member of an object: `"[*].ruleId"` begins at a list,
    `"byDay.*.authorId"` looks into each member. A `*` at the end means the keys themselves: `"*"` are the keys of the document,
    `"votes.*"` those of the object `votes`. An id that names no row is kept
    (`stale = "keep"`, the default), or dropped, with the element of the list that it stands in (`stale = "drop"`; listed in
    the change log). An id of another tenant's row counts as one that names no row (finding TA-138); rows without a tenant may be
    named by every tenant. Where several sources feed the table, the first that has the id counts. Values on no path stay as they
    are. Source and target are `jsonb` or `json`.
    """

    name = "json_ids"
    reads = (JSON,)
    gives = JSON
    options = (Option("ids", 'ids = { "path[*].to.id" = "target table" }'), Option("stale"))
    back = "the document with the old ids; ids that name no row stay"
    becomes = "json_ids"

    def up(self, raw: str, between: Between) -> str:
        """The document with its old ids, as `jsonb`."""
        document = Column("document", "jsonb", type_name="jsonb")
        return casts.cast(raw, between.source, document, (), between.known.server_version)
