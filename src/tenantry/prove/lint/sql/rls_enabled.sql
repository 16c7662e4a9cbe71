-- title: Every table that clients reach has row-level security enabled
-- level: error
-- why: Without row-level security, a right on the table is a right on the rows of all tenants.
-- fix: alter table … enable row level security, and check that the table has its policies.
-- uses: grants
-- proof: yes
select r.object,
       'row-level security is disabled'
       || coalesce('; ' || string_agg(distinct g.privilege, ', ' order by g.privilege) || ' for ' || string_agg(distinct g.who, ', ' order by g.who), '')
       as detail
  from relations as r
  left join grants as g on g.oid = r.oid and g.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
 where r.relkind in ('r', 'p') and not r.relrowsecurity and (%(strict)s or g.oid is not null)
   and (%(strict)s or not r.relispartition)
 group by r.object
 order by 1
