-- title: Where policies exist, they are in force
-- level: error
-- why: The policies have no effect: the table is open to every role with rights on it.
-- fix: alter table … enable row level security.
-- uses: relations
select r.object, count(*) || case count(*) when 1 then ' policy is' else ' policies are' end
       || ' without effect: row-level security is disabled' as detail
  from relations as r
  join pg_policy as p on p.polrelid = r.oid
 where not r.relrowsecurity
 group by r.object
 order by 1
