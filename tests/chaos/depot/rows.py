"""The depot's rows on both sides, by their old keys: their tokens, and what must be the same there. Nothing of Tenantry is used."""

from __future__ import annotations

from typing import Any

from tests.chaos.ledger import Connection, Held, Side

Facts = dict[str, dict[str, tuple[Any, ...]]]

_TWO = "jsonb_build_array({0}::text, {1}::text)::text"
SOURCE: dict[str, str] = {
    "articles": "select a.id::text, a.token, a.org, a.sku, a.stock from articles a",
    "lines": f"select {_TWO.format('l.order_no', 'l.line_no')}, l.token, a.org, a.id::text, l.order_no, l.line_no, l.quantity"
    " from lines l join articles a on a.id = l.article_id",
    "events": f"select {_TWO.format('e.id', 'e.day')}, e.token, e.org, e.day from events e",
    "folders": "select f.id::text, f.token, f.org, f.parent_id::text from folders f",
    "notes": "select n.id, n.token, n.org, n.number from notes n",
}
TARGET: dict[str, str] = {
    "articles": "select a.legacy_id, a.token, o.legacy_id, a.sku, a.stock from app.articles a join app.orgs o on o.id = a.org_id",
    "lines": "select l.legacy_id, l.token, o.legacy_id, a.legacy_id, l.order_no, l.line_no, l.quantity from app.lines l"
    " join app.orgs o on o.id = l.org_id left join app.articles a on a.id = l.article_id and a.org_id = l.org_id",
    "events": "select e.legacy_id, e.token, o.legacy_id, e.day from app.events e join app.orgs o on o.id = e.org_id",
    "folders": "select f.legacy_id, f.token, o.legacy_id, p.legacy_id from app.folders f join app.orgs o on o.id = f.org_id"
    " left join app.folders p on p.id = f.parent_id and p.org_id = f.org_id",
    "notes": "select n.legacy_id, n.token, o.legacy_id, n.number from app.notes n join app.orgs o on o.id = n.org_id",
}
"""By table: old key, token, and what both sides must say of the row in the same words."""
TABLES = tuple(SOURCE)


def read_rows(connection: Connection, side: Side) -> tuple[Facts, list[str]]:
    """The rows of a side, from the caller's snapshot; and keys that stand there twice."""
    facts: Facts = {}
    twice: list[str] = []
    for table, query in (SOURCE if side == "source" else TARGET).items():
        rows: dict[str, tuple[Any, ...]] = {}
        for key, *said in connection.execute(query):
            if key in rows:
                twice.append(f"{side} {table} {key} stands there twice")
            rows[key] = tuple(said)
        facts[table] = rows
    return facts, twice


def read_tokens(connection: Connection, side: Side) -> Held:
    return {table: {key: row[0] for key, row in rows.items()} for table, rows in read_rows(connection, side)[0].items()}


__all__ = ["TABLES", "Facts", "read_rows", "read_tokens"]
