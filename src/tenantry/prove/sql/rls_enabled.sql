-- title: Every table of the target has row-level security enabled
-- mending: alter table … enable row level security, and see that the table has its policies.
select c.relname::text || ': row-level security is disabled' as violation
  from pg_class as c
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and c.relkind in ('r', 'p') and not c.relrowsecurity
 order by 1
