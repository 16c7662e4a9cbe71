"""Helper functions: which tenants share with the caller, and tests that applications run before they act. Pure.

Policies call `tenantry.shared()`; the others are for applications, triggers and checks. In a policy, with the row's tenant as
argument, they would run once for each row.
"""

from __future__ import annotations

import re

from tenantry.access.named_rows import seen_functions
from tenantry.manifest.model import Manifest, Share
from tenantry.mapping.project import ROW_ID, Project
from tenantry.postgres import ident, idents, literal

HELPER = "Access matrix: "
"""Prefix of the comments on functions that are made here."""


# -- shares -------------------------------------------------------------------------------------------------------------


def block_label(manifest: Manifest) -> str:
    """Return the label that qualifies variables in functions. No table that they read has this name, since its columns would win."""
    label = "context"
    while label in manifest.tables:
        label += "_"
    return label


def shared_sql(manifest: Manifest) -> str:
    """Return the function that lists the tenants that share with the caller; the definer owns it and reads the shares. Empty
    if the manifest has no share."""
    if not manifest.shares:
        return ""
    branches = "\n".join(_branch(manifest, name, share) for name, share in sorted(manifest.shares.items()))
    return f"""\
create or replace function tenantry.shared(share text) returns uuid[]
    language plpgsql stable parallel safe security definer
    set search_path = pg_catalog, pg_temp
as $$
#variable_conflict use_column
<<{block_label(manifest)}>>
declare
    readers uuid[];
begin
    case shared.share
{branches}
    else
        raise exception 'no such share: %', coalesce(quote_literal(shared.share), 'null')
            using errcode = 'invalid_parameter_value';
    end case;
end
$$;
comment on function tenantry.shared(text) is
    'The active tenants that let a tenant of the caller read, by a share that holds now. Never null.';
"""


def _branch(manifest: Manifest, name: str, share: Share) -> str:
    tenant = manifest.tenant
    column = ident(tenant.column)
    conditions = [f"{ident(share.to)} = any ({block_label(manifest)}.readers)"]
    conditions.append(f"({share.holds})")
    if tenant.active:
        schema = manifest.target.schema_name
        conditions.append(
            f"{column} in (\n                    select {ident(ROW_ID)} from {ident(schema, tenant.table)} where ({tenant.active}))"
        )
    where = "\n               and ".join(conditions)
    return f"""\
    when {literal(name)} then
        {block_label(manifest)}.readers := tenantry.tenants({literal(share.role or manifest.roles.order[0])});
        return array(
            select distinct {column}
              from {ident(manifest.target.schema_name, share.table)}
             where {where});"""


# -- tests for applications ---------------------------------------------------------------------------------------------


def access_sql(manifest: Manifest) -> str:
    """Return the functions of schema tenantry that return a boolean, or refuse; they run with the caller's rights."""
    roles = manifest.database_roles
    lowest, highest = literal(manifest.roles.order[0]), literal(manifest.roles.order[-1])
    functions = "tenantry.has_tenant_access(uuid, text), tenantry.check_tenant_access(uuid, text), tenantry.is_tenant_admin(uuid)"
    return f"""\
create or replace function tenantry.has_tenant_access(tenant uuid, at_least text default {lowest}) returns boolean
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    return coalesce(has_tenant_access.tenant = any (tenantry.tenants(has_tenant_access.at_least)), false);
end
$$;
comment on function tenantry.has_tenant_access(uuid, text) is
    'Whether the caller has at least this role in a tenant; never null. Not for policies: these compare with tenantry.tenants().';

create or replace function tenantry.check_tenant_access(tenant uuid, at_least text default {lowest}) returns void
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    if not tenantry.has_tenant_access(check_tenant_access.tenant, check_tenant_access.at_least) then
        raise exception 'you are not % in tenant %', check_tenant_access.at_least, coalesce(check_tenant_access.tenant::text, 'null')
            using errcode = 'insufficient_privilege',
                  detail = 'That needs an active membership, with this role or a higher one, of an active tenant.',
                  hint = 'Ask an administrator of the tenant for it, or choose another tenant.';
    end if;
end
$$;
comment on function tenantry.check_tenant_access(uuid, text) is
    'Refuses (insufficient_privilege) unless the caller has at least this role in a tenant.';

create or replace function tenantry.is_tenant_admin(tenant uuid) returns boolean
    language plpgsql stable parallel safe
    set search_path = pg_catalog, pg_temp
as $$
begin
    return tenantry.has_tenant_access(is_tenant_admin.tenant, {highest});
end
$$;
comment on function tenantry.is_tenant_admin(uuid) is 'Whether the caller has the highest role in a tenant; never null.';

revoke all on function {functions} from public;
grant execute on function {functions} to {idents([roles.authenticated, roles.service])};
"""


# -- the same, under the application's names ----------------------------------------------------------------------------


def words(table: str) -> tuple[str, str]:
    """Return singular and plural for names of functions, from the tenant table's name: clinics → clinic, clinics."""
    name = re.sub(r"\W+", "_", table).strip("_").lower() or "tenant"
    if re.search("[a-z]{2}ies$", name):
        one = name[:-3] + "y"
    elif re.search("(ss|x|z|ch|sh)es$", name):
        one = name[:-2]
    elif re.search("[^sui]s$", name):
        one = name[:-1]
    else:
        one = name
    if one != name:
        return one, name
    if re.search("[^aeiou]y$", name):
        return one, name[:-1] + "ies"
    return one, name + ("es" if re.search("(s|x|z|ch|sh)$", name) else "s")


def helper_signatures(project: Project) -> tuple[str, ...]:
    """Return the SQL names of the functions that helpers_sql() makes."""
    return tuple(_bodies(project))


def helpers_sql(project: Project) -> tuple[str, ...]:
    """Return the statements that make functions in the target's schema: those above under names that developers expect (for clinics
    get_user_clinics(), has_clinic_access(uuid), check_clinic_access(uuid), is_clinic_admin(uuid)), and those that policies call.
    A function with one of the first names in the target's own files is left unchanged."""
    roles = project.manifest.database_roles
    callers = idents([roles.authenticated, roles.service])
    statements = []
    for signature, (arguments, returns, body, meaning) in _bodies(project).items():
        name = signature.partition("(")[0]
        statements += [
            f"create or replace function {name}({arguments}) returns {returns}\n"
            "    language plpgsql stable parallel safe\n"
            "    set search_path = pg_catalog, pg_temp\n"
            f"as $$\nbegin\n    {body}\nend\n$$;",
            f"comment on function {signature} is\n    {literal(HELPER + meaning)};",
            f"revoke all on function {signature} from public;",
            f"grant execute on function {signature} to {callers};",
        ]
    return tuple(statements)


def _bodies(project: Project) -> dict[str, tuple[str, str, str, str]]:
    """Return signature → arguments, result, body and comment."""
    manifest = project.manifest
    schema = manifest.target.schema_name
    one, many = words(manifest.tenant.table)
    lowest = literal(manifest.roles.order[0])
    tenant = ident(f"{one}_id")
    wanted = {
        f"get_user_{many}": (
            "",
            "uuid[]",
            f"return tenantry.tenants({lowest});",
            f"the {many} of the caller; never null.",
        ),
        f"has_{one}_access": (
            f"{tenant} uuid",
            "boolean",
            f"return tenantry.has_tenant_access($1, {lowest});",
            f"whether the caller is a member of the {one}; never null.",
        ),
        f"check_{one}_access": (
            f"{tenant} uuid",
            "void",
            f"perform tenantry.check_tenant_access($1, {lowest});",
            f"refuses unless the caller is a member of the {one}.",
        ),
        f"is_{one}_admin": (
            f"{tenant} uuid",
            "boolean",
            "return tenantry.is_tenant_admin($1);",
            f"whether the caller has the highest role in the {one}; never null.",
        ),
    }
    theirs = {function.name for function in project.target.functions if not (function.comment or "").startswith(HELPER)}
    found = {
        f"{ident(schema, name)}({'uuid' if facts[0] else ''})": facts
        for name, facts in wanted.items()
        if name not in theirs
    }
    for seen in seen_functions(project):
        # Policies call these: a function of the application with such a name would be replaced, or make this fail.
        found[f"{seen.name}({seen.arguments})"] = (seen.arguments, "boolean", seen.body(), seen.meaning)
    return found
