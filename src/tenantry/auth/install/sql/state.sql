-- What a database has of the sign-in server. Only reads.

-- name: functions
-- The server's functions, as GRANT names them.
select p.oid::regprocedure::text
  from pg_proc as p join pg_namespace as n on n.oid = p.pronamespace
 where n.nspname = 'tenantry_auth'
 order by 1

-- name: rights
-- Privileges of a role by its own name: kind, object, privilege, and the column where it is for one.
with login as (select to_regrole(quote_ident(%(login)s))::oid as oid),
     given (kind, name, acl, col) as (
    select 'schema', quote_ident(nspname), nspacl, '' from pg_namespace
    union all
    select case relkind when 'S' then 'sequence' else 'table' end, format('%%I.%%I', n.nspname, c.relname), relacl, ''
      from pg_class as c join pg_namespace as n on n.oid = c.relnamespace
    union all
    select 'table', format('%%I.%%I', n.nspname, c.relname), a.attacl, a.attname
      from pg_attribute as a join pg_class as c on c.oid = a.attrelid join pg_namespace as n on n.oid = c.relnamespace
     where a.attacl is not null and not a.attisdropped
    union all
    select 'function', oid::regprocedure::text, proacl, '' from pg_proc
)
select g.kind, g.name, lower(e.privilege_type), g.col::text
  from given as g cross join login cross join aclexplode(g.acl) as e
 where e.grantee = login.oid
 order by 1, 2, 3, 4

-- name: policies
-- Tables with the policy of the login.
select format('%%I.%%I', n.nspname, c.relname)
  from pg_policy as p join pg_class as c on c.oid = p.polrelid join pg_namespace as n on n.oid = c.relnamespace
 where p.polname = %(login)s and p.polroles = array[to_regrole(quote_ident(%(login)s))::oid]

-- name: login
-- The role, and what it must not be.
select r.rolcanlogin, array_remove(array[
           case when r.rolsuper then 'it is a superuser' end,
           case when r.rolbypassrls then 'it has BYPASSRLS' end,
           case when r.rolcreaterole then 'it has CREATEROLE' end,
           case when r.rolcreatedb then 'it has CREATEDB' end,
           case when r.rolreplication then 'it has REPLICATION' end,
           (select 'it is a member of ' || string_agg(quote_ident(g.rolname), ', ' order by g.rolname)
              from pg_auth_members as m join pg_roles as g on g.oid = m.roleid where m.member = r.oid),
           (select 'it owns ' || string_agg(distinct d.kind, ', ' order by d.kind)
              from (select case when s.classid = 'pg_class'::regclass then 'tables' when s.classid = 'pg_namespace'::regclass then 'schemas'
                                when s.classid = 'pg_database'::regclass then 'databases' when s.classid = 'pg_proc'::regclass then 'functions'
                                else 'objects' end as kind
                      from pg_shdepend as s where s.refclassid = 'pg_authid'::regclass and s.refobjid = r.oid and s.deptype = 'o') as d)
       ], null)
  from pg_roles as r where r.rolname = %(login)s

-- name: server
select to_regclass('tenantry_auth.rate_limits') is not null, has_database_privilege(current_database(), 'CREATE'),
       (select rolcreaterole or rolsuper from pg_roles where rolname = current_user), current_database(), current_user
