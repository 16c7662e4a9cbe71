-- title: No login that policies do not bind is used as a client
-- level: warning
-- why: No policy applies to the statements that an application runs over such a login.
-- fix: Let applications use a login that owns nothing, with NOBYPASSRLS; keep the other for migrations and backups.
-- uses: relations
with logins as (
    select r.oid, r.rolname::text as name, case when r.rolsuper then 'is a superuser' else 'bypasses row-level security' end as what,
           r.rolsuper,
           -- Administrators are members of roles that they created, or that they prove: that does not make them clients.
           r.oid = 10 or r.rolcreaterole and not r.rolsuper
           or r.oid in (select relowner from relations)
           or r.oid = (select datdba from pg_database where datname = current_database()) as administrator
      from pg_roles as r
     where r.rolcanlogin and (r.rolsuper or r.rolbypassrls)
       and has_database_privilege(r.oid, current_database(), 'CONNECT')
), used as (
    select l.oid, string_agg(distinct c.rolname::text, ', ' order by c.rolname::text) as roles
      from logins as l
      join pg_auth_members as m on m.member = l.oid
      join pg_roles as c on c.oid = m.roleid and c.rolname = any (%(clients)s::text[])
      join pg_roles as r on r.oid = l.oid
     where not l.administrator
       and (coalesce((to_jsonb(m) ->> 'inherit_option')::boolean, r.rolinherit)
            or coalesce((to_jsonb(m) ->> 'set_option')::boolean, true))
     group by l.oid
)
select '' as object, l.name || ' ' || l.what || coalesce(', and is member of ' || u.roles, ', and may connect') as detail,
       case when u.oid is not null then 'warning' else 'info' end as level
  from logins as l
  left join used as u on u.oid = l.oid
 where u.oid is not null or not l.rolsuper
 order by 2
