-- title: No login that policies do not bind is used as a client
-- level: warning
-- why: Whatever an application does over such a login, no policy looks at it.
-- mending: Let applications use a login that owns nothing, with NOBYPASSRLS; keep the other for migrations and backups.
with logins as (
    select r.oid, r.rolname::text as name, case when r.rolsuper then 'is a superuser' else 'bypasses row-level security' end as what,
           r.rolsuper
      from pg_roles as r
     where r.rolcanlogin and (r.rolsuper or r.rolbypassrls)
       and has_database_privilege(r.oid, current_database(), 'CONNECT')
)
select '' as object, l.name || ' ' || l.what || ', and is member of ' || string_agg(c.rolname, ', ' order by c.rolname) as detail,
       'warning' as level
  from logins as l
  join pg_auth_members as m on m.member = l.oid
  join pg_roles as c on c.oid = m.roleid and c.rolname = any (%(clients)s::text[])
 group by l.name, l.what
 union all
select '', l.name || ' ' || l.what || ', and may connect', 'info'
  from logins as l
 where not l.rolsuper
   and not exists (
       select from pg_auth_members as m
         join pg_roles as c on c.oid = m.roleid and c.rolname = any (%(clients)s::text[])
        where m.member = l.oid)
 order by 2
