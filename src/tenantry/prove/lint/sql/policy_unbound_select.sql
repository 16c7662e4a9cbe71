-- title: Every EXISTS in a policy depends on the row or the caller
-- level: error
-- why: A sub-select that depends on neither is true for every caller as soon as one such row exists.
-- fix: Tie the sub-select to the caller (user_id = (select auth.uid())) and to the row's tenant.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' asks whether any row exists in '
       || string_agg(format('%%I.%%I', n.nspname, r.relname), ', ' order by n.nspname, r.relname) as detail
  from clauses as c
 cross join lateral unnest(c.unbound) as u (oid)
  join pg_class as r on r.oid = u.oid
  join pg_namespace as n on n.oid = r.relnamespace
 -- If row-level security shows the caller only their own rows, the sub-select depends on the caller.
 where c.permissive and (not r.relrowsecurity or r.oid = %(membership)s or n.nspname = 'auth')
 group by c.object, c.name, c.who, c.clause
 order by 1, 2
