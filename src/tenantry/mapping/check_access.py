"""Checks the access rules of a manifest against the target. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from graphlib import CycleError

from tenantry.catalog import Catalog, Table
from tenantry.catalog import Column as CatalogColumn
from tenantry.errors import ManifestError, nearest
from tenantry.manifest.load import manifest_digest
from tenantry.manifest.model import COMMANDS, Access, Colleagues, Manifest, Own
from tenantry.manifest.positions import Key, Places, Problem, in_order
from tenantry.mapping.check_consent import check_share, check_who_lets_in
from tenantry.mapping.client_columns import AUDIT_COLUMNS
from tenantry.mapping.expressions import Expressions
from tenantry.mapping.order import sorter
from tenantry.mapping.project import LEGACY_ID, ROW_ID, Project


def resolve_access(manifest: Manifest, target: Catalog) -> Project:
    """Build a project that has the target and the access rules, and no source: for a database whose migration is over. Tables
    that only one of the manifest and the target has are skipped; `tenantry.access.diff` reports them.

    Raises:
        ManifestError: all mismatches, each with file, line, key and the closest valid name.
    """
    checks = TargetChecks(manifest, target)
    checks.check_tenancy()
    checks.stop_at_problems()
    checks.check_shares()
    check_who_lets_in(checks)
    for name, rule in manifest.tables.items():
        if target.table(name) is not None:
            checks.check_access(name, rule.access)
    checks.check_circles()
    checks.stop_at_problems()
    return Project(manifest, manifest_digest(manifest), Catalog(manifest.source.schema_name), target, ())


class TargetChecks:
    """Collects the mismatches with the target."""

    def __init__(self, manifest: Manifest, target: Catalog) -> None:
        self.manifest = manifest
        self.target = target
        self.places = Places(str(manifest.path), manifest.text)
        self.problems: list[Problem] = []
        self.expressions = Expressions(self.say)
        self.labels = {(enum.schema, enum.name): tuple(enum.labels) for enum in target.enums}

    def say(self, key: Key, message: str) -> None:
        self.problems.append(self.places.problem(key, message))

    def stop_at_problems(self) -> None:
        """
        Raises:
            ManifestError: there were mismatches.
        """
        if self.problems:
            raise ManifestError(in_order(self.problems))

    # -- names -------------------------------------------------------------------------------------------------------

    def target_table(self, name: str, key: Key) -> Table | None:
        return self.table(self.target, name, key, "target")

    def table(self, catalog: Catalog, name: str, key: Key, side: str) -> Table | None:
        found = catalog.table(name)
        if found is None:
            near = nearest(name, [table.name for table in catalog.tables])
            self.say(key, f"the {side} schema {catalog.schema} has no table {name!r}" + did_you_mean(near))
        return found

    def need_column(self, table: Table, name: str, key: Key) -> CatalogColumn | None:
        found = table.column(name)
        if found is None:
            near = nearest(name, [column.name for column in table.columns])
            self.say(key, f"{table.name} has no column {name!r}" + did_you_mean(near))
        return found

    def _check_nested(self, root: Table, parent: str) -> None:
        """Check that a column of the tenant table refers to the tenant above."""
        key = ("tenant", "parent")
        if self.need_column(root, parent, key) is None:
            return
        if not any(
            fk.columns == (parent,)
            and (fk.ref_schema, fk.ref_table, fk.ref_columns) == (root.schema, root.name, (ROW_ID,))
            for fk in root.foreign_keys
        ):
            self.say(
                key,
                f"{root.name}.{parent} needs a foreign key to {root.name} ({ROW_ID}): it gives the members of the tenant that it names"
                " their rights",
            )
        if not any(index.columns[:1] == (parent,) and index.predicate is None for index in root.indexes):
            self.say(
                key,
                f"{root.name}.{parent} needs an index: each statement of a client looks for the tenants below its own",
            )

    # -- tenants, members, shares ------------------------------------------------------------------------------------

    def check_tenancy(self) -> None:
        """Check tenant, membership and roles; all other checks depend on them."""
        manifest = self.manifest
        root = self.target_table(manifest.tenant.table, ("tenant", "table"))
        if root is not None:
            if root.primary_key is None or root.primary_key.columns != (ROW_ID,):
                self.say(("tenant", "table"), f"the tenant table {root.name} needs the primary key (id)")
            if root.column(manifest.tenant.column) is not None:
                self.say(
                    ("tenant", "column"),
                    f"the tenant table {root.name} has a column {manifest.tenant.column} of its own, which would be taken for a way"
                    " to another tenant; rename that column in the target's files, or take another name for the tenant column",
                )
            if manifest.tenant.parent is not None:
                self._check_nested(root, manifest.tenant.parent)
            if manifest.tenant.active:
                self.expressions.check(manifest.tenant.active, {"": root}, ("tenant", "active"))
        membership = self.target_table(manifest.membership.table, ("membership", "table"))
        if membership is not None:
            self.need_column(membership, manifest.tenant.column, ("tenant", "column"))
            self.need_column(membership, manifest.membership.profile, ("membership", "profile"))
            role = self.need_column(membership, manifest.membership.role, ("membership", "role"))
            if role is not None and role.type_kind == "enum":
                labels = self.labels.get((role.type_schema, role.type_name), ())
                for place, name in enumerate(manifest.roles.order):
                    if name not in labels:
                        near = nearest(name, labels)
                        self.say(
                            ("roles", "order", place),
                            f"{name!r} is not a value of {membership.name}.{role.name}" + did_you_mean(near),
                        )
            if manifest.membership.active:
                self.expressions.check(manifest.membership.active, {"": membership}, ("membership", "active"))

    def check_shares(self) -> None:
        for name, share in self.manifest.shares.items():
            key: Key = ("shares", name)
            table = self.target_table(share.table, (*key, "table"))
            if table is not None:
                if table.column(self.manifest.tenant.column) is None:
                    column = self.manifest.tenant.column
                    self.say(
                        (*key, "table"),
                        f"{table.name} has no {column}, but the tenant of a share's row is the one that shares",
                    )
                self.need_column(table, share.to, (*key, "to"))
                if share.to == self.manifest.tenant.column:
                    self.say(
                        (*key, "to"), f"{share.to} is the sharing tenant; name the column of the tenant that may read"
                    )
                if share.active:
                    self.expressions.check(share.active, {"": table}, (*key, "active"))
                self.expressions.check(share.accepted, {"": table}, (*key, "accepted"))
                check_share(self, table, share, key)
            if share.role is not None and share.role not in self.manifest.roles.order:
                near = nearest(share.role, self.manifest.roles.order)
                self.say((*key, "role"), f"{share.role!r} is not a role of a tenant" + did_you_mean(near))

    # -- cells -------------------------------------------------------------------------------------------------------

    def check_access(self, name: str, access: Access) -> None:
        table = self.target.table(name)
        assert table is not None
        tenant = self.manifest.tenant
        in_tenant = table.column(tenant.column) is not None
        scoped = in_tenant or name == tenant.table
        known = (*self.manifest.roles.order, "super", "signed_in", "service", "public")
        for command in COMMANDS:
            key: Key = ("tables", name, "access", command)
            cell = access.cell(command)
            role: str | None
            if isinstance(cell, Own):
                self.need_column(table, cell.column, key)
                self._check_parent(name, cell, key)
                self._check_through(name, cell, key)
                role = cell.role
                if scoped and role is None:
                    self.say(key, 'own rows of a tenant table also need the least role in it: role = "…"')
            elif isinstance(cell, Colleagues):
                self.need_column(table, cell.own, key)
                role = cell.colleagues
                if scoped:
                    self.say(key, f"colleagues is for people's rows, but {name} has a tenant: name a role instead")
            else:
                role = cell
            if role in self.manifest.roles.order and not scoped and not isinstance(cell, Colleagues):
                self.say(
                    key,
                    f"{role!r} is a role in a tenant, but {name} has no {tenant.column}; use signed_in, super or service",
                )
            if role == "signed_in" and in_tenant:
                self.say(
                    key,
                    f"'signed_in' lets every signed-in user {command} rows of every tenant; name a role in the row's tenant",
                )
            if role == "public" and (command != "select" or isinstance(cell, Own | Colleagues)):
                self.say(key, "'public' means reading without signing in, and nothing else; name a role")
            if role is not None and role not in known:
                self.say(key, f"{role!r} is not a role" + did_you_mean(nearest(role, known)))
        self._check_rows(table, access, in_tenant=in_tenant)
        self._check_columns(table, access)

    def _check_rows(self, table: Table, access: Access, *, in_tenant: bool) -> None:
        """Check rows without a tenant, rows of tenants that share, and public rows."""
        tenant = self.manifest.tenant
        key: Key = ("tables", table.name, "access")
        if access.system is not None:
            column = table.column(tenant.column)
            if column is None:
                self.say((*key, "system"), f"{table.name} has no {tenant.column}, so none of its rows is without one")
            elif not column.nullable:
                self.say(
                    (*key, "system"),
                    f"{table.name}.{tenant.column} is never null, so every row has a tenant; allow null, or keep"
                    " rows for all tenants in a separate table",
                )
        if access.shared is not None:
            if access.shared not in self.manifest.shares:
                near = nearest(access.shared, list(self.manifest.shares))
                self.say(
                    (*key, "shared"),
                    f"there is no [shares.{access.shared}]"
                    + (did_you_mean(near) or "; add it with its table and its column to"),
                )
            if not in_tenant and table.name != tenant.table:
                self.say(
                    (*key, "shared"),
                    f"{table.name} has no {tenant.column}: there is no tenant that could share its rows",
                )
        if access.public is not None:
            self.expressions.check(access.public, {"": table}, (*key, "public"))

    def _check_columns(self, table: Table, access: Access) -> None:
        key: Key = ("tables", table.name, "access")
        for field in ("hidden", "fixed", "insert_columns", "update_columns", "public_columns", "reviewed", "unseen"):
            for place, name in enumerate(getattr(access, field) or ()):
                column = self.need_column(table, name, (*key, field, place))
                if column is None or field in ("hidden", "fixed", "reviewed", "unseen"):
                    continue
                why = ""
                if field == "public_columns":
                    why = "is hidden" if name in access.hidden else ""
                elif column.generated is not None or column.identity == "always":
                    why = "is made by the database"
                elif name in (LEGACY_ID, *AUDIT_COLUMNS):
                    why = "is set by Tenantry and by triggers, never by clients"
                elif field == "update_columns" and name in (ROW_ID, self.manifest.tenant.column):
                    why = "never changes"
                if why:
                    self.say((*key, field, place), f"{table.name}.{name} {why}; take it out")

    def _check_parent(self, name: str, cell: Own, key: Key) -> None:
        """Check the table after the arrow in own = "column -> table": another target table whose rows clients may see."""
        if cell.parent is None:
            return
        parent = self.target_table(cell.parent, key)
        rule = self.manifest.tables.get(cell.parent)
        if parent is None or rule is None:
            return
        self.need_column(parent, ROW_ID, key)
        if cell.parent == name:
            self.say(key, f"{name} cannot decide about itself; name the table that its rows depend on")
        elif rule.access.select == "service":
            self.say(key, f"no client sees rows of {cell.parent}, so none could see the rows that depend on them")
        else:
            self._check_readable(parent, rule.access, (ROW_ID, self.manifest.tenant.column), key)

    def _check_through(self, name: str, cell: Own, key: Key) -> None:
        """Check the table that determines ownership: policies read it with the caller's own privileges."""
        if cell.through is None:
            return
        through = cell.through
        table = self.target_table(through.table, key)
        rule = self.manifest.tables.get(through.table)
        if table is None or rule is None:
            return
        self.need_column(table, through.match, key)
        self.need_column(table, through.profile, key)
        if through.table == name:
            self.say(key, f'{name} cannot decide about itself; write {{ own = "{through.profile}" }}')
        elif rule.access.select == "service":
            self.say(
                key, f"no client sees rows of {through.table}, so no client could find their own rows through them"
            )
        else:
            needed = (through.match, through.profile, self.manifest.tenant.column)
            self._check_readable(table, rule.access, needed, key)

    def _check_readable(self, table: Table, access: Access, columns: tuple[str, ...], key: Key) -> None:
        for column in columns:
            if column in access.hidden:
                self.say(key, f"{table.name}.{column} is hidden, but clients need it to find their rows; show it")

    def check_circles(self) -> None:
        """Check that visibility has no cycle: who sees a table's rows must not depend, through other tables, on itself."""
        leads = {
            name: set(_leads_to(rule.access)) - {name}
            for name, rule in self.manifest.tables.items()
            if self.target.table(name) is not None
        }
        try:
            sorter(leads).prepare()
        except CycleError as error:
            circle: list[str] = error.args[1]
            self.say(
                ("tables", circle[0], "access", "select"),
                f"access to these tables depends on itself: {' -> '.join(reversed(circle))}; base one of them on"
                " a role, or on a column that holds a profile",
            )


def _leads_to(access: Access) -> Iterator[str]:
    cell = access.select
    if isinstance(cell, Own) and cell.parent is not None:
        yield cell.parent
    if isinstance(cell, Own) and cell.through is not None:
        yield cell.through.table


def did_you_mean(near: str | None) -> str:
    return f"; did you mean {near!r}?" if near else ""
