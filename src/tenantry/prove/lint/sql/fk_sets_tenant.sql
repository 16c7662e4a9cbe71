-- title: No foreign key's action changes the tenant
-- level: error
-- why: ON DELETE SET NULL over a key that contains the tenant takes the row out of its tenant; SET DEFAULT moves it.
-- fix: Name the columns: on delete set null (parent_id).
-- uses: foreign_keys, tenant_columns, grants
select k.child_object as object,
       'foreign key ' || quote_ident(k.name) || ' to ' || k.parent_object || ' sets ' || quote_ident(a.attname)
       || case when 'n' in (k.on_delete, k.on_update) then ' to null' else ' to its default' end as detail,
       case when exists (select from grants as g where g.oid = k.parent and g.privilege in ('DELETE', 'UPDATE'))
            then 'error' else 'warning' end as level
  from foreign_keys as k
  join tenant_columns as c on c.oid = k.child and not c.is_root
  join pg_attribute as a on a.attrelid = c.oid and a.attnum = c.number
 where c.number = any (k.child_columns)
   and ((k.on_delete in ('n', 'd') and (k.set_columns is null or c.number = any (k.set_columns))) or k.on_update in ('n', 'd'))
 order by 1, 2
