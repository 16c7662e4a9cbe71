-- title: Triggers that clients fire do not bypass policies
-- level: error
-- why: A definer trigger reads and writes, with its owner's rights, whatever the caller's row selects.
-- fix: Make the function SECURITY INVOKER, or give it an owner that policies bind and a fixed search_path, and compare tenants in it.
-- uses: grants
select r.object, 'trigger ' || quote_ident(t.tgname) || ' calls ' || p.oid::regprocedure::text || ' as ' || o.rolname || ', '
       || case when o.rolsuper then 'a superuser'
               when o.rolbypassrls then 'who bypasses row-level security'
               else 'without a fixed search_path' end as detail,
       case when o.rolsuper or o.rolbypassrls then 'warning' else 'error' end as level
  from relations as r
  join pg_trigger as t on t.tgrelid = r.oid and not t.tgisinternal and t.tgenabled <> 'D'
  join pg_proc as p on p.oid = t.tgfoid and p.prosecdef
  join pg_roles as o on o.oid = p.proowner
 where exists (select from grants as g where g.oid = r.oid and g.privilege in ('INSERT', 'UPDATE', 'DELETE', 'TRUNCATE'))
   and (o.rolsuper or o.rolbypassrls
        or not exists (select from unnest(p.proconfig) as s where s like 'search_path=%%'))
   -- Tenantry's own triggers record keys and set audit columns; another check covers their search_path.
   and not (coalesce(p.pronamespace = to_regnamespace('tenantry'), false)
            and exists (select from unnest(p.proconfig) as s where s like 'search_path=%%'))
 order by 1, 2
