from __future__ import annotations

from collections.abc import Iterator, Sequence

from tenantry.catalog import Column as CatalogColumn
from tenantry.mapping.id_patterns import PatternError, ids_in, text_document
from tenantry.mapping.id_transform import Ids, IdTransform
from tenantry.mapping.shapes import Shape, TextWithIds
from tenantry.mapping.transform import TEXT, Between, Option


class TextIds(IdTransform):
    """Replaces ids inside a text, such as a link or an id with a prefix; the rest of the text stays exactly as it is:

    ```toml
    owner = { as = "text_ids", ids = { '^user:(.+)$' = "people", '^team:(.+)$' = "teams" } }
    link = { as = "text_ids", ids = { '/clinics/([^/]+)/patients/([^/?#]+)' = ["clinics", "patients"] } }
    ```

    A pattern is a [regular expression of PostgreSQL](https://www.postgresql.org/docs/current/functions-matching.html). Each of its
    groups is an id; the target tables stand in the order of the groups. A group may have a name for readers: `(?<post>[0-9]+)`.
    Groups without an id are written `(?:…)`; a group with an id stands by itself: it is not repeated, and in no other group. All
    matches in the text are replaced; where several patterns match, the one that begins first counts, and of these the longest.

    A text that no pattern matches stays as it is, and so does an id that matches no row, or a row of another tenant (`stale = "keep"`,
    the default; finding TA-138). With `stale = "quarantine"` such an id quarantines its row. New ids are longer than most old ones: a
    text that is too long for the target's column is invalid.
    """

    name = "text_ids"
    reads = (TEXT,)
    gives = TEXT
    options = (Option("ids", "ids = { 'pattern with (groups)' = \"target table\" }"), Option("stale"))
    back = "the text with the old ids; ids that match no row stay"
    back_never = "texts longer than the column"
    stales = ("keep", "quarantine")

    def up(self, raw: str, between: Between) -> str:
        """Return the text in pieces."""
        return text_document(raw, tuple(between.ids), new=False)

    def shape(self, raw: str, source: CatalogColumn, target: CatalogColumn, between: Between) -> Shape:
        """Return a text in pieces."""
        return TextWithIds(target.name, between.target.type, between.source.type, tuple(between.ids))

    def places(self, ids: Ids) -> Iterator[tuple[str, str, str]]:
        """Return the pattern, the path and the target table of each group."""
        n = 0
        for key, tables in ids.items():
            for table in (tables,) if isinstance(tables, str) else tables:
                yield key, f"[*].k{n}", table
                n += 1

    def wrong_place(self, key: str, tables: str | Sequence[str]) -> str | None:
        """Explain why a pattern cannot be read."""
        try:
            groups = ids_in(key)
        except PatternError as error:
            return f"{key!r} {error}"
        given = 1 if isinstance(tables, str) else len(tables)
        if groups != given:
            return f"{key!r} has {groups or 'no'} group{'s'[: groups != 1]} for ids, but {given} target table{'s'[: given != 1]}"
        return None
