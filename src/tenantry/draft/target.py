"""The target's tables, drafted from what a survey found: uuid ids, tenant columns, composite keys and references."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from tenantry.catalog import Catalog, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.draft.model import DraftColumn, DraftKey, DraftOptions, DraftTable, Question
from tenantry.draft.naming import column_for, free, target_name
from tenantry.postgres import ident, literal
from tenantry.survey.model import Reference, Survey
from tenantry.survey.names import words
from tenantry.survey.sample import NUMBERS, base_type

ROW_ID, LEGACY_ID = "id", "legacy_id"
_LADDER = (
    *(
        "none",
        "blocked",
        "guest",
        "read",
        "reader",
        "viewer",
        "customer",
        "client",
        "basic",
        "standard",
        "member",
        "user",
    ),
    *("employee", "staff", "agent", "contributor", "writer", "author", "editor", "billing", "moderator", "maintainer"),
    *("supervisor", "lead", "manager", "office_manager", "director", "admin", "administrator", "owner", "superadmin"),
)
"""Usual words for roles, the least first."""
_VOLATILE = re.compile(r"nextval\(|cuid|nanoid|ulid", re.IGNORECASE)


@dataclass(slots=True)
class Drafted:
    """What drafting gives: tables, roles, what is left out and what has to be asked."""

    tables: list[DraftTable] = field(default_factory=list)
    roles: tuple[str, ...] = ("member", "owner")
    tenant: str = ""
    tenant_column: str = ""
    membership: str = ""
    membership_profile: str = ""
    membership_role: str = "role"
    profile: str = ""
    account: str = "auth_user_id"
    ignored: dict[str, str] = field(default_factory=dict)
    secrets: dict[str, list[str]] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    types: list[str] = field(default_factory=list)
    downs: dict[str, dict[str, str]] = field(default_factory=dict)

    def table(self, name: str) -> DraftTable | None:
        return next((each for each in self.tables if each.name == name), None)


def draft_target(catalog: Catalog, survey: Survey, options: DraftOptions) -> Drafted:
    """Draft the target of a database whose tenants are the rows of a table, or each person."""
    return _Drafter(catalog, survey, options).draft()


class _Drafter:
    def __init__(self, catalog: Catalog, survey: Survey, options: DraftOptions) -> None:
        self.catalog, self.survey, self.options = catalog, survey, options
        self.out = Drafted()
        self.references: dict[str, list[Reference]] = {}
        for each in survey.references:
            self.references.setdefault(each.place.table, []).append(each)
        self.users = options.users or (survey.users[0].table if survey.users else "")
        found = survey.tenant
        self.person = options.person or (options.tenant is None and found is not None and found.form == "person")
        self.root = options.tenant or (found.table if found is not None and found.form == "table" else "")
        if self.person:
            self.root = ""
        self.kinds = {each.name: each for each in survey.tables}
        self.distance: dict[str, int] = {}

    # -- the whole ----------------------------------------------------------------------------------------------------

    def draft(self) -> Drafted:
        out = self.out
        self._types()
        carried = self._carried()
        self.target_of = {table.name: target_name(table.name, self.options.names) for table in carried}
        taken = set(self.target_of.values())
        out.profile = self.target_of.get(self.users, "")
        if self.person:
            out.tenant = free("workspaces", taken)
            taken.add(out.tenant)
        else:
            out.tenant = self.target_of[self.root]
        out.tenant_column = self._tenant_column(carried)
        self.member_name = free("memberships", taken)
        self.scoped = self._scoped(carried)
        self._roles()
        for table in sorted(carried, key=lambda each: self.distance.get(each.name, 99)):
            out.tables.append(self._table(table))
        if self.person:
            out.tables.insert(0, self._workspaces())
        self._membership()
        self._foreign_keys(carried)
        self._access()
        self._questions()
        return out

    def _carried(self) -> list[Table]:
        """The source tables that get a target table; the others are left behind, with the reason."""
        found = []
        for table in self.catalog.tables:
            known = self.kinds.get(table.name)
            if known is None:
                continue
            if known.kind == "framework":
                self.out.ignored[table.name] = known.reason
            elif known.kind == "credentials" and table.name != self.users:
                self.out.ignored[table.name] = f"{known.reason}; accounts and sessions are Supabase Auth's afterwards"
            elif table.row_key is None:
                self.out.ignored[table.name] = "it has no key, so that its rows cannot be told apart"
                self.out.questions.append(
                    Question(
                        table.name, "How are rows of this table identified?",
                        ("It has neither a primary key nor a unique key over columns that are never null.",),
                        "It is left behind ([source] ignore).",
                        (f"Run ALTER TABLE {ident(self.catalog.schema, table.name)} ADD PRIMARY KEY (…) on the source, and"
                         " `tenantry init` again.",), 6,
                    )
                )  # fmt: skip
            else:
                found.append(table)
        return found

    def _scoped(self, carried: Sequence[Table]) -> set[str]:
        """Tables whose rows belong to a tenant: by a way of references, in each step to a table that is nearer to the tenant."""
        start = {self.users} if self.person else {self.root}
        distance = dict.fromkeys(start, 0)
        names = {table.name for table in carried}
        changed = True
        while changed:
            changed = False
            for table in carried:
                if table.name in start or (table.name == self.users and not self._users_lead()):
                    continue
                near = [distance[each.parent] for each in self._ways(table.name) if each.parent in distance]
                if near and distance.get(table.name, 99) > min(near) + 1:
                    distance[table.name] = min(near) + 1
                    changed = True
        self.distance = distance
        self._lead: dict[str, set[str]] = {}
        return {name for name in distance if name in names and name not in (self.root, self.users)}

    def _users_lead(self) -> bool:
        """Whether a user belongs to one tenant, so that what is a user's is this tenant's."""
        return any(each.parent == self.root for each in self._ways(self.users)) and not self.survey.membership

    def _ways(self, table: str) -> list[Reference]:
        """References that a way to the tenant can follow: plain columns that name one row."""
        return [
            each for each in self.references.get(table, ())
            if each.place.form == "value" and each.when is None and each.parent != table and len(each.columns) >= 1
        ]  # fmt: skip

    # -- names and types ----------------------------------------------------------------------------------------------

    def _tenant_column(self, carried: Sequence[Table]) -> str:
        counts: dict[str, int] = {}
        for table in carried:
            for each in self._ways(table.name):
                if each.parent == self.root and len(each.columns) == 1:
                    name = target_name(each.columns[0], self.options.names)
                    counts[name] = counts.get(name, 0) + 1
        best = max(counts, key=lambda name: (counts[name], name)) if counts else ""
        return best or column_for(self.out.tenant, self.options.names)

    def _types(self) -> None:
        for enum in self.catalog.enums:
            labels = ", ".join(literal(label) for label in enum.labels)
            self.out.types.append(f"create type {ident(enum.name)} as enum ({labels});")
        for domain in self.catalog.domains:
            checks = "".join(
                f" constraint {ident(check.name)} {self._unqualified(check.definition)}" for check in domain.checks
            )
            default = f" default {self._unqualified(domain.default)}" if domain.default else ""
            null = "" if domain.nullable else " not null"
            self.out.types.append(
                f"create domain {ident(domain.name)} as {self._unqualified(domain.base)}{default}{null}{checks};"
            )
        for composite in self.catalog.composites:
            columns = ", ".join(
                f"{ident(column.name)} {self._unqualified(column.type)}" for column in composite.columns
            )
            self.out.types.append(f"create type {ident(composite.name)} as ({columns});")

    def _unqualified(self, text: str) -> str:
        """SQL of the source in which types of its schema are the target's, which have the same names."""
        for each in (*self.catalog.enums, *self.catalog.domains, *self.catalog.composites):
            name = f"{ident(self.catalog.schema)}.{ident(each.name)}"
            text = re.sub(rf"(?<![\w.\"]){re.escape(name)}(?!\w)", ident(each.name), text)
        return text

    def _name(self, column: str, table: DraftTable) -> str:
        wanted = target_name(column, self.options.names)
        taken = {each.name for each in table.columns} | {ROW_ID, LEGACY_ID, self.out.account}
        if table.scoped:
            taken.add(self.out.tenant_column)
        if wanted in taken:
            wanted = f"source_{wanted}" if wanted in (ROW_ID, LEGACY_ID, self.out.tenant_column) else wanted
        return free(wanted, taken)

    # -- one table ----------------------------------------------------------------------------------------------------

    def _table(self, table: Table) -> DraftTable:
        kind = self.kinds[table.name].kind
        made = DraftTable(
            self.target_of[table.name], table.name, kind, scoped=table.name in self.scoped, comment=table.comment
        )
        made.ways = self._tenant_ways(table) if made.scoped else ()
        profile = table.name == self.users
        key = table.row_key or ()
        dropped = self._dropped(table, made)
        for column in table.columns:
            if column.name in dropped:
                continue
            self._column(table, made, column, key)
        if profile:
            made.columns.append(DraftColumn(self.out.account, "uuid"))
            made.uniques.append((self.out.account,))
            made.keys.append(DraftKey((self.out.account,), "auth.users", ("id",), "set null"))
        self._keys_and_indexes(table, made)
        return made

    def _dropped(self, table: Table, made: DraftTable) -> set[str]:
        """Source columns that have no place of their own in the target."""
        dropped: set[str] = set()
        key = table.row_key or ()
        if len(key) == 1 and not self._says_something(table, key[0]):
            dropped.add(key[0])
        if made.scoped:
            first = next(
                (each for each in self._ways(table.name) if each.parent == self.root and len(each.columns) == 1), None
            )
            if first is not None and first.columns[0] == made.ways[0:1][0].partition("->")[0].strip():
                dropped.add(first.columns[0])
        if table.name == self.users:
            columns = self.survey.users_columns
            if columns.password and not columns.password_table:
                dropped.add(columns.password)
            if not self.survey.membership and not self.person:
                dropped |= {each.columns[0] for each in self._ways(table.name) if each.parent == self.root}
                if columns.role:
                    dropped.add(columns.role)
        return dropped

    def _says_something(self, table: Table, key: str) -> bool:
        """Whether a key is more than a number of the row: a country's code, a user's name."""
        if any(key in each.columns for each in self.references.get(table.name, ()) if each.place.form == "value"):
            return True
        shapes = next((each.shapes for each in self.survey.ids if (each.table, each.column) == (table.name, key)), {})
        column = table.column(key)
        return (
            bool(shapes)
            and column is not None
            and base_type(self.catalog, column) not in NUMBERS
            and (shapes.get("word", 0) + shapes.get("text", 0) > 0.5)
        )

    def _column(self, table: Table, made: DraftTable, column: CatalogColumn, key: tuple[str, ...]) -> None:
        name = self._name(column.name, made)
        reference = self._reference(table.name, column.name)
        drafted = DraftColumn(
            name, self._unqualified(column.type), not column.nullable, source=column.name, comment=column.comment
        )
        if name != column.name:
            drafted.rule["from"] = column.name
        if column.generated is not None:
            self._generated(table, made, column, drafted)
            return
        if reference is not None and reference.parent in self.target_of:
            drafted.type = "uuid"
            parent = self.target_of[reference.parent]
            if not reference.declared or len(reference.columns) > 1:
                drafted.rule["ref"] = parent
            if not reference.declared and reference.share < 1 and column.nullable:
                drafted.rule["orphan"] = "null"
            if reference.parent == self.users or reference.parent == self.root or reference.parent not in self.scoped:
                made.keys.append(DraftKey((name,), parent, (ROW_ID,), self._on_delete(table, reference)))
            elif made.scoped:
                made.keys.append(
                    DraftKey(
                        (self.out.tenant_column, name),
                        parent,
                        (self.out.tenant_column, ROW_ID),
                        self._on_delete(table, reference),
                    )
                )
            self._note_reference(made, drafted, reference)
        else:
            self._plain(table, made, column, drafted)
        made.columns.append(drafted)

    def _reference(self, table: str, column: str) -> Reference | None:
        """The row that a column names: by a key of its own before one of several columns, whose other columns are the tenant's."""
        mine = [each for each in self._ways_and_own(table) if column in each.columns]
        single = [each for each in mine if len(each.columns) == 1]
        if single:
            return single[0]
        for each in mine:
            rest = [name for name in each.columns if not any(
                other.parent == self.root and other.columns == (name,) for other in self._ways(table))]  # fmt: skip
            if rest == [column]:
                return each
        return None

    def _ways_and_own(self, table: str) -> list[Reference]:
        return [
            each for each in self.references.get(table, ()) if each.place.form == "value" and each.when is None
        ]  # fmt: skip

    def _on_delete(self, table: Table, reference: Reference) -> str:
        for each in table.foreign_keys:
            if each.columns == reference.columns and each.ref_table == reference.parent:
                return each.on_delete if each.on_delete in ("cascade", "set null") else ""
        return ""

    def _plain(self, table: Table, made: DraftTable, column: CatalogColumn, drafted: DraftColumn) -> None:
        kind = base_type(self.catalog, column)
        default = column.default or ""
        if kind.startswith("timestamp without") or (
            column.type.startswith("timestamp") and "with time zone" not in column.type
        ):
            if not column.type.endswith("[]"):
                drafted.type = re.sub(
                    r"timestamp(\(\d\))?( without time zone)?", r"timestamp\1 with time zone", column.type
                )
                drafted.rule["as"] = "utc"
        if column.identity is not None or (default.startswith("nextval(") and kind in NUMBERS):
            drafted.identity, default = True, ""
        if default and not _VOLATILE.search(default) and not self._calls_source(default):
            drafted.default = self._unqualified(default)
        self._documents(table, made, column, drafted)

    def _calls_source(self, default: str) -> bool:
        return any(f"{function.name}(" in default for function in self.catalog.functions)

    def _documents(self, table: Table, made: DraftTable, column: CatalogColumn, drafted: DraftColumn) -> None:
        """References within documents, arrays and texts: carried where the manifest can say it, else asked about."""
        inner = [
            each for each in self.references.get(table.name, ())
            if each.place.column == column.name and (each.place.form != "value" or each.when is not None)
        ]  # fmt: skip
        said: dict[str, str] = {}
        for each in inner:
            parent = self.target_of.get(each.parent)
            path = each.place.path
            plain = (
                each.place.form == "json"
                and not each.place.json_text
                and not path.startswith("[")
                and "*" not in path.replace("[*]", "")
            )
            if parent is not None and plain and column.type in ("json", "jsonb"):
                said[path] = parent
            else:
                self._ask_inner(made, each)
        if said:
            drafted.type = "jsonb"
            drafted.rule["as"], drafted.rule["ids"] = "json_ids", said

    def _ask_inner(self, made: DraftTable, each: Reference) -> None:
        where = f" where {each.when[0]} is {each.when[1]!r}" if each.when else ""
        self.out.questions.append(
            Question(
                f"{made.name}.{each.place.column}",
                f"It holds old ids of {each.parent}{where} ({each.place}).", each.reasons,
                "The value is carried over as it is: old ids stay in it. tenantry.id_of() translates them.",
                ('Write an expression with up = "…", or translate these ids in the application.',), 5,
            )
        )  # fmt: skip

    def _note_reference(self, made: DraftTable, drafted: DraftColumn, each: Reference) -> None:
        if each.declared:
            return
        chosen = f'ref = "{self.target_of[each.parent]}"'
        if drafted.rule.get("orphan") == "null":
            chosen += ', orphan = "null": a value that names no row becomes null'
        elif each.share < 1:
            chosen += ": a row whose value names no row goes to the quarantine"
        self.out.questions.append(
            Question(
                f"{made.name}.{drafted.name}", f"No foreign key says so, but it names rows of {each.parent}.", each.reasons, chosen,
                ("ref = false, if it is plain data; then give the column its old type in the target's file",), 3,
            )
        )  # fmt: skip

    def _generated(self, table: Table, made: DraftTable, column: CatalogColumn, drafted: DraftColumn) -> None:
        expression = column.generated or ""
        names = {each.name for each in table.columns}
        used = [name for name in names if re.search(rf"(?<![\w\"]){re.escape(ident(name))}(?![\w\"])", expression)]
        kept = [made.of_source(name) for name in used]
        if all(each is not None and each.name == name and not each.rule for each, name in zip(kept, used, strict=True)):
            drafted.generated = self._unqualified(expression)
            made.columns.append(drafted)
            return
        self.out.questions.append(
            Question(
                f"{made.name}.{drafted.name}", "It is generated, from columns that change.", (f"as {expression}",),
                "The target has no such column.", ("Add it to the target's file with an expression of its own.",), 3,
            )
        )  # fmt: skip

    # -- keys, indexes, checks ----------------------------------------------------------------------------------------

    def _keys_and_indexes(self, table: Table, made: DraftTable) -> None:
        key = table.row_key or ()
        for index in table.indexes:
            if index.method != "btree" or not index.valid:
                continue
            columns = [made.of_source(str(name)) if name else None for name in index.columns]
            gone = [name for name, column in zip(index.columns, columns, strict=True) if column is None]
            tenant = [name for name in gone if name and self._is_tenant_column(table, name)]
            plain = index.predicate is None and all(name in tenant for name in gone)
            names = tuple(column.name for column in columns if column is not None)
            if index.unique and plain and names and not (index.columns == key and len(key) == 1):
                made.uniques.append(self._per_tenant(made, names))
            elif not index.unique and plain and names:
                made.indexes.append(self._per_tenant(made, names))
            elif index.unique and not index.primary and not plain and not set(key) <= set(index.columns):
                self._ask_index(table, made, index.definition)
        for check in table.checks:
            if check.expression and not check.inherited and self._kept_as_is(table, made, check.columns):
                made.checks.append(self._unqualified(check.expression))

    def _is_tenant_column(self, table: Table, name: str) -> bool:
        return any(each.parent == self.root and each.columns == (name,) for each in self._ways(table.name))

    def _per_tenant(self, made: DraftTable, names: tuple[str, ...]) -> tuple[str, ...]:
        if not made.scoped:
            return names
        return (self.out.tenant_column, *(name for name in names if name != self.out.tenant_column))

    def _kept_as_is(self, table: Table, made: DraftTable, columns: Sequence[str]) -> bool:
        for name in columns:
            column, source = made.of_source(name), table.column(name)
            if column is None or source is None or column.name != name or column.type != self._unqualified(source.type):
                return False
        return bool(columns)

    def _ask_index(self, table: Table, made: DraftTable, definition: str) -> None:
        self.out.questions.append(
            Question(
                made.name, "A unique index over some rows, or over an expression, is not drafted.", (definition,),
                "The target does not have it.", (f"Write it into the target's file, with {self.out.tenant_column} first.",), 4,
            )
        )  # fmt: skip

    # -- tenants ------------------------------------------------------------------------------------------------------

    def _tenant_ways(self, table: Table) -> tuple[str, ...]:
        """The columns that lead to the tenant, the surest first."""
        far = self.distance.get(table.name, 99)
        known = {path.hops[0].columns: path for path in self.kinds[table.name].paths if path.hops}
        found: list[tuple[tuple[float, int], str]] = []
        for each in self._ways(table.name):
            near = self.distance.get(each.parent)
            if near is None or near > far or each.parent not in self.target_of or self._circle(table.name, each.parent):
                continue
            self._lead.setdefault(table.name, set()).add(each.parent)
            path = known.get(each.columns)
            reach = path.reached / path.rows if path is not None and path.rows else 1.0
            column = next((name for name in each.columns if not self._is_tenant_column(table, name)), each.columns[0])
            by_person = each.parent == self.users
            # A person has no tenant in the target: the person's own one has, or the membership that is made of the same row.
            target = (
                self.target_of[each.parent] if not by_person else self.out.tenant if self.person else self.member_name
            )
            way = column if each.declared and not by_person else f"{column} -> {target}"
            # A composite key carries the tenant itself: that column is a way of its own.
            found.append(((-round(reach, 3), near), way))
        return tuple(dict.fromkeys(way for _, way in sorted(found, key=lambda pair: pair[0])))

    def _circle(self, table: str, parent: str) -> bool:
        """Whether the ways that are chosen lead from the parent back to the table."""
        queue, seen = [parent], set()
        while queue:
            at = queue.pop()
            if at == table:
                return True
            if at not in seen:
                seen.add(at)
                queue += self._lead.get(at, ())
        return False

    def _workspaces(self) -> DraftTable:
        """Each person's tenant, made of the users table."""
        columns = self.survey.users_columns
        name = columns.name or columns.email
        made = DraftTable(
            self.out.tenant, self.users, "tenant", scoped=False, part="tenant", comment="Each person's own tenant."
        )
        made.columns.append(
            DraftColumn("name", "text", True, source=name, rule={"from": name} if name != "name" else {})
        )
        if name:
            source = self.catalog.table(self.users)
            column = source.column(name) if source is not None else None
            if column is not None and column.nullable:
                made.columns[0].rule["null"] = {"default": "personal"}
        return made

    def _membership(self) -> None:
        out = self.out
        existing = self.survey.membership if not self.person else ""
        if existing and existing in self.target_of:
            made = out.table(self.target_of[existing])
            assert made is not None
            out.membership = made.name
            source = self.catalog.table(existing)
            assert source is not None
            profile = next(each for each in self._ways(existing) if each.parent == self.users)
            column = made.of_source(profile.columns[0])
            assert column is not None
            out.membership_profile = column.name
            role = next((each for each in source.columns if words(each.name)[-1:] == ("role",)), None)
            drafted = made.of_source(role.name) if role is not None else None
            if drafted is not None:
                out.membership_role = drafted.name
                if not drafted.not_null:
                    drafted.not_null, drafted.rule["null"] = True, {"default": out.roles[0]}
            else:
                out.membership_role = free("role", {each.name for each in made.columns})
                made.columns.append(DraftColumn(out.membership_role, "text", True, rule={"up": literal(out.roles[-1])}))
            pair = (out.tenant_column, out.membership_profile)
            if not any(set(unique) <= set(pair) for unique in made.uniques):
                made.indexes.append(pair)
            return
        out.membership = self.member_name
        made = DraftTable(
            out.membership, self.users, "membership", scoped=True, part="membership",
            comment="Who belongs to which tenant, and with which role.",
        )  # fmt: skip
        source = self.catalog.table(self.users)
        assert source is not None
        key = (source.row_key or ("id",))[0]
        out.membership_profile = column_for(out.profile, self.options.names)
        made.columns.append(
            DraftColumn(out.membership_profile, "uuid", True, source=key, rule={"from": key, "ref": out.profile})
        )
        made.keys.append(DraftKey((out.membership_profile,), out.profile, (ROW_ID,), ""))
        made.uniques.append((out.tenant_column, out.membership_profile))
        role = self.survey.users_columns.role
        if self.person:
            made.ways = (f"{key} -> {out.tenant}",)
            made.columns.append(DraftColumn("role", "text", True, rule={"up": literal(out.roles[-1])}))
        else:
            way = next((each for each in self._ways(self.users) if each.parent == self.root), None)
            assert way is not None
            made.ways = (way.columns[0] if way.declared else f"{way.columns[0]} -> {out.tenant}",)
            made.where = self._has_tenant(source, way.columns[0])
            if role:
                column = source.column(role)
                assert column is not None
                drafted = DraftColumn(
                    "role",
                    self._unqualified(column.type),
                    True,
                    source=role,
                    rule={"from": role} if role != "role" else {},
                )
                if column.nullable:
                    drafted.rule["null"] = {"default": out.roles[0]}
                made.columns.append(drafted)
            else:
                made.columns.append(DraftColumn("role", "text", True, rule={"up": literal(out.roles[0])}))
        out.tables.append(made)

    def _has_tenant(self, table: Table, column: str) -> str:
        """A person without a tenant gets a profile and no membership."""
        found = table.column(column)
        if found is None or not found.nullable:
            return ""
        text = base_type(self.catalog, found) not in NUMBERS and base_type(self.catalog, found) != "uuid"
        return f"s.{ident(column)} is not null" + (f" and s.{ident(column)} <> ''" if text else "")

    # -- roles and access ---------------------------------------------------------------------------------------------

    def _roles(self) -> None:
        values = [] if self.person else list(self.survey.roles)
        known = [value for value in values if value.lower() in _LADDER]
        if len(values) < 2:
            self.out.roles = (*values, "owner") if values and values[0] != "owner" else ("member", "owner")
            return
        ordered = sorted(
            values, key=lambda value: (_LADDER.index(value.lower()) if value in known else len(_LADDER) // 2, value)
        )
        self.out.roles = tuple(ordered)
        self.out.questions.append(
            Question(
                "roles", "Which role may do more than which?", (f"values found: {', '.join(values)}",),
                f"from the least to the highest: {', '.join(ordered)}",
                ("Reorder [roles] order: each role may do all that the ones before it may.",), 8,
            )
        )  # fmt: skip

    def _access(self) -> None:
        lowest, highest = self.out.roles[0], self.out.roles[-1]
        for table in self.out.tables:
            if table.name == self.out.tenant:
                table.access = {"select": lowest, "insert": "service", "update": highest, "delete": "service"}
            elif table.name == self.out.profile:
                own = {"own": ROW_ID}
                table.access = {
                    "select": {"colleagues": lowest, "own": ROW_ID},
                    "insert": "service",
                    "update": own,
                    "delete": "service",
                }
            elif table.name == self.out.membership:
                table.access = {"select": lowest, "insert": "service", "update": "service", "delete": "service"}
            elif not table.scoped:
                table.access = "shared" if table.kind == "lookup" else "service"
            elif table.kind == "log":
                table.access = {"select": highest, "insert": "service", "update": "service", "delete": "service"}
            else:
                table.access = "tenant"

    # -- foreign keys, questions --------------------------------------------------------------------------------------

    def _foreign_keys(self, carried: Sequence[Table]) -> None:
        """Keys lead to unique columns that exist; a circle of not-null keys can be written, since all are deferrable."""
        for table in self.out.tables:
            table.keys = [
                each for each in table.keys
                if each.parent == "auth.users" or ((parent := self.out.table(each.parent)) is not None
                and (len(each.columns) == 1 or parent.scoped))
            ]  # fmt: skip
            for each in table.keys:
                wanted = each.columns
                if not any(index[: len(wanted)] == wanted for index in (*table.indexes, *table.uniques)):
                    table.indexes.append(wanted)

    def _questions(self) -> None:
        out, survey = self.out, self.survey
        ranked = [each for each in survey.tenants if each.table or each.form != "table"]
        out.questions.append(
            Question(
                "tenant", "What is a tenant?",
                tuple(f"{each.table or each.column or each.form} ({each.form}): {each.score} points; {'; '.join(each.reasons)}" for each in ranked[:4]),
                f"each person ({self.users})" if self.person else f"a row of {self.root}",
                ("tenantry init --tenant TABLE", "tenantry init --person"), 10,
            )
        )  # fmt: skip
        for name, reason in out.ignored.items():
            if name in self.kinds and self.kinds[name].kind == "credentials":
                out.questions.append(
                    Question(
                        name,
                        "Is this table needed after the migration?",
                        (reason,),
                        "It is left behind ([source] ignore).",
                        (),
                        2,
                    )
                )
        for table in out.tables:
            if (
                not table.scoped
                and table.kind not in ("tenant", "users", "lookup")
                and table.name not in (out.tenant, out.profile)
            ):
                out.questions.append(
                    Question(
                        table.name, "Whose rows are these? No way leads from them to a tenant.",
                        (f"taken for: {self.kinds[table.source].kind}, {self.kinds[table.source].reason}",),
                        "They belong to no tenant, and only the service reads them.",
                        ("Say the way: tenant = [\"column -> table\"], with the tenant column in the target's file.",
                         'access = "shared", if everybody who is signed in may read them.'), 7,
                    )
                )  # fmt: skip
        for known in survey.tables:
            bad = [path for path in known.paths if path.disagree]
            if bad:
                out.questions.append(
                    Question(
                        known.name, "Ways to the tenant disagree for some rows.",
                        tuple(f"{path}: {path.disagree} of {path.rows} sampled rows lead to another tenant" for path in bad),
                        "These rows go to the quarantine.", ("Correct them in the source, or leave the way out of `tenant`.",), 6,
                    )
                )  # fmt: skip
        if survey.users_columns.email and self.users:
            out.questions.append(
                Question(
                    "users", "Who becomes a super admin, who sees every tenant?", ("The source does not say.",), "Nobody.",
                    ('[users] super = "s.role = \'admin\'"',), 5,
                )
            )  # fmt: skip
