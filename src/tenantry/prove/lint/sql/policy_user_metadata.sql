-- title: No policy trusts metadata that users can edit
-- level: error
-- why: Every user can set user_metadata of their own account, and so choose any role or tenant that is read from it.
-- fix: Read app_metadata, which only the service writes, or better a table of memberships.
-- uses: clauses, bodies
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' reads user_metadata'
       || coalesce(' in ' || f.oid::regprocedure::text, '') as detail
  from clauses as c
  left join lateral (
       select b.oid from bodies as b
        where b.editable
          and (b.oid = any (c.calls) or exists (select from bodies as o where o.oid = any (c.calls) and b.oid = any (o.calls)))
        order by 1 limit 1) as f on true
 where f.oid is not null
    or exists (select from unnest(c.texts) as t where t ~* '^(raw_)?user_meta_?data$')
    or exists (
       select from pg_depend as d
         join pg_attribute as a on a.attrelid = d.refobjid and a.attnum = d.refobjsubid
        where d.classid = 'pg_policy'::regclass and d.objid = c.oid and d.refclassid = 'pg_class'::regclass
          and a.attname ~* '^(raw_)?user_meta_?data$')
 order by 1, 2
