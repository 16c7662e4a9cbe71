"""The complete list of rights in schema tenantry. All other rights that the application's roles hold there are revoked. Pure.

Rights can appear unasked: with `alter default privileges … grant … to authenticated`, an owner opens every object that they make,
in every schema, and a schema's own defaults cannot revoke that. So granting the wanted rights is not enough.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from tenantry.manifest.model import Manifest
from tenantry.postgres import literal, literals

_OF_VISITORS = ("uid", "role", "email", "claims")
_IDS = ("id_of", "old_id_of", "to_id", "note_id_use")
_OF_CLIENTS = (
    *(*_OF_VISITORS, "is_super", "profile_id", "tenants", "colleagues", "shared"),
    *("has_tenant_access", "check_tenant_access", "is_tenant_admin"),
)
_OF_LOGIN = ("challenge", "open")
_OF_SERVICE = (
    *("ids_of", "old_ids_of", "uuids_among"),
    *("accept_invitations", "change_email", "forget_person", "retry_auth_events"),
)


def callers(manifest: Manifest) -> Mapping[str, tuple[str, ...]]:
    """Return role → the functions of schema tenantry that it may call."""
    roles = manifest.database_roles
    # Anonymous clients look up ids of public rows; only the target says which tables have such rows.
    return {
        roles.anon: (*_OF_VISITORS, *_IDS),
        roles.authenticated: (*_OF_CLIENTS, *_IDS, "merged_into"),
        roles.service: (*_OF_CLIENTS, *_IDS, *_OF_SERVICE),
        roles.login: _OF_LOGIN if manifest.context.sealed else (),
        roles.backup: (),
    }


def readers(manifest: Manifest) -> Mapping[str, tuple[tuple[str, str, str | None], ...]]:
    """Return role → its rights on tables of schema tenantry, as (table, right, column); column None: the whole table."""
    roles = manifest.database_roles
    latch = ("latch", "REFERENCES", "closed")
    return {
        roles.anon: (latch,),
        roles.authenticated: (latch,),
        roles.service: tuple(("merged", "SELECT", name) for name in ("mapping", "source_key", "into_key")),
        roles.login: (),
        roles.backup: (("account", "SELECT", None),),
    }


def close_sql(manifest: Manifest) -> str:
    """Return the statement that revokes, from PUBLIC and the application's roles, all rights in schema tenantry beyond the list.

    Run it after making objects there. It revokes only excess rights, so it can be run again at any time.
    """
    called = _rows((role, name, "EXECUTE", "") for role, names in callers(manifest).items() for name in names)
    read = _rows(
        (role, table, right, column or "") for role, held in readers(manifest).items() for table, right, column in held
    )
    return f"""\
do $close$
declare
    me constant text := current_user;
    acting constant text := current_setting('role');
    each record;
begin
    for each in
        with listed (role, name, privilege, on_column) as (values
            {called},
            {read}),
        held as (
            select case when c.relkind = 'S' then 'sequence ' else 'table ' end || c.oid::regclass as thing,
                   c.relname as name, c.relowner as owner, g.grantee, g.privilege_type, '' as on_column
              from pg_class as c, aclexplode(c.relacl) as g
             where c.relnamespace = 'tenantry'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
             union all
            select 'table ' || c.oid::regclass, c.relname, c.relowner, g.grantee, g.privilege_type, a.attname
              from pg_class as c join pg_attribute as a on a.attrelid = c.oid, aclexplode(a.attacl) as g
             where c.relnamespace = 'tenantry'::regnamespace
             union all
            select 'routine ' || p.oid::regprocedure, p.proname, p.proowner, g.grantee, g.privilege_type, ''
              from pg_proc as p, aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as g
             where p.pronamespace = 'tenantry'::regnamespace)
        select h.*, coalesce(quote_ident(r.rolname), 'public') as who, o.rolname as owned_by,
               -- A right that goes from a table goes from its columns too: those that are listed are given again.
               (select string_agg(quote_ident(k.on_column), ', ')
                  from listed as l join held as k on (k.name, k.privilege_type, k.on_column) = (l.name, l.privilege, l.on_column)
                 where h.on_column = '' and l.on_column <> '' and k.thing = h.thing and k.grantee = h.grantee
                   and l.role = r.rolname and l.privilege = h.privilege_type) as kept
          from held as h join pg_roles as o on o.oid = h.owner left join pg_roles as r on r.oid = h.grantee
         where (h.grantee = 0 or r.rolname in ({literals(callers(manifest))})) and h.grantee <> h.owner
           and pg_has_role(me, h.owner, 'MEMBER')
           and not exists (
               select from listed as l where l.role = r.rolname and l.name = h.name
                 and l.privilege = h.privilege_type and l.on_column = h.on_column)
    loop
        perform set_config('role', each.owned_by, true);
        execute format('revoke %s%s on %s from %s cascade', each.privilege_type,
            case when each.on_column <> '' then format(' (%I)', each.on_column) else '' end, each.thing, each.who);
        if each.kept is not null then
            execute format('grant %s (%s) on %s to %s', each.privilege_type, each.kept, each.thing, each.who);
        end if;
        perform set_config('role', acting, true);
    end loop;
end
$close$;
"""


def _rows(rows: Iterator[tuple[str, ...]]) -> str:
    return ",\n            ".join("(" + ", ".join(literal(value) for value in row) + ")" for row in rows)


__all__ = ["callers", "close_sql", "readers"]
