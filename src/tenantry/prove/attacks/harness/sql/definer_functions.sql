-- The SECURITY DEFINER functions that clients, or the application's login, may call.
select n.nspname::text as schema_name,
       p.proname::text as name,
       pg_get_function_identity_arguments(p.oid) as arguments,
       array(select format_type(t.oid, null) from unnest(p.proargtypes) with ordinality as g (oid, place)
               join pg_type as t on t.oid = g.oid order by g.place) as types,
       p.proretset as many,
       p.prokind::text as kind,
       p.prosrc as body,
       coalesce(p.proconfig, '{}') as settings,
       has_function_privilege(%(client)s, p.oid, 'EXECUTE') and has_schema_privilege(%(client)s, n.oid, 'USAGE') as for_clients
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace
 where p.prosecdef
   and p.prorettype not in ('trigger'::regtype, 'event_trigger'::regtype)
   and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and (has_function_privilege(%(client)s, p.oid, 'EXECUTE') or has_function_privilege(%(anon)s, p.oid, 'EXECUTE'))
   and not exists (
       select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
 order by n.nspname, p.proname, 3
