"""The functions that return the caller, for policies, triggers and queries. Pure: a manifest in, a script out."""

from __future__ import annotations

from tenantry.access.engine_rights import close_sql
from tenantry.access.helper_functions import access_sql, block_label, shared_sql
from tenantry.access.nested_tenants import with_those_below
from tenantry.manifest.model import Manifest
from tenantry.mapping.project import ROW_ID
from tenantry.postgres import ident, literal, literals, load_sql
from tenantry.postgres.stated import STATED

_SQL = "tenantry.access.sql"

_CALLER = ("uid()", "role()", "email()")
_DEFINER = ("is_super()", "profile_id()", "tenants(text)", "colleagues(text)")
_SHARED = "shared(text)"
"""The function that exists if the manifest has shares."""


def context_sql(manifest: Manifest) -> str:
    """Return the script that makes `tenantry.account` and the context functions; it can be run again.

    Run it in one transaction, after the journal and auth.users exist; the target's tables need not exist yet. The role
    must be able to create in schema tenantry and to SET ROLE to the definer (see `roles_sql`). Functions that
    read tables of the target resolve them when they are called.
    """
    sealed = manifest.context.sealed
    return "\n".join(
        [
            load_sql(_SQL, "account"),
            load_sql(_SQL, "latch"),
            load_sql(_SQL, "seal_key") if sealed else "",
            _other_mode(manifest),
            load_sql(_SQL, "caller" if sealed else "claims"),
            _open_grants(manifest),
            _as_definer(manifest),
            _sealed(manifest) if sealed else "",
            _is_super(),
            _profile_id(manifest),
            _tenants(manifest),
            _colleagues(manifest),
            shared_sql(manifest),
            _definer_grants(manifest),
            access_sql(manifest),
            close_sql(manifest),
        ]
    )


def _clients(manifest: Manifest) -> str:
    roles = manifest.database_roles
    return f"{ident(roles.authenticated)}, {ident(roles.service)}"


def _open_grants(manifest: Manifest) -> str:
    roles = manifest.database_roles
    sealed = manifest.context.sealed
    functions = ", ".join(f"tenantry.{signature}" for signature in (_CALLER if sealed else ("claims()", *_CALLER)))
    keys = f"grant select on tenantry.seal_key to {ident(roles.definer)};\n" if sealed else ""
    login = f", {ident(roles.login)}" if sealed else ""
    return f"""\
-- Who may call what. The definer calls these from within its own functions.

grant usage on schema tenantry
    to {ident(roles.anon)}, {_clients(manifest)}, {ident(roles.definer)}, {ident(roles.backup)}{login};
grant execute on function {functions}
    to {ident(roles.anon)}, {_clients(manifest)}, {ident(roles.definer)};
grant select on tenantry.account to {ident(roles.definer)}, {ident(roles.backup)};
grant references (closed) on tenantry.latch to {ident(roles.anon)}, {ident(roles.authenticated)};
{keys}"""


def _other_mode(manifest: Manifest) -> str:
    """Return the statements that drop the functions of the other mode, for a change between sealed and unsealed claims."""
    return f"""\
do $$
begin
    if exists (
        select from pg_proc as p
         where p.oid = to_regprocedure('tenantry.claims()') and p.prosecdef <> {str(manifest.context.sealed).lower()}) then
        drop function tenantry.claims();
        drop function if exists tenantry.open(text, text);
        drop function if exists tenantry.challenge();
    end if;
end
$$;
"""


def _sealed(manifest: Manifest) -> str:
    roles, context = manifest.database_roles, manifest.context
    text = load_sql(_SQL, "sealed").format(
        lifetime=context.lifetime * 1000,
        tolerance=context.tolerance * 1000,
        read=", ".join(f"current_setting({literal(name)})" for name in STATED),
        names=literals(STATED),
        values=literals(STATED.values()),
    )
    return f"""\
{text}
grant execute on function tenantry.challenge(), tenantry.open(text, text) to {ident(roles.login)};
grant execute on function tenantry.claims() to {ident(roles.anon)};
"""


def _as_definer(manifest: Manifest) -> str:
    definer = ident(manifest.database_roles.definer)
    return f"""\
-- The functions below run as {definer}, which may read only what they need, and owns them. It makes them itself
-- (create or replace is for owners only) and may create here only until that is done.

grant create on schema tenantry to {definer};
do $$
begin
    perform set_config('tenantry.script_role', current_user, true);
end
$$;
set local role {definer};
"""


def _definer_grants(manifest: Manifest) -> str:
    definer = ident(manifest.database_roles.definer)
    signatures = (
        *_DEFINER,
        *(["claims()"] if manifest.context.sealed else []),
        *([_SHARED] if manifest.shares else []),
    )
    functions = ", ".join(f"tenantry.{signature}" for signature in signatures)
    names = literals(signature.partition("(")[0] for signature in signatures)
    mine = f"{functions}, tenantry.challenge(), tenantry.open(text, text)" if manifest.context.sealed else functions
    opens = ", and a proof opens contexts" if manifest.context.sealed else ""
    return f"""\
do $$
begin
    if (select count(*)
          from pg_proc as p
         where p.pronamespace = 'tenantry'::regnamespace and p.proname in ({names})
           and p.prosecdef and pg_get_userbyid(p.proowner) = {literal(manifest.database_roles.definer)}
       ) <> {len(signatures)} then
        raise exception 'the context functions of schema tenantry do not belong to the definer role'
            using hint = 'Run this script in one transaction, as it is.';
    end if;
end
$$;

revoke all on function {functions} from public;
grant execute on function {functions} to {_clients(manifest)};

-- Triggers call them while the owner of the tables loads rows{opens}.
do $$
begin
    execute format('grant execute on function {mine} to %I', current_setting('tenantry.script_role'));
    perform set_config('role', current_setting('tenantry.script_role'), true);
end
$$;
revoke create on schema tenantry from {definer};
"""


_LIVE = "a.deleted_at is null and a.forgotten_at is null and (a.banned_until is null or a.banned_until <= clock_timestamp())"


def _is_super() -> str:
    return f"""\
create or replace function tenantry.is_super() returns boolean
    language plpgsql stable parallel safe security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    return exists (
        select from tenantry.account as a
         where a.user_id = tenantry.uid() and a.is_super
           and {_LIVE});
end
$$;
comment on function tenantry.is_super() is
    'Whether the caller is a super admin, neither banned nor deleted; never null.';
"""


def _profile_id(manifest: Manifest) -> str:
    users = manifest.users
    if users is None:
        # Without a table of profiles the application identifies people by their accounts.
        found = f"""\
        select a.user_id
          from tenantry.account as a
         where a.user_id = tenantry.uid()
           and {_LIVE}"""
    else:
        found = f"""\
        select p.{ident(ROW_ID)}
          from {_target(manifest, users.profile)} as p
          join tenantry.account as a on a.user_id = p.{ident(users.account)}
         where a.user_id = tenantry.uid()
           and {_LIVE}"""
    return f"""\
create or replace function tenantry.profile_id() returns uuid
    language plpgsql stable parallel safe security definer
    set search_path = pg_catalog, pg_temp
as $$
begin
    return (
{found});
end
$$;
comment on function tenantry.profile_id() is
    'The caller''s profile; null without one, and for accounts that are unknown, banned or deleted.';
"""


def _target(manifest: Manifest, table: str) -> str:
    return ident(manifest.target.schema_name, table)


def _tenants(manifest: Manifest) -> str:
    tenant, membership = manifest.tenant, manifest.membership
    roles = literals(manifest.roles.order)
    column, context = ident(tenant.column), block_label(manifest)
    if manifest.users is None:
        caller, people = "a.user_id", "tenantry.account as a"
    else:
        profile = _target(manifest, manifest.users.profile)
        caller = f"p.{ident(ROW_ID)}"
        people = (
            f"tenantry.account as a\n      left join {profile} as p on p.{ident(manifest.users.account)} = a.user_id"
        )
    conditions = [
        f"{context}.caller = {ident(membership.profile)}",
        f"{ident(membership.role)}::text = any ({context}.enough)",
    ]
    if membership.active:
        conditions.append(f"({membership.active})")
    if tenant.active:
        conditions.append(
            f"{column} in (\n                select {ident(ROW_ID)} from {_target(manifest, tenant.table)}"
            f" where ({tenant.active}))"
        )
    where = "\n           and ".join(conditions)
    members_of = f"""\
        select {column}
          from {_target(manifest, membership.table)}
         where {where}"""
    below = "" if tenant.parent is None else ", and all tenants below them"
    return f"""\
create or replace function tenantry.tenants(at_least text) returns uuid[]
    language plpgsql stable parallel safe security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<{context}>>
declare
    roles  constant text[] := array[{roles}];  -- each includes the rights of the ones before it
    enough text[];
    all_of_them boolean;
    caller uuid;
begin
    if array_position({context}.roles, tenants.at_least) is null then
        raise exception 'no such role: %', coalesce(quote_literal(tenants.at_least), 'null')
            using errcode = 'invalid_parameter_value';
    end if;
    {context}.enough := {context}.roles[array_position({context}.roles, tenants.at_least) :];
    -- As is_super() and profile_id() say, with one look at the seal.
    select a.is_super, {caller} into {context}.all_of_them, {context}.caller
      from {people}
     where a.user_id = tenantry.uid()
       and {_LIVE};
    if {context}.all_of_them then
        return array(select {ident(ROW_ID)} from {_target(manifest, tenant.table)});
    end if;
    if {context}.caller is null then
        return '{{}}';
    end if;
    return array(
{with_those_below(manifest, members_of)});
end
$$;
comment on function tenantry.tenants(text) is
    'The tenants in which the caller has at least this role, by an active membership of an active tenant{below}; '
    'all of them for super admins. Never null: without a caller it is empty.';
"""


def _colleagues(manifest: Manifest) -> str:
    users, membership, context = manifest.users, manifest.membership, block_label(manifest)
    profiles = (
        "select user_id from tenantry.account"
        if users is None
        else f"select {ident(ROW_ID)} from {_target(manifest, users.profile)}"
    )
    return f"""\
create or replace function tenantry.colleagues(at_least text) returns uuid[]
    language plpgsql stable parallel safe security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<{context}>>
declare
    tenants constant uuid[] := tenantry.tenants(at_least);
begin
    if tenantry.is_super() then
        return array({profiles});
    end if;
    return array(
        select distinct {ident(membership.profile)}
          from {_target(manifest, membership.table)}
         where {ident(manifest.tenant.column)} = any ({context}.tenants));
end
$$;
comment on function tenantry.colleagues(text) is
    'The profiles of those who are, or were, members of a tenant in which the caller has at least this role; '
    'all of them for super admins. Never null.';
"""
