-- title: No extended statistics are kept over the rows of several tenants
-- level: error
-- why: Lists of frequent values and counts cover all tenants: row estimates in EXPLAIN reveal them, and servers before the fix of
--   CVE-2025-8713 show the values themselves.
-- fix: Update the server (15.14, 16.10, 17.6 or newer); drop statistics … that no plan needs.
-- uses: relations, grants
select r.object, 'statistics ' || quote_ident(s.stxname) || ' are kept of a table with row-level security' as detail,
       case when mod(v.number, 10000) < case v.number / 10000 when 15 then 14 when 16 then 10 when 17 then 6 else 0 end
            then 'error' else 'info' end as level
  from pg_statistic_ext as s
  join relations as r on r.oid = s.stxrelid
 cross join (select current_setting('server_version_num')::int) as v (number)
 where r.relrowsecurity and exists (select from grants as g where g.oid = r.oid and g.privilege = 'SELECT')
 order by 1, 2
