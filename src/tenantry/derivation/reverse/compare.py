"""Compiles the comparison of target rows with their source rows: what differs, and what each source column should hold."""

from __future__ import annotations

from collections.abc import Sequence

from tenantry.derivation.reverse import alternatives
from tenantry.derivation.reverse.columns import direct_path, held, image, permitted
from tenantry.derivation.reverse.comparison import Comparison, Slot, one_flag
from tenantry.derivation.reverse.moved import held_elsewhere, left_all
from tenantry.derivation.reverse.strangers import of_another_tenant
from tenantry.journal.names import JOURNAL
from tenantry.mapping.project import ROW_ID, MappedColumn, plain_name
from tenantry.postgres import ident, idents, literal


def compare_rows(table: Comparison) -> str:
    """Fill the work table: for each key what exists, what differs, and what each source column should hold."""
    parts = table.parts
    inner = ["k.key", f"row_number() over (order by k.key) as n, {idents(table.key_columns, prefix='k')}",
             f"s.{ident(table.key[0])} is not null as has_s", f"(s.*)::{table.rows} as s"]  # fmt: skip
    joins = [f"{table.keys} k", f"left join {table.rows} s on {table.same_key('s', 'k')}"]
    for i, part in enumerate(parts):
        named = literal(part.mapping.name)
        joins.append(f"left join ({_select(table, i)}) f{i} on f{i}.key = k.key")
        joins.append(f"left join {table.up(i)} u{i} on u{i}.{part.mapping.ours('key')} = k.key")
        joins.append(
            f"left join {JOURNAL}.quarantine q{i} on q{i}.mapping = {named} and q{i}.state = 'open' and q{i}.source_key = k.key"
        )
        joins.append(f"left join {JOURNAL}.merged m{i} on m{i}.mapping = {named} and m{i}.source_key = k.key")
        aside = f"(q{i}.id is not null or m{i}.mapping is not null)"
        inner.append(f"f{i}.legacy as legacy{i}, f{i}.legacy is not null and not {aside} as h{i}")
        inner.append(f"f{i}.legacy is null and not {aside} as gone{i}, {aside} as q{i}")
        where = f"coalesce(({part.mapping.where}), false)" if part.mapping.where else "true"
        inner.append(f"{where} as cov{i}, {left_all(part)} as left{i}, f{i}.extra as e{i}")
        inner += [f"f{i}.f{n} as f{i}_{n}" for n in range(len(part.feeds))]
        # In arrays, since a select has at most 1,664 columns.
        meant = [permitted(feed, i, n) for n, feed in enumerate(part.feeds)]
        waits = [
            f"f{i}.f{n} is null and {held(i, feed.asked)} is not null" if feed.parent else "false"
            for n, feed in enumerate(part.feeds)
        ]
        differ = [_differs(table, i, column) for column in part.compared]
        inner += [_flags(meant, f"o{i}"), _flags(waits, f"w{i}"), _flags(differ, f"x{i}")]
    inner += [f"g.g{n} as extra{n}" for n in range(len(table.extras))]
    if table.extras:
        joins.append(f"left join ({_extras(table)}) g on g.key = k.key")
    first = "select " + ",\n       ".join(inner) + "\n  from " + "\n  ".join(joins) + "\n where k.now"
    second = _choices(table, first)
    names = ["key", "n", *table.key_columns, "has_s", "del", "resp", "ins", "lacks", "waits"]
    values = ["key", "n", *table.key_columns, "has_s", "del", "resp", "ins", "lacks", "waits"]
    for j in range(len(table.slots)):
        names.append(f"v{j}")
        values.append(f"v{j}")
    changes = [_tenant_lost(table, j) for j in range(len(table.slots))]
    names += ["c", "g", "two"]
    plain = [one_flag("c", j) for j in range(len(table.slots))]
    values += [_flags(changes, "c") if changes != plain else "c", "g", "two"]
    for i in range(len(parts)):
        listed = [f"legacy{i}", f"h{i}", f"cov{i}", f"gone{i}", f"q{i}", f"d{i}", f"e{i}"]
        names += listed
        elsewhere = held_elsewhere(table, i)
        gone = f"gone{i} and cov{i} and has_s and not del{f' and not ({elsewhere})' if elsewhere else ''} as gone{i}"
        values += [f"legacy{i}", f"h{i}", f"cov{i}", gone, *listed[4:]]
    return (
        f"insert into {table.work} ({', '.join(names)})\nselect {', '.join(values)}\n  from (\n{second}\n  offset 0) z"
    )


def _choices(table: Comparison, first: str) -> str:
    """Return the level that chooses between feeds and decides what is written."""
    parts = table.parts
    held = {i: held_elsewhere(table, i) for i in range(len(parts))}
    gone = {i: f"gone{i} and not ({held[i]})" if held[i] else f"gone{i}" for i in held}
    # A row excluded by all filters: the target deleted it then.
    left = {i: f"(left{i} and gone{i})" for i, part in enumerate(parts) if part.mapping.where}
    there = f"has_s and case {' '.join(f'when cov{i} then {gone[i]}' for i in gone)} else {' or '.join(left.values()) or 'false'} end"
    resp = f"case {' '.join(f'when cov{i} then {i}' for i in gone)} {' '.join(f'when {left[i]} then {i}' for i in left)} end"
    alone = " or ".join(
        ["h0", *(f"h{i}" for i, part in enumerate(parts) if i and part.link == "same" and part.mapping.where)]
    )
    outer = ["y.key", "y.n", *(f"y.{name}" for name in table.key_columns), "y.has_s", "y.s"]
    outer += [f"y.{name}{i}" for i in range(len(parts)) for name in ("legacy", "h", "gone", "q", "cov", "e")]
    outer += [f"{there} as del", f"{resp} as resp"]
    good: dict[str, str] = {}
    changes: list[str] = []
    several: list[str] = []
    for j, slot in enumerate(table.slots):
        value, permitted, differs = _chosen(table, slot)
        nullable = "" if slot.column.nullable else f" and {value} is not null"
        same = image(value, slot.column) + " is distinct from " + image(f"(y.s).{ident(slot.column.name)}", slot.column)
        good[slot.column.name] = f"(({permitted}){nullable})"
        outer.append(f"{value} as v{j}")
        ways = alternatives.considered(table, slot)
        several.append(alternatives.several(ways) if ways else "false")
        if slot.column.identity == "always":
            changes.append("false")  # such a number is assigned once and never changed
            continue
        changes.append(f"has_s and not ({there}) and ({differs}) and {good[slot.column.name]} and {same}")
    outer += [_flags(changes, "c"), _flags(list(good.values()), "g"), _flags(several, "two")]
    lacks = [f"when {f'not {good[name]}' if name in good else 'true'} then {literal(name)}" for name in table.required]
    if table.project.constant and table.first.profile:
        lacks.insert(0, f"when h0 and {_no_member(table, 'y.legacy0')} then ''")
    lack = f"case {' '.join(lacks)} end" if lacks else "null::text"
    outer.append(f"{lack} as lacks")
    outer.append(f"not has_s and ({alone}) and {lack} is null as ins")
    waits = [
        f"when h{i} and {one_flag(f'w{i}', n)} then {literal(feed.parent)}"
        for i, part in enumerate(parts)
        for n, feed in enumerate(part.feeds)
        if feed.parent
    ]
    outer.append(f"case {' '.join(waits)} end as waits" if waits else "null::text as waits")
    for i, part in enumerate(parts):
        named = ", ".join(
            f"case when {one_flag(f'x{i}', n)} then {literal(c.name)} end" for n, c in enumerate(part.compared)
        )
        outer.append(f"array_remove(array[{named}]::text[], null) as d{i}")
    return "select " + ",\n       ".join(outer) + f"\n  from (\n{first}\n  offset 0) y"


def _no_member(table: Comparison, legacy: str) -> str:
    """Return SQL over the comparison: a person is not a member of the source's only tenant. The application of the source knows
    no other tenants, and would let them in."""
    manifest, schema = table.project.manifest, table.project.target.schema
    member = manifest.membership
    return (
        f"not exists (select from {ident(schema, member.table)} q join {ident(schema, table.first.target.name)} p"
        f" on q.{ident(member.profile)} = p.{ident(ROW_ID)} where p.legacy_id = {legacy}"
        f" and not {of_another_tenant(table.project, 'q')})"
    )


def _chosen(table: Comparison, slot: Slot) -> tuple[str, str, str]:
    """Return SQL of the value, whether it applies, and whether a difference exists that writing it would repair."""
    for n, extra in enumerate(table.extras):
        if extra.column == slot.column.name:
            # A column that no target column is made from is written together with any other change.
            every = [(i, column.name) for i, part in enumerate(table.parts) for column in part.compared]
            asked = [table.flag(i, name) for i, name in extra.asked or every]
            return f"extra{n}", "h0", f"({' or '.join(asked)})"
    if ways := alternatives.considered(table, slot):
        return alternatives.chosen(table, ways)
    values, permits, differs = [], [], []
    for i, n in slot.feeds:
        feed = table.parts[i].feeds[n]
        values.append(f"when h{i} then f{i}_{n}")
        permits.append(f"when h{i} then {one_flag(f'o{i}', n)}")
        differs.append(f"when h{i} then {table.flag(i, feed.asked)}")
    return (
        f"(case {' '.join(values)} end)",
        f"(case {' '.join(permits)} else false end)",
        f"case {' '.join(differs)} else false end",
    )


def _tenant_lost(table: Comparison, j: int) -> str:
    """Return a condition: a column that leads directly to the tenant is also filled when every path to the tenant would
    become null."""
    name = table.slots[j].column.name
    place = {slot.column.name: n for n, slot in enumerate(table.slots)}
    more = []
    for i, part in enumerate(table.parts):
        direct = direct_path(table.project, part.mapping)
        if direct is None or direct.named_by != name:
            continue
        others = dict.fromkeys(path.named_by for path in part.mapping.tenant_paths)
        after = [
            f"case when {one_flag('c', place[each])} then v{place[each]} is null else (z.s).{ident(each)} is null end"
            if each in place
            else f"(z.s).{ident(each)} is null"
            for each in others
        ]
        cleared = " or ".join(one_flag("c", place[each]) for each in others if each in place)
        more.append(f"(h{i} and ({cleared}) and {one_flag('g', j)} and {' and '.join(after)} and v{j} is not null)")
    return " or ".join([one_flag("c", j), *more])


def _differs(table: Comparison, i: int, column: MappedColumn) -> str:
    part = table.parts[i]
    if column.kind == "python":
        n = part.mapping.python_columns.index(column)
        mine = table.table.column(column.source or column.name)
        assert mine is not None
        own = image(f"s.{ident(mine.name)}", mine)
        return f"(f{i}.ok{n} is not true or {image(f'f{i}.b{n}', mine)} is distinct from {own})"
    there = part.mapping.target.column(column.name)
    assert there is not None
    here = held(i, column.name)
    return f"(u{i}.{part.mapping.ours('key')} is null or {image(here, there)} is distinct from {image(f'u{i}.{ident(column.name)}', there)})"


def _select(table: Comparison, i: int) -> str:
    """Select the rows of a mapping for the keys, with the values of its feeds."""
    part = table.parts[i]
    listed = ["l.key", "t.legacy_id as legacy"]
    listed += [
        f"t.{ident(column.name)} as {plain_name('t', column.name)}"
        for column in part.compared
        if column.kind != "python"
    ]
    listed += [f"{feed.value} as f{n}" for n, feed in enumerate(part.feeds)]
    joins = [f"{table.link(i)} l", f"join {table.target_sql(part)} t on t.legacy_id = l.legacy", *part.joins]
    if part.mapping.python_columns:
        joins.append(f"left join {table.python(i)} b on b.key = l.key")
        listed += [f"b.b{n}, b.ok{n}" for n in range(len(part.mapping.python_columns))]
    listed.append(f"array_remove(array[{', '.join(part.own)}]::text[], null) as extra")
    return "select " + ",\n         ".join(listed) + "\n    from " + "\n    ".join(joins)


def _extras(table: Comparison) -> str:
    # The SQL uses `t`, table names and unqualified columns: no name of ours may collide with these.
    ours = "__"
    there = [table.parts[0].mapping.target, *(part.mapping.target for part in table.parts[1:])]
    while any(
        name.startswith(ours) for table in there for name in (table.name, *(each.name for each in table.columns))
    ):
        ours += "_"
    key, legacy = ident(f"{ours}key"), ident(f"{ours}legacy")

    def link(i: int) -> str:
        return f"(select x.key as {key}, x.legacy as {legacy} from {table.link(i)} x) {ident(f'{ours}{i}')}"

    first = ident(f"{ours}0")
    listed = [f"{first}.{key} as key"]
    for n, extra in enumerate(table.extras):
        own = table.table.column(extra.column)
        assert own is not None
        listed.append(f"({extra.sql})::{own.type} as g{n}")
    joins = [link(0), f"join {table.target_sql(table.parts[0])} t on t.legacy_id = {first}.{legacy}"]
    # A second table named t cannot be referred to: t is the first.
    seen = {"t"}
    for i, part in enumerate(table.parts[1:], start=1):
        if part.target in seen:
            continue
        seen.add(part.target)
        name = ident(part.target)
        at = ident(f"{ours}{i}")
        joins.append(f"left join {link(i)} on {at}.{key} = {first}.{key}")
        joins.append(f"left join {table.target_sql(part)} {name} on {name}.legacy_id = {at}.{legacy}")
    return f"select {', '.join(listed)} from {' '.join(joins)}"


def _flags(conditions: Sequence[str], name: str) -> str:
    """Combine conditions into one column."""
    return f"array[{', '.join(conditions)}]::boolean[] as {name}"
