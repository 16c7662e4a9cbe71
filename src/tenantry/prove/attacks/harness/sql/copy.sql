-- What a copy of a database needs besides its dump, so that a login like the application's has the same rights there.

-- name: database_rights
-- The rights on the original database, except CONNECT: other logins must not reach the copy.
select coalesce(r.rolname::text, '') as grantee, g.privilege_type::text as privilege
  from pg_database as d
 cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as g
  left join pg_roles as r on r.oid = g.grantee
 where d.datname = current_database() and g.privilege_type <> 'CONNECT' and g.grantee <> d.datdba

-- name: login_rights
-- GRANT statements that give another login what was granted to the application's login by name. Parameters: login, like.
select format('grant %%s on schema %%I to %%I', g.privilege_type, n.nspname, %(like)s::text)
  from pg_namespace as n cross join lateral aclexplode(n.nspacl) as g
 where g.grantee = to_regrole(quote_ident(%(login)s)) and n.nspname !~ '^pg_(toast|temp)'
 union all
select format('grant %%s on %%s %%s to %%I', g.privilege_type, case c.relkind when 'S' then 'sequence' else 'table' end, c.oid::regclass, %(like)s::text)
  from pg_class as c cross join lateral aclexplode(c.relacl) as g
 where g.grantee = to_regrole(quote_ident(%(login)s))
 union all
select format('grant %%s (%%I) on table %%s to %%I', g.privilege_type, a.attname, a.attrelid::regclass, %(like)s::text)
  from pg_attribute as a cross join lateral aclexplode(a.attacl) as g
 where g.grantee = to_regrole(quote_ident(%(login)s)) and not a.attisdropped
 union all
select format('grant execute on routine %%s to %%I', p.oid::regprocedure, %(like)s::text)
  from pg_proc as p cross join lateral aclexplode(p.proacl) as g
 where g.grantee = to_regrole(quote_ident(%(login)s))
 union all
select format('grant %%s on large object %%s to %%I', g.privilege_type, l.oid, %(like)s::text)
  from pg_largeobject_metadata as l cross join lateral aclexplode(l.lomacl) as g
 where g.grantee = to_regrole(quote_ident(%(login)s))

-- name: login_roles
-- The roles of which the application's login is a member, and whether it inherits them.
select r.rolname::text, coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, l.rolinherit) as inherits
  from pg_auth_members as m
  join pg_roles as l on l.oid = m.member
  join pg_roles as r on r.oid = m.roleid
 where l.rolname = %(login)s
 order by 1

-- name: login_settings
-- The settings of the application's login.
select unnest(s.setconfig)::text
  from pg_db_role_setting as s
 where s.setrole = to_regrole(quote_ident(%(login)s))
   and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))

-- name: login_attributes
select r.rolsuper, r.rolbypassrls, r.rolcreaterole, r.rolcreatedb, r.rolreplication from pg_roles as r where r.rolname = %(login)s

-- name: leftovers
-- Logins that an earlier proof of this database made but could not drop.
select r.rolname::text
  from pg_roles as r
 where shobj_description(r.oid, 'pg_authid') = %(mark)s
   and not exists (select from pg_stat_activity as a where a.usesysid = r.oid)
 order by 1

-- name: open_fence
-- Statements that switch the fence of the target off. Triggers of partitions follow those of their parent.
select format('alter table %%s disable trigger %%I', t.tgrelid::regclass, t.tgname)
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) and t.tgparentid = 0 and t.tgenabled <> 'D'
   and t.tgname in ('tenantry_fence', 'tenantry_fence_truncate')
