-- title: No ON UPDATE CASCADE propagates a change of tenant
-- level: warning
-- why: The action bypasses policies and column rights: a caller who may renumber a row changes rows that they may only read, or not even see.
-- fix: on update no action; ids and tenants are never changed.
-- uses: foreign_keys, tenant_columns
select k.child_object as object,
       'foreign key ' || quote_ident(k.name) || ' to ' || k.parent_object || ' has ON UPDATE CASCADE over ' || quote_ident(a.attname)
       as detail
  from foreign_keys as k
  join tenant_columns as c on c.oid = k.child and not c.is_root
  join pg_attribute as a on a.attrelid = c.oid and a.attnum = c.number
 where k.on_update = 'c' and c.number = any (k.child_columns)
 order by 1, 2
