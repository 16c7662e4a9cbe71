"""A case from a seed: schemas, keys, references and manifests, of features that each can be switched off by name.

Each table draws from a source of its own, so that one can be left out without changing the others: that is how a failing
case is made smaller.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from random import Random

from tests.fuzz.kinds import BY_NAME, KINDS, Kind
from tests.fuzz.spec import NUMBERED, SELF_NUMBERED, Case, Column, KeyForm, Ref, Table, quoted

FEATURES: dict[str, float] = {
    "odd names": 0.4,
    "names with signs": 0.3,
    "words of ours": 0.3,
    "odd schemas": 0.3,
    "users": 0.5,
    "uuid keys": 0.5,
    "numbered keys": 0.5,
    "always identities": 0.3,
    "natural keys": 0.4,
    "pairs": 0.4,
    "renamed references": 0.3,
    "soft references": 0.4,
    "cycles": 0.4,
    "self references": 0.4,
    "unique references": 0.4,
    "several ways": 0.4,
    "partitions": 0.3,
    "children": 0.3,
    "deferrable uniques": 0.3,
    "wrong tenants": 0.5,
    "born in the target": 0.9,
    "born beside numbers": 0.5,
    "truncate": 0.3,
    "changed keys": 0.4,
    "stamps": 0.4,
    "policies": 0.4,
    "forced policies": 0.08,
    "tallies": 0.3,
    "rules": 0.3,
    "shared columns": 0.4,
    "constraint names": 0.3,
    "target actions": 0.4,
}
"""What a case may have, and the share of the cases that have it. Kinds of columns are features too, as `kind text`."""

MOST_TABLES = 6
"""Beside those of tenants, people and memberships."""

_PLAIN = ("items", "orders", "notes", "visits", "tags", "files", "events", "lines", "teams", "rooms")
_ODD = (
    "Order", 'say "so"', "a b", "select", "user", "it's", "Größe", "x" * 63, "{brace}", "back\\slash", "TABLE", "é" * 31,
    "-- no comment", "/* open", "camelCase", "UPPER", "dot.ted", "semi;colon", "?", ":colon", "tab\there",
)  # fmt: skip
_SIGNS = ("100%", "%s", "%(name)s", "$1", "%", "%%", "$body$", "5%d")
_OURS = (
    "s", "t", "x", "d", "e", "j", "k", "p", "q", "r", "u", "a", "n", "c", "f0", "u0", "key", "keys", "rows", "derived", "accounts",
    "capture", "rules", "catalog", "sweep", "chunk", "parents", "new", "old", "bad", "tenant", "first", "work", "up_0", "link_0",
    "__key", "__row", "__problems", "__tenant", "link_accounts", "catch_up", "born_here", "legacy", "name", "table_name", "g", "z",
)  # fmt: skip
_COLUMNS = ("name", "note", "amount", "kind", "at", "state", "flag", "data", "size", "label", "code", "rank")


class _Names:
    """Names that are not yet taken."""

    def __init__(self, rng: Random, features: Collection[str], taken: Collection[str] = ()) -> None:
        self.rng, self.features = rng, features
        self.taken = {name.lower() for name in taken}

    def one(self, plain: tuple[str, ...]) -> str:
        pool = plain
        if "words of ours" in self.features and self.rng.random() < 0.6:
            pool = _OURS
        elif "names with signs" in self.features and self.rng.random() < 0.4:
            pool = _SIGNS
        elif "odd names" in self.features and self.rng.random() < 0.5:
            pool = _ODD
        name = self.rng.choice(pool)
        serial = 1
        made = name
        while made.lower() in self.taken:
            serial += 1
            made = f"{name[:60]}{serial}"
        self.taken.add(made.lower())
        return made


def features_of(seed: int, *, without: Collection[str] = (), also: Collection[str] = ()) -> tuple[str, ...]:
    """The features that the case of a seed has.

    Args:
        also: features that every case has.
    """
    rng = Random(f"{seed}/features")
    found = []
    for name, share in FEATURES.items():
        drawn = rng.random() < share
        if name not in without and (name in also or drawn):
            found.append(name)
    return tuple(found)


def make(seed: int, *, without: Collection[str] = (), also: Collection[str] = ()) -> Case:
    """The case of a seed.

    Args:
        without: features, and `table n`, `column n.m`, `reference n.m`, that are left out.
    """
    features = features_of(seed, without=without, also=also)
    rng = Random(f"{seed}/frame")
    tables = _Names(rng, features)
    targets = _Names(rng, features)
    tenant = _Names(rng, features, ("id", "legacy_id")).one(("org_id", "tenant_id"))
    frame = _Frame(seed, features, frozenset(without), frozenset(also), tenant)
    root = frame.root(tables.one(("orgs", "companies")), targets.one(("tenants", "orgs")))
    people = frame.people(tables.one(("people", "persons")), targets.one(("profiles", "people")))
    made = [root, people]
    made.append(frame.members(tables.one(("members",)), targets.one(("members",)), root, people))
    wanted = rng.randint(2, MOST_TABLES)
    for place in range(wanted):
        name = tables.one(_PLAIN)
        target = name if rng.random() < 0.5 and name.lower() not in targets.taken else targets.one(_PLAIN)
        targets.taken.add(target.lower())
        if f"table {place}" in without:
            continue
        made.append(frame.table(place, name, target, made))
    if "cycles" in features:
        made = _with_cycle(Random(f"{seed}/cycle"), made)
    odd = "odd schemas" in features
    account = _Names(rng, (), people.target_names("")).one(("account_id",))
    return Case(
        seed=seed,
        source=rng.choice(("Old Shop", "s", "it's")) if odd else "public",
        target=rng.choice(("App", "t", "new app", "Größe")) if odd else "app",
        namespace=rng.choice(("fuzz", "it's", "Größe")),
        tenant=tenant,
        root=root.name,
        people=people.name,
        members=made[2].name,
        users="users" in features,
        email=people.columns[0].name,
        account=account,
        tables=tuple(made),
        features=features,
    )


class _Frame:
    def __init__(
        self, seed: int, features: tuple[str, ...], without: frozenset[str], also: frozenset[str], tenant: str
    ) -> None:
        self.seed, self.features, self.without, self.tenant = seed, features, without, tenant
        self.kinds = [kind for kind in KINDS if f"kind {kind.name}" not in without]
        self.kinds += [kind for kind in self.kinds if kind.name in also] * len(self.kinds)

    def key(
        self, rng: Random, names: _Names, *, pair: bool = False, natural: bool = False
    ) -> tuple[tuple[str, ...], KeyForm, tuple[str, ...]]:
        forms: list[KeyForm] = ["text", "text"]
        if "uuid keys" in self.features:
            forms += ["uuid", "uuid"]
        if "numbered keys" in self.features:
            forms += ["integer", "bigint", "serial", "identity"]
        if "always identities" in self.features:
            forms += ["always"]
        if natural and "natural keys" in self.features:
            forms += ["natural"]
        if pair and "pairs" in self.features:
            forms += ["pair", "pair"]
        form = rng.choice(forms)
        first = names.one(("id", "no", "key")) if rng.random() < 0.5 else "id"
        names.taken.add(first.lower())
        if form == "pair":
            return (first, names.one(("part", "line"))), form, ("text", "integer")
        kinds = {"uuid": "uuid", "integer": "integer", "serial": "integer", "natural": "varchar(80)"}
        return (first,), form, (kinds.get(form, "bigint" if form in NUMBERED else "text"),)

    def columns(
        self, rng: Random, names: _Names, there: _Names, count: int, place: int | str, *, plain: bool = False
    ) -> tuple[Column, ...]:
        made = []
        for n in range(count):
            kind = rng.choice(self.kinds)
            name = names.one(_COLUMNS)
            same = rng.random() < 0.6 and name.lower() not in there.taken
            target: str | None = name if same else there.one(_COLUMNS)
            there.taken.add(str(target).lower())
            if rng.random() < 0.1:
                target = None
            nullable = (rng.random() < 0.7 or target is None) and not kind.server
            needed = target is not None and rng.random() < (0.3 if nullable else 0.8)
            if f"column {place}.{n}" in self.without or plain:
                continue
            made.append(Column(name, kind, target, nullable, needed))
        return tuple(made)

    def named(self, names: _Names, there: _Names, plain: str, kind: Kind | str, **more: bool) -> Column:
        name = names.one((plain,))
        target = name if name.lower() not in there.taken else there.one((plain,))
        there.taken.add(target.lower())
        return Column(name, BY_NAME[kind] if isinstance(kind, str) else kind, target, **more)

    def root(self, name: str, target: str) -> Table:
        rng = Random(f"{self.seed}/root")
        names = _Names(rng, self.features)
        there = _Names(rng, self.features, ("id", "legacy_id", self.tenant))
        key, form, types = self.key(rng, names)
        slug = self.named(names, there, "slug", "varchar", nullable=False, needed=True)
        columns = (slug, *self.columns(rng, names, there, 1, "root"))
        if "tallies" in self.features:
            columns = (*columns, self.named(names, there, "tally", "tally"))
        return Table(name, target, key, form, types, columns, uniques=((slug.name,),), rows=rng.randint(2, 4))

    def people(self, name: str, target: str) -> Table:
        rng = Random(f"{self.seed}/people")
        names = _Names(rng, self.features)
        there = _Names(rng, self.features, ("id", "legacy_id", "account_id", self.tenant))
        key, form, types = self.key(rng, names)
        email = self.named(names, there, "email", "varchar", nullable=False, needed=True)
        columns = (email, *self.columns(rng, names, there, 2, "people"))
        return Table(name, target, key, form, types, columns, uniques=((email.name,),), rows=rng.randint(3, 6))

    def reference(
        self, rng: Random, names: _Names, there: _Names, parent: Table, plain: str, *, to_unique: bool = False
    ) -> Ref:
        name = names.one((plain,))
        columns = parent.key
        if to_unique and parent.uniques and "unique references" in self.features and rng.random() < 0.7:
            columns = parent.uniques[0]
        same = rng.random() < 0.6 and name.lower() not in there.taken
        target = name if same else there.one((f"{plain}_ref", plain))
        there.taken.add(target.lower())
        return Ref(
            (name,),
            parent.name,
            columns,
            target,
            nullable=rng.random() < 0.6,
            on_delete=rng.choice(("", "cascade", "")),
            on_update=rng.choice(("", "cascade")),
        )

    def members(self, name: str, target: str, root: Table, people: Table) -> Table:
        rng = Random(f"{self.seed}/members")
        names = _Names(rng, self.features)
        there = _Names(rng, self.features, ("id", "legacy_id", self.tenant))
        key, form, types = self.key(rng, names)
        org = replace(self.reference(rng, names, there, root, "org"), target=None, nullable=False)
        person = replace(self.reference(rng, names, there, people, "person", to_unique=True), nullable=False)
        role = Column(names.one(("role",)), BY_NAME["role"], "role", nullable=False, needed=True)
        there.taken.add("role")
        return Table(
            name, target, key, form, types, (role,), (org, person), (org.own,), rows=rng.randint(3, 6), role=role.name
        )

    def table(self, place: int, name: str, target: str, before: list[Table]) -> Table:
        rng = Random(f"{self.seed}/table {place}")
        names = _Names(rng, self.features)
        there = _Names(rng, self.features, ("id", "legacy_id", self.tenant))
        key, form, types = self.key(rng, names, pair=True, natural=True)
        root, people = before[0], before[1]
        scoped = [table for table in before[3:] if len(table.key) == 1 or table.uniques]
        refs: list[Ref] = []
        ways: list[str] = []
        direct = not scoped or rng.random() < 0.6
        if direct:
            org = self.reference(rng, names, there, root, "org", to_unique=True)
            soft = "soft references" in self.features and rng.random() < 0.2 and org.parent_columns == root.key
            refs.append(replace(org, target=None, foreign_key=not soft))
            ways.append(org.own)
        for n in range(rng.randint(0 if direct else 1, 2)):
            pool = [*scoped, people] if rng.random() < 0.8 and (ways or scoped) else [people]
            if not ways:
                pool = scoped
            parent = rng.choice([table for table in pool if len(table.key) == 1 or table.uniques])
            ref = self.reference(rng, names, there, parent, f"ref{n}", to_unique=True)
            if len(ref.parent_columns) > 1:
                ref = replace(ref, parent_columns=parent.uniques[0])
            if "soft references" in self.features and rng.random() < 0.5 and ref.parent_columns == parent.key:
                orphan = rng.choice(("quarantine", "null")) if ref.nullable else "quarantine"
                ref = replace(ref, foreign_key=False, orphan=orphan)  # type: ignore[arg-type]
            if parent.child:  # a foreign key sees no rows of inheriting tables
                ref = replace(ref, foreign_key=False, orphan="quarantine")
            way = parent is not people and (not ways or ("several ways" in self.features and rng.random() < 0.5))
            if way:
                ways.append(ref.own)
                ref = replace(ref, orphan="quarantine")
            if f"reference {place}.{n}" in self.without and len(ways) > way:
                ways = [each for each in ways if each != ref.own]
                continue
            if "renamed references" in self.features:
                ref = replace(ref, told=Random(f"{self.seed}/told {place}.{n}").random() < 0.3)
            elsewhere = parent.joint
            own = refs[0] if refs and refs[0].target is None else None
            if (
                elsewhere
                and own
                and own.foreign_key
                and own.parent_columns == root.key
                and parent.ways[0] == elsewhere[0]
            ):
                ref = replace(
                    ref, columns=(own.own, ref.own), parent_columns=elsewhere, foreign_key=True, orphan="quarantine",
                    on_delete="", on_update="",
                )  # fmt: skip
            refs.append(ref)
        if "self references" in self.features and len(key) == 1 and rng.random() < 0.5:
            own = self.reference(rng, names, there, Table(name, target, key, form, types), "parent")
            own = replace(own, nullable=True, deferrable=True)
            if f"reference {place}.self" not in self.without:
                refs.append(own)
        columns = self.columns(rng, names, there, rng.randint(1, 5), place)
        uniques: tuple[tuple[str, ...], ...] = ()
        code = self.named(names, there, "code", "varchar", nullable=False, needed=True)
        if rng.random() < 0.4 and form != "natural":  # it would have two keys to choose from
            columns = (code, *columns)
            uniques = ((code.name,),)
        partitions = 2 if "partitions" in self.features and not uniques and rng.random() < 0.5 else 0
        joint = None
        if "shared columns" in self.features and direct and refs[0].parent_columns == root.key and len(key) == 1:
            refs[0] = replace(refs[0], nullable=False)
            joint = (refs[0].own, key[0]) if form != "natural" else None
        late = "deferrable uniques" in self.features and bool(uniques) and rng.random() < 0.5
        made = Table(
            name, target, key, form, types, columns, tuple(refs), tuple(ways), () if late else uniques,
            joint=joint, partitions=partitions, rows=rng.randint(3, 10),
        )  # fmt: skip
        alone = len(refs) == 1 and direct and not uniques and not joint and not partitions
        if "children" in self.features and alone and form in ("text", "uuid", "bigint"):
            made = replace(made, child=f"{name[:20]} child")
        more = []
        if "stamps" in self.features:
            more += stamp(made)
        if "tallies" in self.features and direct:
            more += tally(made, root, refs[0])
        governed = "policies" in self.features and rng.random() < 0.6
        forced = "forced policies" in self.features and rng.random() < 0.4
        if governed or forced:
            more += [
                f"alter table {quoted(name)} enable row level security;",
                f"create policy {'nobody' if forced else 'everybody'} on {quoted(name)} using ({'false) with check (true' if forced else 'true'});",
            ]
        if forced:
            more += [f"alter table {quoted(name)} force row level security;"]
        if "rules" in self.features and rng.random() < 0.6:
            more += [f"create rule never as on delete to {quoted(name)} where false do instead nothing;"]
        return replace(made, more=tuple(more), forced=forced)


def stamp(table: Table) -> list[str]:
    """A trigger of the source that stamps a text column of each row that is written."""
    column = next((each for each in table.columns if each.kind.name == "text"), None)
    if column is None or table.partitions or table.child:
        return []
    name, function = quoted(column.name), quoted(f"stamp {table.name}"[:30])
    return [
        f"create function {function}() returns trigger language plpgsql as $fuzz$ begin"
        f" new.{name} := left(coalesce(new.{name}, '') || '.', 300); return new; end $fuzz$;",
        f"create trigger stamped before insert or update on {quoted(table.name)} for each row execute function {function}();",
    ]


def tally(table: Table, root: Table, org: Ref) -> list[str]:
    """A trigger of the source that writes another table: the tenant's row counts its rows."""
    counted = next((each.name for each in root.columns if each.kind.name == "tally"), None)
    if counted is None or table.partitions or table.child:
        return []
    function, count = quoted(f"tally {table.name}"[:30]), quoted(counted)
    change = "update {root} set {count} = coalesce({count}, 0) {sign} 1 where {key} = {row}.{own};"
    texts = {
        sign: change.format(
            root=quoted(root.name),
            count=count,
            sign=sign,
            key=quoted(org.parent_columns[0]),
            row=row,
            own=quoted(org.own),
        )
        for sign, row in (("+", "new"), ("-", "old"))
    }
    return [
        f"create function {function}() returns trigger language plpgsql as $fuzz$ begin if tg_op = 'INSERT' then"
        f" {texts['+']} else {texts['-']} end if; return null; end $fuzz$;",
        f"create trigger tallied after insert or delete on {quoted(table.name)} for each row execute function {function}();",
    ]


def _with_cycle(rng: Random, tables: list[Table]) -> list[Table]:
    """An earlier table gets a reference to a later one that refers to it."""
    for later in reversed(tables[3:]):
        for ref in later.refs:
            at = next(n for n, table in enumerate(tables) if table.name == ref.parent)
            earlier = tables[at]
            taken = {name.lower() for name in [*earlier.names(), *earlier.target_names("")]}
            if (
                at < 3
                or earlier.name == later.name
                or len(later.key) > 1
                or later.form in SELF_NUMBERED
                or "back" in taken
                or later.child
            ):
                continue
            back = Ref(("back",), later.name, later.key, "back", True, deferrable=True)
            made = replace(earlier, refs=(*earlier.refs, back))
            return [made if table is earlier else table for table in tables]
    return tables
