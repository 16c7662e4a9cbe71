-- title: No other role can change what an event trigger runs
-- level: warning
-- why: The function runs with the rights of the role that makes or drops an object, sometimes a superuser: a role that can change the function gains them.
-- fix: alter function … owner to a superuser; alter function … set search_path = pg_catalog, pg_temp.
select quote_ident(e.evtname) as object, p.oid::regprocedure::text || ' '
       || case when not o.rolsuper then 'belongs to ' || o.rolname || ', who is no superuser' else 'has no fixed search_path' end as detail
  from pg_event_trigger as e
  join pg_proc as p on p.oid = e.evtfoid
  join pg_roles as o on o.oid = p.proowner
 where e.evtenabled <> 'D'
   and (not o.rolsuper or not exists (select from unnest(p.proconfig) as s where s like 'search_path=%%'))
 order by 1
