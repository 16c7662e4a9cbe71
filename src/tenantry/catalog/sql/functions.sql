-- Reads the functions, procedures and aggregates of the schema, with the relations that PostgreSQL knows them to use.
-- Functions that a range type brings along are omitted. `body` is set if PostgreSQL stores the body as text and so does not
-- know what it uses.
select
    p.oid,
    p.proname::text as name,
    pg_get_function_identity_arguments(p.oid) as arguments,
    pg_get_function_result(p.oid) as returns,
    case p.prokind when 'p' then 'procedure' when 'a' then 'aggregate' when 'w' then 'window' else 'function' end
        as kind,
    l.lanname::text as language,
    p.prosecdef as security_definer,
    case p.provolatile when 'i' then 'immutable' when 's' then 'stable' else 'volatile' end as volatility,
    case p.proparallel when 's' then 'safe' when 'r' then 'restricted' else 'unsafe' end as parallel,
    coalesce(p.proconfig, '{}') as config,
    pg_get_userbyid(p.proowner)::text as owner,
    case when p.prokind <> 'a' then pg_get_functiondef(p.oid) end as definition,
    case when l.lanname in ('sql', 'plpgsql') and p.prosqlbody is null then p.prosrc end as body,
    array(
        select distinct array[un.nspname::text, u.relname::text]
        from pg_depend d
        left join pg_type t on d.refclassid = 'pg_type'::regclass and t.oid = d.refobjid
        left join pg_type element on element.oid = t.typelem
        join pg_class u on u.oid = case
            when d.refclassid = 'pg_class'::regclass then d.refobjid
            when t.typrelid <> 0 then t.typrelid
            else element.typrelid
        end
        join pg_namespace un on un.oid = u.relnamespace
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and u.relkind in ('r', 'p', 'f', 'v', 'm')
    ) as depends_on,
    obj_description(p.oid, 'pg_proc') as comment
from pg_proc p
join pg_language l on l.oid = p.prolang
where p.pronamespace = %(namespace)s
    and not exists (
        select from pg_depend d
        where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype in ('e', 'i') and d.refclassid in ('pg_extension'::regclass, 'pg_type'::regclass)
    )
