-- title: Every tenant column references its tenant
-- level: info
-- why: Rows of a tenant that is deleted, or never existed, stay behind: a caller who gets or creates its id finds them.
-- fix: alter table … add foreign key (tenant) references …; not valid first, then validate constraint.
-- uses: tenant_columns, relations
select r.object || '.' || quote_ident(a.attname) as object, 'no foreign key begins at the tenant column' as detail
  from tenant_columns as t
  join relations as r on r.oid = t.oid and r.relkind in ('r', 'p') and not r.relispartition
  join pg_attribute as a on a.attrelid = t.oid and a.attnum = t.number
 where not t.is_root and %(root)s <> 0
   and not exists (select from pg_constraint as k where k.conrelid = t.oid and k.contype = 'f' and t.number = any (k.conkey))
 order by 1
