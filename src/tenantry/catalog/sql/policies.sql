-- Reads the row-level security policies of all tables of the schema.
select
    p.polrelid as relation,
    p.polname::text as name,
    case p.polcmd when 'r' then 'select' when 'a' then 'insert' when 'w' then 'update' when 'd' then 'delete'
        else 'all' end as command,
    p.polpermissive as permissive,
    array(
        select case when role = 0 then 'PUBLIC' else pg_get_userbyid(role)::text end
        from unnest(p.polroles) as role
    ) as roles,
    pg_get_expr(p.polqual, p.polrelid) as using,
    pg_get_expr(p.polwithcheck, p.polrelid) as check,
    obj_description(p.oid, 'pg_policy') as comment
from pg_class c
join pg_policy p on p.polrelid = c.oid
where c.relnamespace = %(namespace)s
