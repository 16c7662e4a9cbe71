-- title: Tables with row-level security that clients have rights on have policies
-- level: info
-- why: No row is visible now, but missing rows tempt people to disable row-level security, or to read them in a way
--   that bypasses policies.
-- fix: Write the intended policies, or revoke the rights.
-- uses: grants
select r.object, string_agg(distinct g.privilege, ', ' order by g.privilege) || ' for ' || string_agg(distinct g.who, ', ' order by g.who)
       || ', but there is no policy' as detail
  from relations as r
  join grants as g on g.oid = r.oid and g.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
 where r.relkind in ('r', 'p') and r.relrowsecurity and not r.relispartition
   and not exists (select from pg_policy as p where p.polrelid = r.oid)
 group by r.object
 order by 1
