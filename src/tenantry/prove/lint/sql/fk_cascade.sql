-- title: No cascade goes from one tenant to another
-- level: error
-- why: ON DELETE and ON UPDATE actions bypass policies: a caller who deletes or renumbers their own row changes rows of others.
-- fix: Let the key contain the tenant on both sides, or remove the action (NO ACTION).
-- uses: foreign_keys, tenant_columns, grants
select k.child_object as object,
       'foreign key ' || quote_ident(k.name) || ' to ' || k.parent_object || ' does not compare the tenant, and has '
       || concat_ws(' and ',
              'ON DELETE ' || case k.on_delete when 'c' then 'CASCADE' when 'n' then 'SET NULL' when 'd' then 'SET DEFAULT' end,
              'ON UPDATE ' || case k.on_update when 'c' then 'CASCADE' when 'n' then 'SET NULL' when 'd' then 'SET DEFAULT' end)
       as detail,
       case when exists (
           select from grants as g
            where g.oid = k.parent
              and (g.privilege = 'DELETE' and k.on_delete in ('c', 'n', 'd')
                   or g.privilege = 'UPDATE' and k.on_update in ('c', 'n', 'd'))) then 'error' else 'warning' end as level
  -- If each row belongs to a person, others' rows that reference a shared row are deleted with it.
  from foreign_keys as k
  join tenant_columns as c on c.oid = k.child and not c.is_root
  join tenant_columns as p on p.oid = k.parent and not p.is_root
 where not %(user_owned)s and (k.on_delete in ('c', 'n', 'd') or k.on_update in ('c', 'n', 'd'))
   and not exists (
       select from unnest(k.child_columns, k.parent_columns) as pair (child, parent)
        where pair.child = c.number and pair.parent = p.number)
 order by 1, 2
