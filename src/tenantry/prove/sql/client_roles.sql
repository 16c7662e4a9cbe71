-- title: No client role is a superuser, bypasses row-level security, owns anything, or is member of another role
-- mending: alter role … nosuperuser nobypassrls; revoke the membership; give what it owns to the owner of the tables.
select r.rolname::text || ' is a superuser or bypasses row-level security' as violation
  from pg_roles as r
 where r.rolname = any (%(clients)s::text[]) and (r.rolsuper or r.rolbypassrls)
 union all
select r.rolname::text || ' is a member of ' || g.rolname
  from pg_roles as r
  join pg_auth_members as m on m.member = r.oid
  join pg_roles as g on g.oid = m.roleid
 where r.rolname = any (%(clients)s::text[])
 union all
select r.rolname::text || ' owns ' || c.oid::regclass::text
  from pg_roles as r
  join pg_class as c on c.relowner = r.oid
 where r.rolname = any (%(clients)s::text[])
