"""What drafting knows and collects, shared by the functions that draft one part each."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from tenantry.catalog import Catalog, Table
from tenantry.draft.model import DraftOptions, DraftTable, Question
from tenantry.postgres import ident
from tenantry.survey.model import FoundReference, Place, Survey, SurveyedTable

ROW_ID, LEGACY_ID = "id", "legacy_id"


@dataclass(slots=True)
class Drafted:
    """The result of drafting: tables, roles, omissions and questions."""

    tables: list[DraftTable] = field(default_factory=list)
    roles: tuple[str, ...] = ("member", "owner")
    tenant: str = ""
    tenant_column: str = ""
    constant: dict[str, object] = field(default_factory=dict)
    """The row of the one tenant that everything belongs to; empty if there is none."""
    values: dict[str, object] = field(default_factory=dict)
    """How tenants are made from values; empty if they are not."""
    membership: str = ""
    membership_profile: str = ""
    membership_role: str = "role"
    profile: str = ""
    account: str = "auth_user_id"
    ignored: dict[str, str] = field(default_factory=dict)
    questions: list[Question] = field(default_factory=list)
    types: list[str] = field(default_factory=list)

    def table(self, name: str) -> DraftTable | None:
        return next((each for each in self.tables if each.name == name), None)


@dataclass(slots=True)
class Drafting:
    """A draft in progress.

    Attributes:
        users: the users table of the source.
        root: the source table whose rows are the tenants; empty if each person is a tenant, or everything belongs to one.
        target_of: source table -> target table, for migrated tables.
        distance: source table -> steps to its tenant; tables without a path are missing.
        scoped: source tables whose rows belong to a tenant.
        values: the column whose values are the tenants, in all tables that have it; empty if they are not.
        lead: source table -> the tables that its chosen paths lead to.
        kept: source table → type of its ids, for tables whose rows keep them.
        fallbacks: source tables with a path that only counts where no other leads to a tenant.
        member_name: the table of memberships, if it is a new one.
    """

    catalog: Catalog
    survey: Survey
    options: DraftOptions
    users: str
    root: str
    person: bool
    constant: bool = False
    values: str = ""
    out: Drafted = field(default_factory=Drafted)
    target_of: dict[str, str] = field(default_factory=dict)
    distance: dict[str, int] = field(default_factory=dict)
    scoped: set[str] = field(default_factory=set)
    lead: dict[str, set[str]] = field(default_factory=dict)
    member_name: str = ""
    fallbacks: set[str] = field(default_factory=set)
    kept: dict[str, str] = field(default_factory=dict)
    kinds: dict[str, SurveyedTable] = field(init=False)
    references: dict[str, list[FoundReference]] = field(init=False)

    def __post_init__(self) -> None:
        self.kinds = {each.name: each for each in self.survey.tables}
        self.references = {}
        for each in self.survey.references:
            self.references.setdefault(each.place.table, []).append(each)
        if self.root:
            self._find_tenants_in_keys()
        self._find_references_in_keys()

    def _find_tenants_in_keys(self) -> None:
        """Add references to the tenant that are stated by a key of several columns only: (company, order) refers to an order, whose
        company refers to the tenant."""
        tenants = {
            (table, each.columns[0]): each.parent_columns
            for table, found in self.references.items() for each in found
            if each.parent == self.root and len(each.columns) == 1 and each.place.form == "value" and each.when is None
        }  # fmt: skip
        keys = [each for found in self.references.values() for each in found if each.declared and len(each.columns) > 1]
        changed = True
        while changed:
            changed = False
            for key in keys:
                table = key.place.table
                for name, there in zip(key.columns, key.parent_columns, strict=True):
                    by = tenants.get((key.parent, there))
                    if by is None or (table, name) in tenants:
                        continue
                    tenants[table, name] = by
                    self.references[table].append(
                        FoundReference(
                            Place(table, name), self.root, by, (name,), values=1, found=1, reasons=key.reasons
                        )
                    )
                    changed = True

    def _find_references_in_keys(self) -> None:
        """Add references that are stated by a key of several columns only, beside the tenant's: (dataset, project) refers to a dataset,
        whose project refers to a project. If one column is left for the key itself, it has that meaning alone."""
        known = {
            (table, each.columns[0]): each
            for table, found in self.references.items() for each in found
            if len(each.columns) == 1 and each.place.form == "value" and each.when is None
        }  # fmt: skip
        keys = [each for found in self.references.values() for each in found if each.declared and len(each.columns) > 1]
        changed = True
        while changed:
            changed = False
            for key in keys:
                table = self.catalog.table(key.place.table)
                if table is None or sum(not self.is_tenant_column(table, name) for name in key.columns) < 2:
                    continue
                for name, there in zip(key.columns, key.parent_columns, strict=True):
                    by = known.get((key.parent, there))
                    if by is None or (table.name, name) in known:
                        continue
                    known[table.name, name] = replace(
                        by,
                        place=Place(table.name, name),
                        columns=(name,),
                        declared=False,
                        values=1,
                        found=1,
                        reasons=key.reasons,
                    )
                    self.references[table.name].append(known[table.name, name])
                    changed = True

    def ways(self, table: str) -> list[FoundReference]:
        """Return references that a path to the tenant can follow: plain columns that refer to one row of another table."""
        return [each for each in self.by_value(table) if each.parent != table]

    def by_value(self, table: str) -> list[FoundReference]:
        """Return references that a plain column holds, also to its own table. Several columns need a foreign key, which a
        manifest can follow."""
        return [
            each for each in self.references.get(table, ())
            if each.place.form == "value" and each.when is None and (each.declared or len(each.columns) == 1)
        ]  # fmt: skip

    def is_tenant_column(self, table: Table, name: str) -> bool:
        """Whether a column of a source table refers to the tenant itself, or names it by its value."""
        if self.names_tenant(table) == name:
            return True
        return any(each.parent == self.root and each.columns == (name,) for each in self.ways(table.name))

    def names_tenant(self, table: Table) -> str:
        """Return the column of a table whose value is the tenant; empty if it has none."""
        return self.values if self.values and table.column(self.values) is not None else ""

    def unqualified(self, text: str) -> str:
        """Rewrite SQL of the source to use the target's types, which have the same names."""
        catalog = self.catalog
        names = [
            *(x.name for x in catalog.enums),
            *(x.name for x in catalog.domains),
            *(x.name for x in catalog.composites),
        ]
        for name in names:
            written = ident(catalog.schema, name)
            text = re.sub(rf"(?<![\w.\"]){re.escape(written)}(?!\w)", ident(name), text)
        return text
