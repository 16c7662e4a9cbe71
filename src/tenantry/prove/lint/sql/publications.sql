-- title: Tenants' tables are published only where that is meant
-- level: error
-- why: A subscriber gets the rows of all tenants; without a row filter the publication contains the whole table.
-- fix: alter publication … set table … where (…); or make sure that only your own subscribers can connect.
-- uses: relations, tenant_columns
select r.object, 'publication ' || quote_ident(p.pubname) || ' sends the rows of all tenants'
       || case when r.relrowsecurity then '' else '; the table has no row-level security' end as detail,
       case when p.pubname = 'supabase_realtime' and not r.relrowsecurity then 'error' else 'info' end as level
  from pg_publication as p
  join relations as r on r.relkind in ('r', 'p')
  join tenant_columns as t on t.oid = r.oid and not t.is_root
  left join pg_publication_rel as m on m.prpubid = p.oid and m.prrelid = r.oid
 where m.prqual is null
   and (p.puballtables or m.oid is not null
        or exists (
           select from pg_publication_namespace as s
             join pg_class as c on c.oid = r.oid
            where s.pnpubid = p.oid and s.pnnspid = c.relnamespace))
 order by 1, 2
