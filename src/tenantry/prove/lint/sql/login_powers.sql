-- title: The application's login has no power of its own
-- level: error
-- why: Every statement of the application, including injected SQL, can use these powers.
-- fix: Remove the attributes and memberships, and reassign what the login owns to the owner of the tables; or let the
--   application use another login.
-- needs: login
-- proof: yes
select 'it is a superuser' as violation from pg_roles where rolname = %(login)s and rolsuper
 union all
select 'it bypasses row-level security' from pg_roles where rolname = %(login)s and rolbypassrls
 union all
select 'it may make roles' from pg_roles where rolname = %(login)s and rolcreaterole
 union all
select 'it may replicate' from pg_roles where rolname = %(login)s and rolreplication
 union all
select 'it inherits the rights of ' || r.rolname
  from pg_auth_members as m
  join pg_roles as l on l.oid = m.member
  join pg_roles as r on r.oid = m.roleid
 where l.rolname = %(login)s
   and coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, l.rolinherit)
 union all
select 'it owns ' || count(*)::text || ' objects in this database or shared by all'
  from pg_shdepend as d
 where d.refclassid = 'pg_authid'::regclass and d.deptype = 'o'
   and d.refobjid = (select oid from pg_roles where rolname = %(login)s)
   and d.dbid in (0, (select oid from pg_database where datname = current_database()))
having count(*) > 0
 union all
select 'it can become ' || r.rolname
  from pg_roles as r
 where r.rolname <> %(login)s and r.rolname <> all (%(clients)s::text[])
   and pg_has_role(%(login)s, r.oid, 'MEMBER')
   and not (select rolsuper from pg_roles where rolname = %(login)s)
