-- name: roles
-- Roles of the cluster that matter in this database, with all roles that they are or can become, and those that
-- they reach without passing through a superuser, an owner, or a role that bypasses policies.
with recursive here as (
    select d.refobjid as role,
           -- Owning only functions is not owning data; a role that may only connect has no rights on data.
           case when d.deptype = 'o' and d.classid not in ('pg_class'::regclass, 'pg_namespace'::regclass, 'pg_database'::regclass)
                  or d.deptype = 'a' and d.classid = 'pg_database'::regclass
                then 'p' else d.deptype end as deptype
      from pg_shdepend as d
      join pg_database as b on b.datname = current_database()
     where d.refclassid = 'pg_authid'::regclass
       and (d.dbid = b.oid or (d.classid = 'pg_database'::regclass and d.objid = b.oid))
), granted as (
    select role from here where deptype in ('a', 'r')
), powerful as (
    select r.oid as role from pg_roles as r where r.rolsuper or r.rolbypassrls
     union
    select role from here where deptype = 'o'
), sign_in as (
    -- Logins of the sign-in server: they have rights on its own tables and on schema auth, none elsewhere, and are no other role.
    select g.grantee as role
      from pg_class as c cross join lateral aclexplode(c.relacl) as g
     where c.oid = to_regclass('tenantry_auth.rate_limits') and g.privilege_type = 'DELETE' and g.grantee <> c.relowner
    except
    select d.refobjid
      from pg_shdepend as d
      join pg_database as b on b.datname = current_database() and b.oid = d.dbid
      left join pg_policy as y on d.classid = 'pg_policy'::regclass and y.oid = d.objid
      left join pg_class as c on c.oid = case d.classid when 'pg_class'::regclass then d.objid else y.polrelid end
      left join pg_proc as f on d.classid = 'pg_proc'::regclass and f.oid = d.objid
      left join pg_namespace as n on d.classid = 'pg_namespace'::regclass and n.oid = d.objid
     where d.refclassid = 'pg_authid'::regclass
       and coalesce(c.relnamespace, f.pronamespace, n.oid, 0) not in (
           coalesce(to_regnamespace('auth')::oid, 0), coalesce(to_regnamespace('tenantry_auth')::oid, 0))
    except
    select member from pg_auth_members
), becomes as (
    select r.oid as member, r.oid as role, true as plainly from pg_roles as r
     union
    select b.member, m.roleid, b.plainly and (b.member = b.role or b.role not in (select role from powerful))
      from becomes as b
      join pg_auth_members as m on m.member = b.role
      join pg_roles as r on r.oid = m.member
     -- A role that may only grant another role, e.g. as its creator from PostgreSQL 16 on, is not that role.
     where coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit)
        or coalesce((to_jsonb(m) ->> 'set_option')::boolean, true)
)
select r.rolname::text,
       r.rolcanlogin and has_database_privilege(r.oid, current_database(), 'CONNECT'),
       r.rolsuper, r.rolbypassrls,
       exists (select from here as h where h.role = r.oid and h.deptype = 'o'),
       array(select distinct o.rolname::text from becomes as b join pg_roles as o on o.oid = b.role
              where b.member = r.oid and b.role <> r.oid order by 1),
       array(select distinct o.rolname::text from becomes as b join pg_roles as o on o.oid = b.role
              where b.member = r.oid and b.role <> r.oid and b.plainly order by 1),
       exists (select from becomes as b join granted as g on g.role = b.role where b.member = r.oid and b.plainly),
       r.oid in (select role from sign_in)
  from pg_roles as r
 where r.rolname !~ '^pg_'
 order by 1

-- name: schemas
-- Schemas, `public` first; whether one of the roles, or PUBLIC, may use them; whether they contain tables or functions; and
-- whether one of these roles has a right on one.
select n.nspname::text,
       exists (
           select from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as g
             left join pg_roles as r on r.oid = g.grantee
            where g.privilege_type = 'USAGE' and (g.grantee = 0 or r.rolname = any (%(roles)s::text[]))),
       exists (select from pg_class as c where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f'))
       or exists (
           select from pg_proc as p
            where p.pronamespace = n.oid and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
              and not exists (
                  select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')),
       exists (
           select from pg_class as c
            cross join lateral aclexplode(c.relacl) as g
             left join pg_roles as r on r.oid = g.grantee
            where c.relnamespace = n.oid and c.relkind in ('r', 'p', 'v', 'm', 'f')
              and (g.grantee = 0 or r.rolname = any (%(roles)s::text[])))
       or exists (
           select from pg_class as c
             join pg_attribute as a on a.attrelid = c.oid
            cross join lateral aclexplode(a.attacl) as g
             left join pg_roles as r on r.oid = g.grantee
            where c.relnamespace = n.oid and a.attacl is not null
              and (g.grantee = 0 or r.rolname = any (%(roles)s::text[])))
       or exists (
           select from pg_class as c join pg_policy as p on p.polrelid = c.oid where c.relnamespace = n.oid)
       or exists (
           select from pg_proc as p
            cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as g
             left join pg_roles as r on r.oid = g.grantee
            where p.pronamespace = n.oid and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
              and (g.grantee = 0 or r.rolname = any (%(roles)s::text[]))
              and not exists (
                  select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e'))
  from pg_namespace as n
 where n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (
       select from pg_depend as d where d.classid = 'pg_namespace'::regclass and d.objid = n.oid and d.deptype = 'e')
 order by n.nspname <> 'public', 1

-- name: columns
-- Columns that may hold the tenant: what they reference alone, how many policies use them, and whether their table
-- has policies with conditions.
select n.nspname::text as schema_name, c.relname::text as table_name, c.oid::int8, a.attname::text as column_name, a.attnum::int,
       fn.nspname::text, f.relname::text, f.oid::int8,
       (select count(*) from pg_policy as p
         where p.polrelid = c.oid
           and exists (
               select from pg_depend as d
                where d.classid = 'pg_policy'::regclass and d.objid = p.oid
                  and d.refobjid = c.oid and d.refobjsubid = a.attnum))::int,
       exists (
           select from pg_policy as p
            where p.polrelid = c.oid and coalesce(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)) <> 'true')
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  left join lateral (
       select k.confrelid from pg_constraint as k
        where k.conrelid = c.oid and k.contype = 'f' and k.conkey = array[a.attnum] and k.conparentid = 0
        order by k.oid limit 1) as k on true
  left join pg_class as f on f.oid = k.confrelid
  left join pg_namespace as fn on fn.oid = f.relnamespace
 where n.nspname = any (%(schemas)s::text[]) and c.relkind in ('r', 'p')
   and (a.attname ~* '(^|_)(id|uuid|key)$' or a.attname ~ 'Id$' or k.confrelid is not null)
 order by 1, 2, a.attnum

-- name: members
-- Columns of tables that may hold memberships, including keys, and policies of other tables that use them.
select c.oid::int8, n.nspname::text, c.relname::text, a.attname::text, a.attnum::int, t.typcategory::text,
       f.relname::text,
       exists (
           select from pg_index as i
            where i.indrelid = c.oid and i.indisunique and a.attnum = any (i.indkey::int2[]) and i.indnkeyatts > 1),
       (select count(distinct d.objid) from pg_depend as d
          join pg_policy as p on p.oid = d.objid
         where d.classid = 'pg_policy'::regclass and d.refclassid = 'pg_class'::regclass
           and d.refobjid = c.oid and p.polrelid <> c.oid)::int
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
  join pg_type as t on t.oid = a.atttypid
  left join pg_constraint as k on k.conrelid = c.oid and k.contype = 'f' and k.conkey = array[a.attnum]
  left join pg_class as f on f.oid = k.confrelid
 where c.oid = any (%(tables)s::oid[])
 order by 1, a.attnum

-- name: resolve
-- The tenant column of each table, by name.
select c.oid::int8, a.attnum::int
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
  join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
 where n.nspname = any (%(schemas)s::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f') and a.attname = %(column)s

-- name: place
-- A column, or a table's only key column, by names.
select c.oid::int8,
       coalesce((select a.attnum from pg_attribute as a
                  where a.attrelid = c.oid and a.attname = %(column)s and not a.attisdropped),
                (select i.indkey[0] from pg_index as i where i.indrelid = c.oid and i.indisprimary and i.indnkeyatts = 1),
                0)::int
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 where n.nspname = %(schema)s and c.relname = %(table)s
