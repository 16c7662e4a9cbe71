"""Rows of the hundred tables: each belongs to an organization, and so does what it refers to; some of that is gone."""

from __future__ import annotations

from tests.corpus.generate import Fill, Row
from tests.corpus.hundred_tables.make import EMPTY, Reference, Table, make

ROWS = 70
_DEAD = 0.06


class Owned:
    """Which organization each id of a table belongs to."""

    def __init__(self, f: Fill, tables: list[Table]) -> None:
        self.f = f
        self.tables = {table.name: table for table in tables}
        self.ids: dict[tuple[str, object], list[object]] = {}

    def of(self, parent: str, organization: object) -> object:
        if self.tables[parent].path is None:
            return self.f.ref(parent)
        found = self.ids.get((parent, organization))
        return self.f.random.choice(found) if found else None

    def row(self, table: Table) -> Row | None:
        organization = self.f.ref("organizations")
        row: Row = {"_": organization}
        for one in table.references:
            if one.when is None:
                dead = not one.declared and self.f.chance(_DEAD) and self.tables[one.parent].kind != "lookup"
                found = self.f.ref(one.parent, dead=1.0) if dead else self.of(one.parent, organization)
                if found is None and one.declared and table.path and one.column == table.path[0]:
                    return None
                row[one.column] = self.value(one, found)
        pairs = [one for one in table.references if one.when]
        if pairs:
            one = self.f.random.choice(pairs)
            assert one.when
            found = self.of(one.parent, organization)
            row[one.column] = None if found is None else str(found)
            row[one.when[0]] = one.when[1]
        for name, role in table.roles.items():
            if name not in row:
                row |= self.attribute(name, role)
        return row

    def value(self, one: Reference, found: object) -> object:
        if found is None:
            return [] if one.form == "element" else None
        if one.form == "element":
            return [found]
        if one.path:
            return {
                "links": [{one.path.rsplit(".", maxsplit=1)[1]: str(found), "rank": self.f.number(1, 9)}],
                "note": self.f.word(),
            }
        if one.pattern:
            text = one.pattern.replace("{}", str(found))
            return f"https://app.example.org{text}" if text.startswith("/") else text
        return found

    def attribute(self, name: str, role: str) -> Row:
        f = self.f
        match role:
            case "enumeration":
                return {name: f.one("open", "done", "held")}
            case "external":
                return {name: f.uuid() if name == "import_ref" else f.prefixed("ext_")}
            case "decoy" if name == "sequence_no":
                return {name: f.number(1_000_000, 9_000_000)}
            case "decoy" if name == "zip_id":
                return {name: f.digits(5)}
            case "date":
                return {name: f.day()}
            case "timestamp":
                return {name: f.when().isoformat(" ")}
            case "boolean":
                return {name: f.one("yes", "no")}
            case "number":
                return {name: f.price()}
            case "json":
                return {name: f'{{"n": {f.number(1, 9)}, "label": "{f.word()}"}}'}
        return {}


def rows(f: Fill) -> None:
    f.key = "nanoid"
    tables = make()
    owned = Owned(f, tables)
    first = ["countries", "currencies", "organizations", "users", "memberships"]
    rest = [table.name for table in tables if table.name not in first]
    for name in first[:2]:
        codes = ("AT", "DE", "PT", "SE") if name == "countries" else ("EUR", "SEK", "DKK")
        f.rows(name, len(codes), lambda i, codes=codes: {"id": codes[i]}, fixed=True)  # type: ignore[misc]
    f.rows("organizations", 6, lambda _: attributes(owned, "organizations"))
    f.rows("users", 90, lambda _: {**attributes(owned, "users"), "email": f.email()})
    f.rows("memberships", 150, lambda _: {**attributes(owned, "memberships"), "role": f.one("owner", "member")})
    for one in f.table["memberships"]:
        owned.ids.setdefault(("users", one["organization_id"]), []).append(one["user_id"])
    for one in f.table["organizations"]:
        owned.ids["organizations", one["id"]] = [one["id"]]
    for name in rest:
        write(f, owned, owned.tables[name])


def attributes(owned: Owned, name: str) -> Row:
    table = owned.tables[name]
    row: Row = {}
    for column, role in table.roles.items():
        if role in {"country", "currency"}:
            row[column] = owned.f.ref("countries" if role == "country" else "currencies")
        else:
            row |= owned.attribute(column, role)
    return row


def write(f: Fill, owned: Owned, table: Table) -> None:
    places: dict[int, object] = {}

    def make_row(_: int) -> Row | None:
        row = None if table.name in EMPTY else owned.row(table)
        if row is not None:
            places[id(row)] = row.pop("_")
        return row

    for row in f.rows(table.name, ROWS, make_row):
        owned.ids.setdefault((table.name, places[id(row)]), []).append(row["id"])
