-- title: Views show clients only what they may see themselves
-- mending: alter view … set (security_invoker = true); revoke all on materialized views from clients, for these have no
--   policies.
select c.relname::text || ': ' || r.rolname || case c.relkind
           when 'm' then ' may read the materialized view, which holds the rows of all tenants'
           else ' reads the view with the rights of its owner' end as violation
  from pg_class as c
 cross join pg_roles as r
 where c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
   and (c.relkind = 'm'
        or c.relkind = 'v' and not exists (
            select from pg_options_to_table(c.reloptions) as o
             where o.option_name = 'security_invoker' and lower(o.option_value) in ('true', 'on', 'yes', '1')))
   and r.rolname = any (%(callers)s::text[]) and not r.rolsuper
   and has_any_column_privilege(r.oid, c.oid, 'SELECT')
 order by 1
