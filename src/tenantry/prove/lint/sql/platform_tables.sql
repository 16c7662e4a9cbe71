-- title: Clients reach no queue, no vault and no log of the platform
-- level: warning
-- why: Messages, answers of other servers and secrets of all tenants are stored there together, and no policy separates them.
-- fix: revoke all on … from …, public; or enable row-level security there, and offer functions that depend on the caller instead.
-- uses: reach
select format('%%I.%%I', n.nspname, c.relname) as object,
       h.who || ' has ' || string_agg(distinct x.privilege_type, ', ' order by x.privilege_type)
       || case when c.relkind in ('r', 'p') then ' on the table, which has no row-level security' else ' on it' end as detail
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 cross join lateral aclexplode(c.relacl) as x
  join reach as h on h.grantee = x.grantee
 where n.nspname in ('pgmq', 'vault', 'net', 'cron', 'pgsodium', 'supabase_functions')
   and not n.nspname = any (%(schemas)s::text[])
   and c.relkind in ('r', 'p', 'v', 'm', 'f') and not c.relrowsecurity
   and x.privilege_type in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
   and exists (
       select from aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner))) as u
         join reach as o on o.grantee = u.grantee
        where u.privilege_type = 'USAGE')
 group by n.nspname, c.oid, h.who
 order by 1, 2
