-- Functions that run for clients and are parsed at run time: the functions that clients may call, and those of triggers.
select p.oid::regprocedure::text, p.prosrc
  from pg_proc as p
  join pg_namespace as n on n.oid = p.pronamespace
  join pg_language as l on l.oid = p.prolang and l.lanname in ('sql', 'plpgsql')
 where p.prosqlbody is null and n.nspname !~ '^pg_' and n.nspname <> 'information_schema'
   and not exists (select from unnest(p.proconfig) as s (setting) where s.setting = 'standard_conforming_strings=on')
   and not exists (
       select from pg_depend as d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
   and ((has_function_privilege(%(client)s, p.oid, 'EXECUTE') and has_schema_privilege(%(client)s, n.oid, 'USAGE'))
        or (has_function_privilege(%(anon)s, p.oid, 'EXECUTE') and has_schema_privilege(%(anon)s, n.oid, 'USAGE'))
        or (n.nspname = 'tenantry' and p.prosecdef and p.prorettype <> 'trigger'::regtype)
        or exists (
           select from pg_trigger as t
             join pg_class as c on c.oid = t.tgrelid and c.relnamespace = to_regnamespace(quote_ident(%(schema)s))
            where t.tgfoid = p.oid and not t.tgisinternal))
 order by 1
