-- title: Row-level security binds the owner of every table of the target
-- mending: alter table … force row level security, with a stated policy for the owner's role.
select c.relname::text || ': row-level security is not forced' as violation
  from pg_class as c
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and c.relkind in ('r', 'p') and not c.relforcerowsecurity
 order by 1
