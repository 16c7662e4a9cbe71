-- title: A definer function ties the rows that its arguments pick to the caller
-- level: error
-- why: Reading the caller is not enough: the caller chooses the tenant, the row or the person, and the function reads or
--   writes it with its owner's rights, regardless of its owner. A default argument does not help: the caller can pass another value.
-- fix: Compare the rows' tenant with the caller's (join the memberships of auth.uid(), or ask is_member(argument) first); take
--   the person from auth.uid() instead of an argument. Make the function SECURITY INVOKER if policies allow the same.
-- uses: functions, callable, tenant_columns, clauses
with picked as (
    select f.oid, c.who, f.prorettype, p.value ->> 0 as argument, (p.value ->> 1)::oid as relation, (p.value ->> 2)::int as number,
           (p.value ->> 3)::boolean as written
      from functions as f
      join callable as c on c.oid = f.oid
     cross join lateral jsonb_array_elements(f.picks) as p
     where f.definer
       -- Functions that never read the caller belong to the check definer_without_caller.
       and (f.caller or not exists (select from tenant_columns as t where t.oid = any (f.reads)))
)
select p.oid::regprocedure::text as object,
       p.who || ' may call it; its argument ' || quote_ident(p.argument) || ' picks rows of '
       || string_agg(distinct p.relation::regclass::text || ' by ' || quote_ident(a.attname), ', ' order by p.relation::regclass::text || ' by ' || quote_ident(a.attname))
       || ', and nothing ties them to the caller'
       || case when exists (
              select from pg_proc as d
               where d.oid = p.oid and d.pronargdefaults > 0
                 and array_position(d.proargnames, p.argument) > d.pronargs - d.pronargdefaults)
               then ' (its default does not bind who calls)' else '' end as detail,
       case when p.prorettype = 'bool'::regtype and not bool_or(p.written) then 'warning' else 'error' end as level
  from picked as p
  join pg_attribute as a on a.attrelid = p.relation and a.attnum = p.number
  join pg_class as r on r.oid = p.relation
 where (r.relrowsecurity or exists (select from tenant_columns as t where t.oid = p.relation))
   -- Public rows need no permission.
   and (p.written or not exists (select from clauses as c where c.relation = p.relation and c.permissive and c.always and c.command in ('r', '*')))
   -- For written rows only their owner matters; whoever has the right may invite people.
   and (not p.written or exists (select from tenant_columns as t where t.oid = p.relation and t.number = p.number and not t.is_root))
 group by p.oid, p.who, p.argument, p.prorettype
 order by 1, 2
