-- Facts about the access to a database that the catalog of a schema does not contain.

-- name: default_privileges
-- Default rights on later objects, by creator, schema (null: all), kind and grantee; one row without a grantee for a kind
-- without default rights.
select
    pg_get_userbyid(d.defaclrole)::text as role,
    n.nspname::text as schema,
    case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'T' then 'types'
        else 'schemas' end as kind,
    case g.grantee when 0 then 'PUBLIC' else pg_get_userbyid(g.grantee)::text end as grantee,
    g.privilege_type as privilege
from pg_default_acl d
left join pg_namespace n on n.oid = d.defaclnamespace
left join aclexplode(d.defaclacl) g on true
where d.defaclnamespace = 0 or n.nspname = %(schema)s
order by 1, 2 nulls first, 3, 4, 5;

-- name: mirrors
-- The triggers that copy bans, deletions and the super flag from auth.users into tenantry.account, and their state: as
-- expected (rows: after insert, update and delete; statements: after truncate), replaced by others of the same name, or disabled.
select t.tgname::text as name,
    case
        when t.tgfoid is distinct from to_regprocedure('tenantry.mirror_account()') or t.tgtype not in (29, 32) or t.tgqual is not null
            or t.tgattr <> '' then 'another trigger'
        when t.tgenabled in ('A', 'O') then 'enabled'
        else 'disabled'
    end as state
from pg_trigger t
where t.tgrelid = to_regclass('auth.users') and t.tgname = any (%(names)s)
order by 1;

-- name: triggers
-- The state of each wanted trigger, in the order given: 'none' if its table has no trigger of that name.
select case
        when t.oid is null then 'none'
        when t.tgfoid is distinct from to_regprocedure(w.function) or t.tgtype <> w.events or t.tgattr <> '' then 'another trigger'
        when t.tgenabled in ('A', 'O') then 'enabled'
        else 'disabled'
    end as state
from unnest(%(tables)s::text[], %(names)s::text[], %(functions)s::text[], %(events)s::int[])
    with ordinality as w (relation, name, function, events, position)
left join pg_trigger t on t.tgrelid = to_regclass(w.relation) and t.tgname = w.name and not t.tgisinternal
order by w.position;

-- name: superusers
select rolname::text as name from pg_roles where rolsuper order by 1;

-- name: conditions
-- The policies of this session's temporary tables, with their conditions normalized by PostgreSQL.
select
    c.relname::text as relation,
    p.polname::text as name,
    pg_get_expr(p.polqual, p.polrelid) as using,
    pg_get_expr(p.polwithcheck, p.polrelid) as check
from pg_policy p
join pg_class c on c.oid = p.polrelid
where c.relnamespace = pg_my_temp_schema();

-- name: holders
-- Sessions that use tables of a schema, the longest first: any use blocks a change of policies.
select distinct a.pid, a.application_name, coalesce(a.state, 'busy'),
       coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::float8
from pg_locks l
join pg_class c on c.oid = l.relation
join pg_namespace n on n.oid = c.relnamespace
join pg_stat_activity a on a.pid = l.pid
where l.granted and l.pid <> pg_backend_pid()
    and (n.nspname = %(schema)s and c.relname = any (%(tables)s) or c.oid = to_regclass('auth.users'))
order by 4 desc
limit 5;

-- name: left
-- The rights that client roles have in effect on tables that are left in the source's schema, on columns too. Reading counts
-- only with the right on the schema.
select c.relname::text, r.rolname::text,
    array(
        select p.name
        from unnest(array['SELECT', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE', 'REFERENCES', 'TRIGGER']) p (name)
        where has_schema_privilege(r.oid, n.oid, 'USAGE')
            and (has_table_privilege(r.oid, c.oid, p.name)
                or p.name in ('INSERT', 'UPDATE', 'REFERENCES') and has_any_column_privilege(r.oid, c.oid, p.name)))
from pg_class c
join pg_namespace n on n.oid = c.relnamespace
cross join pg_roles r
where n.nspname = %(schema)s and c.relname = any (%(tables)s) and c.relkind in ('r', 'p') and r.rolname = any (%(roles)s)
order by 1, 2;
