-- title: Foreign keys between tenants' tables contain the tenant on both sides
-- level: error
-- why: Foreign keys bypass policies: a row can reference another tenant's row, and the error reveals which rows exist.
-- fix: Make the key (tenant, id) unique in the parent, and reference it: foreign key (tenant, parent_id) references parent (tenant, id).
-- uses: foreign_keys, tenant_columns, grants, clauses
select k.child_object as object, 'foreign key ' || quote_ident(k.name) || ' to ' || k.parent_object || ' does not compare the tenant' as detail
  from foreign_keys as k
  join tenant_columns as c on c.oid = k.child and not c.is_root
  join tenant_columns as p on p.oid = k.parent and not p.is_root
 where not exists (
       select from unnest(k.child_columns, k.parent_columns) as pair (child, parent)
        where pair.child = c.number and pair.parent = p.number)
   -- If each row belongs to a person, people reference rows that others share; and nobody can guess an existing random key.
   and not (%(user_owned)s
            and not exists (
                select from pg_attribute as a
                 where a.attrelid = k.parent and a.attnum = any (k.parent_columns) and a.atttypid <> 'uuid'::regtype))
   and exists (
       select from grants as g
        where g.oid = k.child and g.privilege in ('INSERT', 'UPDATE') and (g.number = 0 or g.number = any (k.child_columns)))
 union
-- A table without a tenant column: a policy's condition on the referenced row, e.g. by EXISTS, is checked before the key.
select k.child_object, 'foreign key ' || quote_ident(k.name) || ' to ' || k.parent_object || ' names rows of all tenants, and policy '
       || quote_ident(c.name) || ' does not look at it'
  from foreign_keys as k
  join tenant_columns as p on p.oid = k.parent and not p.is_root
  join clauses as c on c.relation = k.child and c.permissive and not c.never and c.command in ('a', 'w', '*')
       and (c.clause = 'WITH CHECK' or c.without_check) and not c.columns && k.child_columns
 where k.child not in (select t.oid from tenant_columns as t)
   and not exists (
       select from clauses as o
        where o.relation = k.child and not o.permissive and o.command in ('a', 'w', '*') and o.columns && k.child_columns)
   and exists (
       select from grants as g
        where g.oid = k.child and g.privilege in ('INSERT', 'UPDATE') and (g.number = 0 or g.number = any (k.child_columns)))
 order by 1, 2
