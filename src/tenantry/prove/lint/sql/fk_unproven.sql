-- title: Foreign keys that compare the tenant are in force
-- level: warning
-- why: Rows that existed before, or were written while the key was disabled, may reference another tenant's rows.
-- fix: alter table … validate constraint …; alter table … enable trigger all.
-- uses: foreign_keys, tenant_columns
select k.child_object as object,
       'foreign key ' || quote_ident(k.name) || ' to ' || k.parent_object
       || case when to_jsonb(c) ->> 'conenforced' = 'false' then ' is not enforced'
               when not c.convalidated then ' was never validated' else ' is switched off' end as detail
  from foreign_keys as k
  join pg_constraint as c on c.oid = k.oid
  join tenant_columns as t on t.oid = k.child and not t.is_root and t.number = any (k.child_columns)
 where not c.convalidated
    or exists (select from pg_trigger as g where g.tgconstraint = k.oid and g.tgenabled = 'D')
 order by 1, 2
