-- Reads the checks of all domains of the schema.
select
    con.contypid as domain,
    con.conname::text as name,
    'check' as kind,
    pg_get_constraintdef(con.oid) as definition,
    pg_get_expr(con.conbin, 0) as expression,
    con.convalidated as validated,
    obj_description(con.oid, 'pg_constraint') as comment
from pg_type t
join pg_constraint con on con.contypid = t.oid and con.contype = 'c'
where t.typnamespace = %(namespace)s
