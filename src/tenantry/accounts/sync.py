"""Compiles, from the manifest, what keeps auth.users and profiles synchronized after the cut-over. Pure.

It consists of functions in schema tenantry and triggers that call them. The owner of the tables owns the functions: the
policies let the owner see every row. The functions update a profile to the current state of its account in auth.users,
whatever happened before, so a failed call can simply be repeated. `secure` creates the functions; the cut-over creates the
triggers, and its undo drops them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from tenantry.access import close_sql
from tenantry.access.nested_tenants import in_tenant_or_above
from tenantry.access.read_live import WantedTrigger
from tenantry.catalog import Column as CatalogColumn
from tenantry.catalog import Table
from tenantry.journal.ddl import proof_fixture_ddl
from tenantry.manifest.model import Invitations, Users
from tenantry.mapping.check_accounts import email_rule, profile_email
from tenantry.mapping.project import LEGACY_ID, ROW_ID, Project
from tenantry.mapping.transforms import transforms
from tenantry.mapping.values.texts import folded
from tenantry.postgres import ident, literal, literals, load_blocks

IN_STEP = "tenantry_in_step"
"""The trigger's name, on auth.users and on the table of profiles."""

TRIGGERS = (IN_STEP, f"{IN_STEP}_changed", f"{IN_STEP}_gone")
_WATCHED = ("id", "email", "email_confirmed_at", "deleted_at", "is_anonymous", "is_sso_user", "banned_until")
_PERSONAL = re.compile(
    r"(^|_)(name|firstname|lastname|surname|phone|mobile|address|avatar|photo|picture|birthday)(_|$)", re.I
)
_EVENTS = {"after insert": 5, "before delete": 11, "after update": 17, "before update": 19}
"""As pg_trigger.tgtype has them, for each row."""
_AFTER = "@deleted.invalid"
_FILES = ("event_queue", "follow_account", "service_calls", "leaving")


def keeps_in_step(project: Project) -> bool:
    """Whether the manifest asks for synchronization and users are migrated into profiles."""
    users = project.manifest.users
    return users is not None and users.in_step and profile_email(project.manifest, project.target) is not None


def functions_sql(project: Project) -> tuple[str, ...]:
    """Return the repeatable statements that create the queue and the functions. Nothing calls them yet. Empty if the manifest
    does not ask for synchronization."""
    if not keeps_in_step(project):
        return ()
    compiled = _Compiler(project)
    # A trigger reads this table to recognize rows of a proof; a proof creates it, too.
    return (proof_fixture_ddl(), *compiled.statements(), close_sql(project.manifest))


def drop_functions_sql(project: Project) -> tuple[str, ...]:
    """Return the statements that undo functions_sql() and drop the triggers."""
    if not keeps_in_step(project):
        return ()
    compiled = _Compiler(project)
    profiles = ident(project.target.schema, compiled.users.profile)
    return (
        f"drop trigger if exists {IN_STEP} on {profiles}",
        f"drop trigger if exists {IN_STEP} on {ident(project.target.schema, project.manifest.membership.table)}",
        # Another role owns auth.users, so its triggers are dropped with their functions.
        *(f"drop function if exists {signature} cascade" for signature in compiled.signatures()),
        "drop table if exists tenantry.account_confirmed",
        "drop table if exists tenantry.auth_event",
    )


def triggers_sql(project: Project, login: str, *, on: bool) -> tuple[str, ...]:
    """Return the statements that start or stop synchronization.

    Args:
        login: the migrator's role; what it copies needs no synchronization.
    """
    if not keeps_in_step(project):
        return ()
    users = project.manifest.users
    assert users is not None
    profiles = ident(project.target.schema, users.profile)
    service = ident(project.manifest.database_roles.service)
    compiled = _Compiler(project)
    callable_ = ", ".join(compiled.for_service())
    members = ident(project.target.schema, compiled.members.name)
    if not on:
        return (
            *_off_accounts(compiled),
            # Not dropped: that takes ACCESS EXCLUSIVE, and every open context has read these tables.
            *(_switch_off(table) for table in (profiles, members)),
            f"do $$ begin\n    if to_regprocedure('tenantry.follow_account(uuid)') is not null then\n"
            f"        revoke execute on function {callable_} from {service};\n    end if;\nend $$",
        )
    return (
        *(each.statement for each in wanted_triggers(project, login)),
        # A person with a confirmed address has already signed up: later invitations are accepted by id.
        "insert into tenantry.account_confirmed (account)"
        " select u.id from auth.users as u where u.email_confirmed_at is not null on conflict do nothing",
        f"grant execute on function {callable_} to {service}",
    )


def wanted_triggers(project: Project, login: str) -> tuple[WantedTrigger, ...]:
    """Return the triggers that call these functions from the cut-over on; empty if the manifest does not ask for them."""
    if not keeps_in_step(project):
        return ()
    compiled = _Compiler(project)
    users = compiled.users
    profiles, members = (ident(project.target.schema, name) for name in (users.profile, compiled.members.name))
    email, account = ident(_email(project).name), ident(users.account)
    before, after = (", ".join(f"{row}.{name}" for name in _WATCHED) for row in ("old", "new"))
    changed = f" when (({before})\n               is distinct from ({after}))\n    execute"
    renamed = f" when (old.{email} is distinct from new.{email} and new.{account} is not null and session_user <> {literal(login)})"
    found = [
        ("auth.users", IN_STEP, "account_in_step", "after insert", " execute"),
        ("auth.users", f"{IN_STEP}_changed", "account_in_step", "after update", changed),
        ("auth.users", f"{IN_STEP}_gone", "account_gone", "before delete", " execute"),
        (profiles, IN_STEP, "profile_email_in_step", "after update", f"{renamed}\n    execute"),
    ]
    if compiled.says_when_ended:
        found.append((members, IN_STEP, "membership_in_step", "before update", " execute"))
    made_with = functions_sql(project)
    return tuple(
        WantedTrigger(
            table,
            name,
            function,
            _EVENTS[event],
            f"create or replace trigger {name} {event} on {table}\n    for each row{how} function tenantry.{function}()",
            made_with,
        )
        for table, name, function, event, how in found
    )


def _stored(rule: str | None, address: str) -> str:
    """Return an address as the transform of its column stores it; unchanged without a transform."""
    return (transforms()[rule].normal(address) if rule is not None else None) or address


def _switch_off(table: str) -> str:
    """Return the statement that disables the trigger of a target table without dropping it: SHARE ROW EXCLUSIVE is enough."""
    return (
        "do $$ begin\n"
        f"    if exists (select from pg_trigger where tgrelid = to_regclass({literal(table)}) and tgname = {literal(IN_STEP)}) then\n"
        f"        alter table {table} disable trigger {IN_STEP};\n    end if;\nend $$"
    )


def _off_accounts(compiler: _Compiler) -> Iterator[str]:
    """Return the statements that remove the triggers of auth.users. A role that may create them need not own the table, and
    so may not drop them: they are dropped with their functions, which are created again for the next cutover."""
    yield (
        "drop function if exists tenantry.account_in_step() cascade;"
        " drop function if exists tenantry.account_gone() cascade"
    )
    made = [compiler.fill(name) for name in ("on_account", "on_account_gone")]
    yield "\n".join(made)


def _email(project: Project) -> CatalogColumn:
    found = profile_email(project.manifest, project.target)
    assert found is not None
    return found


class _Compiler:
    """Fills the templates of the .sql files in `_FILES`."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self.manifest = project.manifest
        users = project.manifest.users
        assert users is not None
        self.users: Users = users
        self.invitations: Invitations | None = project.manifest.invitations
        self.blocks = {
            name: text for file in _FILES for name, text in load_blocks("tenantry.accounts.sql", file).items()
        }
        self.profiles = self._table(users.profile)
        self.members = self._table(project.manifest.membership.table)
        self.email = _email(project)
        self.values = {**self._of_people(), **self._of_members(), **self._of_invitations()}
        self.says_when_ended = (
            self.invitations is not None
            and self.manifest.membership.active is not None
            and "null" not in self.values["m_changed"]
        )

    def statements(self) -> Iterator[str]:
        for name in (
            "guard", "events", "note", "bound_waits", "settled", "owns", "end_memberships", "end_earlier", "end_person",
            *(("accept",) if self.invitations is not None else ()), "follow", "sign_out", "set_account_email",
            "on_account", "on_account_gone", "on_profile_email", *(("on_membership",) if self.says_when_ended else ()),
            *(("accept_invitations",) if self.invitations is not None else ()), "change_email", "forget_rest", "forget",
            "try", "retry",
        ):  # fmt: skip
            yield self.fill(name)

    def signatures(self) -> tuple[str, ...]:
        """Return the functions; a function comes before those that depend on it."""
        made = [
            match
            for name in self.blocks
            for match in re.findall(
                r"^revoke all on function (tenantry\.\w+\([^)]*\))", self.blocks[name], re.MULTILINE
            )
        ]
        return tuple(reversed(made))

    def for_service(self) -> tuple[str, ...]:
        """Return the functions that the application's service calls."""
        accept = ("tenantry.accept_invitations(uuid, text)",) if self.invitations is not None else ()
        return (
            *accept,
            "tenantry.change_email(uuid, text, boolean)",
            "tenantry.forget_person(uuid, boolean)",
            "tenantry.retry_auth_events(integer, boolean)",
        )

    def fill(self, name: str, **more: str) -> str:
        return self.blocks[name].format(**{**self.values, **more}).rstrip()

    def _table(self, name: str) -> Table:
        found = self.project.target.table(name)
        assert found is not None
        return found

    # -- values for the templates ------------------------------------------------------------------------------------

    def _of_people(self) -> Mapping[str, str]:
        users, email, profiles = self.users, self.email, self.profiles
        rule = email_rule(self.manifest, email.name)
        gone = None if users.gone is None else ident(users.gone)
        column = ident(email.name)
        new = [(name, expression) for name, expression in users.new.items() if profiles.column(name) is not None]
        types = {each.name: each.type for each in profiles.columns}
        columns = [ident(ROW_ID), LEGACY_ID, ident(users.account), column, *(ident(name) for name, _ in new)]
        values = ["here.made", "here.made::text", "u.id", f"here.stored::{email.type}"]
        values += [f"({expression})::{types[name]}" for name, expression in new]
        account = ident(users.account)
        in_normal_form = _stored(rule, "address") == folded("address")
        return {
            "profiles": ident(self.project.target.schema, users.profile),
            "p_account": account,
            "p_email": column,
            "p_folded": folded(f"p.{column}::text"),
            "p_email_same": f"p.{column} = here.stored" if in_normal_form else f"{folded(f'p.{column}::text')} = here.address",
            "p_columns": ", ".join(columns),
            "p_values": ",\n                           ".join(values),
            "u_folded": folded("u.email::text"),
            "u_stored": _stored(rule, "u.email::text"),
            "new_folded": folded(f"new.{column}::text"),
            "address_folded": folded("change_email.address"),
            "address_stored": _stored(rule, "change_email.address"),
            "u_trusted": "u.email_confirmed_at is not null and not u.is_anonymous and not u.is_sso_user"
            + ("" if users.if_banned == "link" else " and (u.banned_until is null or u.banned_until <= now())"),
            "is_gone": "false" if gone is None else f"(p.{gone} is not null)",
            "not_gone": "" if gone is None else f", {gone} = null",
            "mark_gone": _indented(_indented(
                f"update {{profiles}} as p set {account} = null where p.id = end_person.person and end_person.unlinked;"
                if gone is None
                else f"update {{profiles}} as p\n   set {gone} = coalesce(p.{gone}, end_person.since),\n"
                f"       {account} = case when end_person.unlinked then null else p.{account} end\n"
                " where p.id = end_person.person;"
            )).replace("{profiles}", ident(self.project.target.schema, users.profile)),
            "mark_forgotten": _indented(_indented(
                f"update {{profiles}} as p set {account} = case when forget_person.hard then null else p.{account} end"
                + ("" if gone is None else f",\n       {gone} = coalesce(p.{gone}, now())")
                + "\n where p.id = here.person.id"
                + (" and forget_person.hard;" if gone is None else ";")
            )).replace("{profiles}", ident(self.project.target.schema, users.profile)),
            "back_again": ""
            if gone is None
            else "\n" + self.blocks["back_again"].format(profiles=ident(self.project.target.schema, users.profile), gone=gone),
            "overwrite": self._overwrite(),
        }  # fmt: skip

    def _overwrite(self) -> str:
        schema = self.project.target.schema
        personal = ", ".join(f"{ident(name)} = {value}" for name, value in self._personal())
        text = self.blocks["overwrite_profile"].format(profiles=ident(schema, self.users.profile), personal=personal)
        invitations = self.invitations
        if invitations is not None:
            by = "" if invitations.by is None else f" or i.{ident(invitations.by)} = forget_rest.person"
            text += "\n" + self.blocks["overwrite_invitations"].format(
                invitations=ident(schema, invitations.table),
                i_email=folded(f"i.{ident(invitations.email)}::text"),
                i_email_column=ident(invitations.email),
                i_by_person=by,
            )
        return "        " + text.strip()

    def _personal(self) -> Iterator[tuple[str, str]]:
        """Yield the columns that identify a person, each with the value that replaces it when the person is forgotten."""
        yield self.email.name, f"'deleted-' || p.id || '{_AFTER}'"
        kept = {ROW_ID, LEGACY_ID, self.users.account, self.users.gone, self.email.name}
        for column in self.profiles.columns:
            if column.name in kept or column.generated is not None or column.identity is not None:
                continue
            if column.name not in self.users.new and not _PERSONAL.search(column.name):
                continue
            if column.nullable:
                yield column.name, "null"
            elif column.default is not None:
                yield column.name, "default"
            elif column.type in ("text", "citext") or column.type.startswith("character varying"):
                yield column.name, "'deleted-' || p.id"

    def _of_members(self) -> Mapping[str, str]:
        membership = self.manifest.membership
        name = ident(self.project.target.schema, membership.table)
        active = membership.active or "true"
        role = self._type(self.members, membership.role)
        columns = [ident(self.manifest.tenant.column), ident(membership.profile), ident(membership.role)]
        values = ["invited.tenant", "accept_open.person", f"invited.role::{role}"]
        row_id, legacy = self.members.column(ROW_ID), self.members.column(LEGACY_ID)
        if row_id is not None and row_id.type == "uuid" and row_id.generated is None:
            columns.append(ident(ROW_ID))
            values.append("here.made")
            if legacy is not None and legacy.generated is None:
                columns.append(LEGACY_ID)
                values.append("here.made::text")
        key = self.members.row_key or ()
        ends = membership.end
        free = "".join(
            f"\n       and not exists (select from {ident(table.schema, table.name)} as c where "
            + " and ".join(f"c.{ident(a)} = m.{ident(b)}" for a, b in zip(fk.columns, fk.ref_columns, strict=True))
            + ")"
            for table, fk in self.project.target.references_to(membership.table)
            if not fk.inherited
        )
        still = f"({membership.active})" if membership.active else (
            "(" + ", ".join(ident(column) for column in ends) + ") is distinct from (" + ", ".join(ends.values()) + ")"
        )  # fmt: skip
        filled = {
            "membership": name,
            "m_profile": ident(membership.profile),
            "free": free,
            "ends": ", ".join(f"{ident(column)} = {expression}" for column, expression in ends.items()),
            "still": still,
            "lasting": still if ends else "true",
        }
        block = "end_by_update" if ends else "end_by_delete"
        return {
            **filled,
            "end_memberships": "    " + self.blocks[block].format(**filled).strip(),
            "tenant": ident(self.manifest.tenant.column),
            "active": active,
            "m_role": ident(membership.role),
            "role_value": f"invited.role::{role}",
            "m_columns": ", ".join(columns),
            "m_values": ", ".join(values),
            "m_key": ", ".join(f"m.{ident(each)} as k{n}" for n, each in enumerate(key)) or "m.ctid as k0",
            "m_same": " and ".join(f"m.{ident(each)} = member.k{n}" for n, each in enumerate(key))
            or "m.ctid = member.k0",
            "m_changed": _time(self.members, "updated_at", "m"),
            "back": "".join(f"{ident(column)} = default, " for column in ends if column != membership.role),
            "roles": literals(self.manifest.roles.order),
        }

    def _of_invitations(self) -> Mapping[str, str]:
        invitations = self.invitations
        if invitations is None:
            return {"accept_trusted": "", "accept_again": "", "close_invitations": "", "reinstate": ""}
        table = self._table(invitations.table)
        key = table.row_key or ()
        members = self._of_members()
        made, changed = _time(table, "created_at", "i"), members["m_changed"]
        newer = "invited.made >= member.changed" if "null" not in made + changed else "false"
        name = ident(self.project.target.schema, invitations.table)
        email = folded(f"i.{ident(invitations.email)}::text")
        number = ident(ROW_ID if ROW_ID in key else key[-1])
        filled = {"invitations": name, "i_email": email, "open": invitations.open}
        wanted = [
            f"{email} = accept_open.address and ({invitations.open})",
            f"(accept_open.invitation is null or i.{number}::text = accept_open.invitation)",
            f"({made} <= accept_open.before) is not false",
            *self._still_meant(invitations),
        ]
        return {
            "accept_trusted": "\n" + self.blocks["accept_trusted"],
            "accept_again": "        " + self.blocks["accept_again"].format(u_trusted=self._of_people()["u_trusted"]),
            "close_invitations": "    " + self.blocks["close_invitations"].format(**filled),
            "i_wanted": "\n               and ".join(wanted),
            "invitations": name,
            "open": invitations.open,
            "i_email": email,
            "i_role": ident(invitations.role),
            "i_accepted": ident(invitations.accepted),
            "i_by": "" if invitations.by is None else f", {ident(invitations.by)} = accept_open.person",
            "i_key": ", ".join(f"i.{ident(each)} as k{n}" for n, each in enumerate(key)),
            "i_order": ", ".join(f"i.{ident(each)}" for each in key),
            "i_same": " and ".join(f"i.{ident(each)} = invited.k{n}" for n, each in enumerate(key)),
            "i_made": made,
            "count_accepted": f"(select count(*) from {name} as i where {email} = here.someone.address"
            f" and i.{ident(invitations.accepted)} = now() and i.{number}::text = accept_invitations.invitation)",
            "reinstate": "                        " + self.blocks["reinstate"].format(**members, newer=newer).strip(),
        }

    def _still_meant(self, invitations: Invitations) -> Iterator[str]:
        """Return a condition: the tenant of an invitation is active, and the person who made it may still invite."""
        schema, tenant, membership = self.project.target.schema, self.manifest.tenant, self.manifest.membership
        if tenant.active:
            yield (
                f"exists (select from {ident(schema, tenant.table)} as g where g.id = i.{ident(tenant.column)} and ({tenant.active}))"
            )
        if invitations.inviter is None:
            return
        inviter = f"i.{ident(invitations.inviter)}"
        gone = "" if self.users.gone is None else f" and p.{ident(self.users.gone)} is null"
        role = f"array_position(here.roles, m.{ident(membership.role)}::text)"
        there = in_tenant_or_above(self.project.manifest, f"m.{ident(tenant.column)}", f"i.{ident(tenant.column)}")
        yield (
            f"({inviter} is null or exists (\n"
            f"                   select from {ident(schema, self.users.profile)} as p\n"
            f"                    where p.id = {inviter}{gone} and (\n"
            f"                        exists (select from tenantry.account as a where a.user_id = p.{ident(self.users.account)}\n"
            "                                   and a.is_super and a.deleted_at is null and a.forgotten_at is null)\n"
            f"                        or exists (select from {ident(schema, membership.table)} as m\n"
            f"                                    where {there}\n"
            f"                                      and m.{ident(membership.profile)} = p.id\n"
            f"                                      and ({membership.active or 'true'})\n"
            f"                                      and {role} >= array_position(here.roles, i.{ident(invitations.role)}::text)))))"
        )

    def _type(self, table: Table, name: str) -> str:
        column = table.column(name)
        assert column is not None
        return column.type


def _time(table: Table, name: str, alias: str) -> str:
    column = table.column(name)
    return (
        f"{alias}.{name}" if column is not None and column.type == "timestamp with time zone" else "null::timestamptz"
    )


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.splitlines())


__all__ = [
    "IN_STEP",
    "TRIGGERS",
    "drop_functions_sql",
    "functions_sql",
    "keeps_in_step",
    "triggers_sql",
    "wanted_triggers",
]
