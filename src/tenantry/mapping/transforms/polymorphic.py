from __future__ import annotations

from collections.abc import Iterator

from tenantry.catalog import Column as CatalogColumn
from tenantry.mapping.id_transform import Ids, IdTransform
from tenantry.mapping.shapes import Pair, Shape, pair_document
from tenantry.mapping.transform import Between, Kind, Option
from tenantry.mapping.values.type_names import base_type, is_number, is_text
from tenantry.postgres import ident


def _an_id(column: CatalogColumn) -> bool:
    return is_text(column) or is_number(column) or base_type(column.type) == "uuid"


class Polymorphic(IdTransform):
    """Replaces the id of a polymorphic pair: another column of the row says to which table it belongs.

    ```toml
    commentable_id = { as = "polymorphic", type = "commentable_type", ids = { Post = "posts", Photo = "photos" } }
    commentable_type = { map = { Post = "post", Photo = "photo" } }
    ```

    `type` is the source column with the type, `ids` has the target table of each of its values, as text; numbers, such as those of
    Django's content types, are written in quotes. The column with the type is migrated by a rule of its own, or none: its values may
    change. A row with any other type is quarantined, unless `invalid` says otherwise. An id that matches no row, or a row of another
    tenant, quarantines its row (`stale = "quarantine"`, the default) or becomes null (`stale = "drop"`; listed in the change log).
    The target is a `uuid`, or a text.
    """

    name = "polymorphic"
    reads = (Kind("an id", _an_id),)
    gives = Kind("an id", lambda column: is_text(column) or base_type(column.type) == "uuid")
    options = (
        Option("type", 'type = "<column with the type>"'), Option("ids", 'ids = { <type> = "target table" }'), Option("stale"),
    )  # fmt: skip
    back = "the old id, in the table that the row's type names"
    back_never = "ids of rows that the source does not have"
    stale = "quarantine"
    stales = ("drop", "quarantine")

    def up(self, raw: str, between: Between) -> str:
        """Return an object with one list of one id; its key stands for the table."""
        return pair_document(f"s.{ident(between.type_column)}", raw, tuple(between.ids))

    def shape(self, raw: str, source: CatalogColumn, target: CatalogColumn, between: Between) -> Shape:
        """Return a pair."""
        return Pair(target.name, between.target.type, between.source.type, between.type_column, tuple(between.ids))

    def places(self, ids: Ids) -> Iterator[tuple[str, str, str]]:
        """Return the key, the path and the target table of each type."""
        for n, (key, table) in enumerate(ids.items()):
            assert isinstance(table, str)
            yield key, f"k{n}[*]", table
