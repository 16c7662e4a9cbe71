-- Reads the user-defined triggers of all tables and views of the schema, not those that enforce constraints.
select
    t.tgrelid as relation,
    t.tgname::text as name,
    pg_get_triggerdef(t.oid) as definition,
    case t.tgenabled when 'D' then 'disabled' when 'R' then 'replica' when 'A' then 'always' else 'origin' end
        as enabled,
    format('%%I.%%I', fn.nspname, f.proname) as function,
    obj_description(t.oid, 'pg_trigger') as comment,
    t.tgparentid <> 0 as inherited
from pg_class c
join pg_trigger t on t.tgrelid = c.oid and not t.tgisinternal
join pg_proc f on f.oid = t.tgfoid
join pg_namespace fn on fn.oid = f.pronamespace
where c.relnamespace = %(namespace)s
