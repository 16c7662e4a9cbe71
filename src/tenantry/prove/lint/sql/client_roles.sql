-- title: No client role is a superuser, bypasses row-level security, owns anything, or is member of another role
-- level: error
-- why: Policies do not bind superusers, BYPASSRLS and owners; a membership adds the rights of another role.
-- fix: alter role … nosuperuser nobypassrls; revoke the membership; reassign its objects to the owner of the tables.
-- proof: yes
select '' as object, r.rolname::text || ' is a superuser or bypasses row-level security' as detail, 'error' as level
  from pg_roles as r
 where r.rolname = any (%(clients)s::text[]) and (r.rolsuper or r.rolbypassrls)
 union all
select '', r.rolname::text || ' is a member of ' || g.rolname, case when %(strict)s then 'error' else 'warning' end
  from pg_roles as r
  join pg_auth_members as m on m.member = r.oid
  join pg_roles as g on g.oid = m.roleid
 where r.rolname = any (%(clients)s::text[]) and not r.rolname = any (%(logins)s::text[])
 union all
select format('%%I.%%I', n.nspname, c.relname), r.rolname::text || ' owns it', 'error'
  from pg_roles as r
  join pg_class as c on c.relowner = r.oid
  join pg_namespace as n on n.oid = c.relnamespace
 where r.rolname = any (%(clients)s::text[]) and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
