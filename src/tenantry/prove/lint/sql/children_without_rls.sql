-- title: Partitions and inheritance children are not reached past their parent's policies
-- level: error
-- why: Policies apply to the table that a statement names: a client with a right on the partition reads it without the parent's.
-- fix: revoke all on the child from clients (the parent's grants serve statements on the parent), or enable row-level security
--   on it and give it the same policies.
-- uses: grants
with recursive above as (
    select i.inhrelid as child, i.inhparent as parent from pg_inherits as i
     union
    select a.child, i.inhparent from above as a join pg_inherits as i on i.inhrelid = a.parent
)
select r.object,
       string_agg(distinct g.who || ' has ' || g.privilege, ', ' order by g.who || ' has ' || g.privilege)
       || ' on this child of ' || min(format('%%I.%%I', n.nspname, p.relname)) || ', which has row-level security, and it has none'
       as detail
  from relations as r
  join above as a on a.child = r.oid
  join pg_class as p on p.oid = a.parent and p.relrowsecurity
  join pg_namespace as n on n.oid = p.relnamespace
  join grants as g on g.oid = r.oid and g.privilege in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
 where not r.relrowsecurity
 group by r.object
 order by 1
