"""The depot's two applications: their transactions over the source and over the target."""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any, ClassVar

from tests.chaos.depot.rows import TABLES, read_rows
from tests.chaos.ledger import Connection, Held, Ledger, Side
from tests.chaos.work import Attributes, Skip, TakenBack, Work

ORGS = ("o1", "o2", "o3")


class DepotSource(Work):
    side = "source"

    TAKEN_ALONG: ClassVar[dict[str, tuple[str, str, str]]] = {
        "lines": ("articles", "article", ""),
        "folders": ("folders", "parent", ""),
    }
    WEIGHTS: ClassVar[dict[str, int]] = {
        "insert_article": 4, "update_article": 8, "move_article": 3, "rekey_article": 2, "delete_article": 2, "insert_line": 8,
        "update_lines": 8, "rekey_line": 3, "exchange_lines": 2, "delete_line": 4, "insert_event": 6, "update_event": 6,
        "move_event": 4, "delete_event": 3, "copy_events": 2, "insert_folder": 5, "update_folder": 4, "reparent_folder": 4,
        "delete_folder": 3, "insert_note": 5, "upsert_note": 4, "merge_notes": 3, "delete_note": 2, "roll_back": 3,
        "roll_back_to_savepoint": 3,
    }  # fmt: skip

    def _fresh(self) -> int:
        """A number that no other connection and no other stage gives."""
        self._serial += 1
        return 1_000_000 + (zlib.crc32(self._prefix.encode()) % 100_000) * 10_000 + self._serial

    def _org(self) -> str:
        return self.rng.choice(ORGS)

    def _day(self) -> date:
        return date(2026, 1, 1) + timedelta(days=self.rng.randrange(90))

    def insert_article(self, connection: Connection) -> None:
        token = self.token()
        row = connection.execute(
            "insert into articles (org, sku, stock, token) values (%s, %s, 1, %s) returning id",
            [self._org(), token, token],
        ).fetchone()
        assert row is not None
        self.put("articles", str(row[0]), token)

    def update_article(self, connection: Connection) -> None:
        key, token = self.pick("articles"), self.token()
        self.one(connection, "update articles set token = %s, stock = stock + 1 where id = %s", [token, key])
        self.put("articles", key, token)

    def move_article(self, connection: Connection) -> None:
        """Its lines move to another tenant with it."""
        key, token = self.pick("articles"), self.token()
        self.one(connection, "update articles set token = %s, org = %s where id = %s", [token, self._org(), key])
        self.put("articles", key, token)

    def rekey_article(self, connection: Connection) -> None:
        """A cascade changes the references of its lines."""
        key, token, new = self.pick("articles"), self.token(), str(self._fresh())
        self.one(connection, "update articles set id = %s, token = %s where id = %s", [new, token, key])
        self.renamed("articles", key, new, token)
        self.follow("lines", "article", key, new)

    def delete_article(self, connection: Connection) -> None:
        key = self.pick("articles")
        self.one(connection, "delete from articles where id = %s", [key])
        self.gone("articles", key)
        for line, row in list(self.pool["lines"].items()):
            if row["article"] == key:
                self.gone("lines", line)

    def insert_line(self, connection: Connection) -> None:
        article, token, number = self.pick("articles"), self.token(), self._fresh()
        self.one(connection, "insert into lines values (%s, 1, %s, 1, %s)", [number, article, token])
        self.put("lines", _two(number, 1), token, article=article)

    def update_lines(self, connection: Connection) -> None:
        for key in self.some("lines", 4):
            token = self.token()
            self.one(
                connection,
                "update lines set token = %s, quantity = nullif(coalesce(quantity, 0) + 1, 3) where order_no = %s and line_no = %s",
                [token, *json.loads(key)],
            )
            self.put("lines", key, token)

    def rekey_line(self, connection: Connection) -> None:
        key, token, number = self.pick("lines"), self.token(), self._fresh()
        self.one(
            connection, "update lines set order_no = %s, token = %s where order_no = %s and line_no = %s",
            [number, token, *json.loads(key)],
        )  # fmt: skip
        self.renamed("lines", key, _two(number, json.loads(key)[1]), token)

    def exchange_lines(self, connection: Connection) -> None:
        """Two rows take each other's key."""
        first, second = self.some("lines", 2)[:2]
        one, other = self.token(), self.token()
        aside = self._fresh()
        change = "update lines set order_no = %s, line_no = %s, token = %s where order_no = %s and line_no = %s"
        self.one(connection, change, [aside, 0, one, *json.loads(first)])
        self.one(connection, change, [*json.loads(first), other, *json.loads(second)])
        self.one(connection, change, [*json.loads(second), one, aside, 0])
        articles = self.pool["lines"][first]["article"], self.pool["lines"][second]["article"]
        self.put("lines", first, other, article=articles[1])
        self.put("lines", second, one, article=articles[0])

    def delete_line(self, connection: Connection) -> None:
        key = self.pick("lines")
        self.one(connection, "delete from lines where order_no = %s and line_no = %s", json.loads(key))
        self.gone("lines", key)

    def insert_event(self, connection: Connection) -> None:
        number, day, token = self._fresh(), self._day(), self.token()
        self.one(connection, "insert into events values (%s, %s, %s, %s)", [number, day, self._org(), token])
        self.put("events", _two(number, day), token)

    def copy_events(self, connection: Connection) -> None:
        made = [(self._fresh(), self._day(), self._org(), self.token()) for _ in range(3)]
        with connection.cursor() as cursor, cursor.copy("copy events from stdin") as pipe:
            for row in made:
                pipe.write_row(row)
        for number, day, _, token in made:
            self.put("events", _two(number, day), token)

    def update_event(self, connection: Connection) -> None:
        key, token = self.pick("events"), self.token()
        self.one(
            connection, "update events set token = %s, org = %s where id = %s and day = %s",
            [token, self._org(), *json.loads(key)],
        )  # fmt: skip
        self.put("events", key, token)

    def move_event(self, connection: Connection) -> None:
        """Mostly into another partition."""
        key, token, day = self.pick("events"), self.token(), self._day()
        number, old = json.loads(key)
        if str(day) == old:
            raise Skip("events")
        self.one(
            connection, "update events set token = %s, day = %s where id = %s and day = %s", [token, day, number, old]
        )
        self.renamed("events", key, _two(number, day), token)

    def delete_event(self, connection: Connection) -> None:
        key = self.pick("events")
        self.one(connection, "delete from events where id = %s and day = %s", json.loads(key))
        self.gone("events", key)

    def insert_folder(self, connection: Connection) -> None:
        parent = self.pick("folders") if self.rng.random() < 0.7 else None
        org = self._org() if parent is None else str(self.pool["folders"][parent]["org"])
        number, token = self._fresh(), self.token()
        self.one(connection, "insert into folders values (%s, %s, %s, %s)", [number, org, parent, token])
        self.put("folders", str(number), token, org=org, parent=parent)

    def update_folder(self, connection: Connection) -> None:
        key, token = self.pick("folders"), self.token()
        self.one(connection, "update folders set token = %s where id = %s", [token, key])
        self.put("folders", key, token)

    def reparent_folder(self, connection: Connection) -> None:
        key, token = self.pick("folders"), self.token()
        org = self.pool["folders"][key]["org"]
        roots = [
            other
            for other, row in self.pool["folders"].items()
            if row["org"] == org and not row["parent"] and other != key
        ]
        parent = self.rng.choice(roots) if roots and self.pool["folders"][key]["parent"] else None
        self.one(connection, "update folders set token = %s, parent_id = %s where id = %s", [token, parent, key])
        self.put("folders", key, token, parent=parent)

    def delete_folder(self, connection: Connection) -> None:
        key = self.pick("folders")
        for child, row in list(self.pool["folders"].items()):
            if row["parent"] == key:
                token = self.token()
                self.one(connection, "update folders set parent_id = null, token = %s where id = %s", [token, child])
                self.put("folders", child, token, parent=None)
        self.one(connection, "delete from folders where id = %s", [key])
        self.gone("folders", key)

    def insert_note(self, connection: Connection) -> None:
        key, token = self.new_key("notes"), self.token()
        self.one(connection, "insert into notes (id, org, token) values (%s, %s, %s)", [key, self._org(), token])
        self.put("notes", key, token)

    def upsert_note(self, connection: Connection) -> None:
        key = self.pick("notes") if self.rng.random() < 0.6 else self.new_key("notes")
        token = self.token()
        self.one(
            connection,
            "insert into notes (id, org, token) values (%s, %s, %s) on conflict (id) do update set token = excluded.token",
            [key, self._org(), token],
        )
        self.put("notes", key, token)

    def merge_notes(self, connection: Connection) -> None:
        old, new = self.pick("notes"), self.new_key("notes")
        one, other = self.token(), self.token()
        self.count(
            connection,
            "merge into notes n using (values (%s, %s), (%s, %s)) v (id, token) on n.id = v.id"
            " when matched then update set token = v.token"
            " when not matched then insert (id, org, token) values (v.id, %s, v.token)",
            [old, one, new, other, self._org()],
            2,
        )
        self.put("notes", old, one)
        self.put("notes", new, other)

    def delete_note(self, connection: Connection) -> None:
        key = self.pick("notes")
        self.one(connection, "delete from notes where id = %s", [key])
        self.gone("notes", key)

    def roll_back(self, connection: Connection) -> None:
        connection.execute("update notes set token = 'never' where id = %s", [self.pick("notes")])
        raise TakenBack

    def roll_back_to_savepoint(self, connection: Connection) -> None:
        self.update_folder(connection)
        before, after = dict(self.effects.tokens), list(self.after)
        connection.execute("savepoint here")
        self.update_lines(connection)
        connection.execute("rollback to savepoint here")
        self.effects.keep(before)
        self.after = after


class DepotTarget(Work):
    side = "target"

    TAKEN_ALONG: ClassVar[dict[str, tuple[str, str, str]]] = {
        "lines": ("articles", "article", ""),
        "folders": ("folders", "parent", ""),
    }
    WEIGHTS: ClassVar[dict[str, int]] = {
        "update_article": 8, "delete_article": 2, "update_lines": 8, "delete_line": 4, "update_event": 8, "delete_event": 3,
        "update_folder": 5, "reparent_folder": 4, "delete_folder": 3, "insert_note": 8, "update_note": 8, "delete_note": 3,
        "roll_back": 3,
    }  # fmt: skip
    """Rows are born in tables only whose old key is text: a new id is no number of the source."""

    def _row(self, table: str, key: str) -> list[Any]:
        row = self.pool[table][key]
        return [row["org"], row["id"]]

    def update_article(self, connection: Connection) -> None:
        key, token = self.pick("articles"), self.token()
        self.one(
            connection, "update app.articles set token = %s, stock = stock + 1 where org_id = %s and id = %s",
            [token, *self._row("articles", key)],
        )  # fmt: skip
        self.put("articles", key, token)

    def delete_article(self, connection: Connection) -> None:
        key = self.pick("articles")
        for line, row in list(self.pool["lines"].items()):
            if row["article"] == key:
                self.one(connection, "delete from app.lines where org_id = %s and id = %s", self._row("lines", line))
                self.gone("lines", line)
        self.one(connection, "delete from app.articles where org_id = %s and id = %s", self._row("articles", key))
        self.gone("articles", key)

    def update_lines(self, connection: Connection) -> None:
        for key in self.some("lines", 4):
            token = self.token()
            self.one(
                connection,
                "update app.lines set token = %s, quantity = nullif(coalesce(quantity, 0) + 1, 3) where org_id = %s and id = %s",
                [token, *self._row("lines", key)],
            )
            self.put("lines", key, token)

    def delete_line(self, connection: Connection) -> None:
        key = self.pick("lines")
        self.one(connection, "delete from app.lines where org_id = %s and id = %s", self._row("lines", key))
        self.gone("lines", key)

    def update_event(self, connection: Connection) -> None:
        key, token = self.pick("events"), self.token()
        self.one(
            connection,
            "update app.events set token = %s where org_id = %s and id = %s",
            [token, *self._row("events", key)],
        )
        self.put("events", key, token)

    def delete_event(self, connection: Connection) -> None:
        key = self.pick("events")
        self.one(connection, "delete from app.events where org_id = %s and id = %s", self._row("events", key))
        self.gone("events", key)

    def update_folder(self, connection: Connection) -> None:
        key, token = self.pick("folders"), self.token()
        self.one(
            connection, "update app.folders set token = %s where org_id = %s and id = %s",
            [token, *self._row("folders", key)],
        )  # fmt: skip
        self.put("folders", key, token)

    def reparent_folder(self, connection: Connection) -> None:
        key, token = self.pick("folders"), self.token()
        row = self.pool["folders"][key]
        roots = [
            other
            for other, there in self.pool["folders"].items()
            if there["org"] == row["org"] and not there["parent"] and other != key
        ]
        parent = self.rng.choice(roots) if roots and row["parent"] else None
        self.one(
            connection, "update app.folders set token = %s, parent_id = %s where org_id = %s and id = %s",
            [token, None if parent is None else self.pool["folders"][parent]["id"], *self._row("folders", key)],
        )  # fmt: skip
        self.put("folders", key, token, parent=parent)

    def delete_folder(self, connection: Connection) -> None:
        key = self.pick("folders")
        for child, row in list(self.pool["folders"].items()):
            if row["parent"] == key:
                token = self.token()
                self.one(
                    connection, "update app.folders set parent_id = null, token = %s where org_id = %s and id = %s",
                    [token, *self._row("folders", child)],
                )  # fmt: skip
                self.put("folders", child, token, parent=None)
        self.one(connection, "delete from app.folders where org_id = %s and id = %s", self._row("folders", key))
        self.gone("folders", key)

    def insert_note(self, connection: Connection) -> None:
        token = self.token()
        row = connection.execute(
            "insert into app.notes (org_id, token) select id, %s from app.orgs where legacy_id = %s returning id, org_id, legacy_id",
            [token, self.rng.choice(ORGS)],
        ).fetchone()
        assert row is not None
        self.put("notes", str(row[2]), token, id=row[0], org=row[1])

    def update_note(self, connection: Connection) -> None:
        key, token = self.pick("notes"), self.token()
        self.one(
            connection,
            "update app.notes set token = %s where org_id = %s and id = %s",
            [token, *self._row("notes", key)],
        )
        self.put("notes", key, token)

    def delete_note(self, connection: Connection) -> None:
        key = self.pick("notes")
        self.one(connection, "delete from app.notes where org_id = %s and id = %s", self._row("notes", key))
        self.gone("notes", key)

    def roll_back(self, connection: Connection) -> None:
        connection.execute(
            "update app.notes set token = 'never' where org_id = %s and id = %s", self._row("notes", self.pick("notes"))
        )
        raise TakenBack


def works(
    connection: Connection,
    side: Side,
    ledger: Ledger,
    connections: int,
    seed: int,
    only: Sequence[str],
    without: Sequence[str],
) -> list[Work]:
    """A work for each connection, with the rows that fall to it: an article with its lines, a folder with those below it."""
    rows, _ = read_rows(connection, side)
    ids: dict[str, dict[str, Any]] = {table: {} for table in TABLES}
    if side == "target":
        for table in TABLES:
            for key, id_, org in connection.execute(f"select legacy_id, id, org_id from app.{table}"):
                ids[table][key] = {"id": id_, "org": org}
    articles = sorted(rows["articles"], key=lambda key: (len(key), key))
    owner_of = {key: place % connections for place, key in enumerate(articles)}
    found: dict[str, dict[str, tuple[int, Attributes]]] = {"articles": {key: (owner_of[key], {}) for key in articles}}
    found["lines"] = {key: (owner_of[row[2]], {"article": row[2]}) for key, row in rows["lines"].items()}

    def root(key: str) -> str:
        seen = {key}
        while (above := rows["folders"][key][2]) is not None and above not in seen:
            key = above
            seen.add(key)
        return key

    roots = {key: root(key) for key in rows["folders"]}
    trees = {key: place % connections for place, key in enumerate(sorted(set(roots.values())))}
    found["folders"] = {
        key: (trees[roots[key]], {"org": row[1], "parent": row[2]}) for key, row in rows["folders"].items()
    }
    for table in ("events", "notes"):
        found[table] = {key: (place % connections, {}) for place, key in enumerate(sorted(rows[table]))}
    kind: type[DepotSource | DepotTarget] = DepotSource if side == "source" else DepotTarget
    made: list[Work] = []
    for number in range(connections):
        work = kind(number, seed, ledger, only=only, without=without)
        work.pool = {
            table: {
                key: {**attributes, **ids[table].get(key, {})}
                for key, (owner, attributes) in each.items()
                if owner == number
            }
            for table, each in found.items()
        }
        made.append(work)
    return made


def held(connection: Connection, side: Side) -> Held:
    return {table: {key: row[0] for key, row in each.items()} for table, each in read_rows(connection, side)[0].items()}


def _two(first: object, second: object) -> str:
    return json.dumps([str(first), str(second)])


__all__ = ["DepotSource", "DepotTarget", "held", "works"]
