-- title: Row-level security binds the owner of every table, if a login can act as the owner
-- level: error
-- why: Policies do not bind the owner: an application that logs in as the owner, or a function that runs as it, sees everything.
-- fix: alter table … force row level security, with an explicit policy for the owner's role.
-- uses: relations
-- proof: yes
with owners as (
    -- Owners that can log in, or that have a login as a member; FORCE does not bind roles that bypass row-level security.
    select o.oid, o.rolname::text as name,
           (select string_agg(l.rolname, ', ' order by l.rolname)
              from pg_roles as l
             where l.rolcanlogin and not l.rolsuper
               and (l.oid = o.oid or exists (
                   select from pg_auth_members as m where m.member = l.oid and m.roleid = o.oid))
               and has_database_privilege(l.oid, current_database(), 'CONNECT')) as logins
      from pg_roles as o
     where not o.rolsuper and not o.rolbypassrls and o.oid in (select relowner from relations)
)
select r.object, 'row-level security is not forced'
       || coalesce(', and ' || o.logins || case when o.logins = o.name then ' owns the table' else ' can act as its owner' end, '')
       as detail,
       case when %(strict)s then 'error' else 'warning' end as level
  from relations as r
  left join owners as o on o.oid = r.relowner
 where r.relkind in ('r', 'p') and not r.relforcerowsecurity
   and (%(strict)s or (r.relrowsecurity and o.logins is not null))
 order by 1
