-- title: Tables without rights for clients have row-level security too
-- level: info
-- why: No client has a right on it today. The first grant, or a default privilege, opens the rows of all tenants at once.
-- fix: alter table … enable row level security; or keep it in a schema that no client may use.
-- uses: grants
select r.object, 'row-level security is disabled, and no client has a right on it yet' as detail
  from relations as r
 where r.relkind in ('r', 'p') and not r.relrowsecurity and not r.relispartition and not %(strict)s
   and not exists (
       select from grants as g where g.oid = r.oid and g.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE'))
 order by 1
