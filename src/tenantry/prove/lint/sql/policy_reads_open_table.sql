-- title: Clients cannot write the tables that policies read
-- level: error
-- why: A caller who can write the table that a policy reads can grant themselves what the policy requires.
-- fix: alter table … enable row level security; revoke insert, update, delete on … from ….
-- uses: clauses, bodies, reach
with asked as (
    select c.object, c.name, c.who, unnest(c.relations) as oid from clauses as c
     union
    select c.object, c.name, c.who, unnest(b.reads) from clauses as c join bodies as b on b.oid = any (c.calls)
)
select distinct a.object, 'policy ' || quote_ident(a.name) || ' for ' || a.who || ' asks '
       || format('%%I.%%I', n.nspname, r.relname) || ', where ' || h.who || ' has ' || x.privilege_type as detail
  from asked as a
  join pg_class as r on r.oid = a.oid and r.relkind in ('r', 'p') and not r.relrowsecurity
  join pg_namespace as n on n.oid = r.relnamespace
 cross join lateral (
       select * from aclexplode(coalesce(r.relacl, acldefault('r', r.relowner)))
        union all
       select y.* from pg_attribute as t cross join lateral aclexplode(t.attacl) as y where t.attrelid = r.oid
       ) as x
  join reach as h on h.grantee = x.grantee
 where x.privilege_type in ('INSERT', 'UPDATE', 'DELETE')
 order by 1, 2
