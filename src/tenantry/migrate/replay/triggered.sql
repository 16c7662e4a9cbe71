-- Triggers, found by the context of an error.

-- name: of
-- The application's triggers whose function occurs in the call stack, outermost call first.
select quote_ident(t.tgname), t.tgrelid::regclass::text, p.oid::regprocedure::text
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_proc p on p.oid = t.tgfoid and p.pronamespace is distinct from to_regnamespace('tenantry')
 where not t.tgisinternal and t.tgenabled <> 'D'
   and greatest(position(quote_ident(p.proname) || '(' in %(context)s), position('"' || p.proname || '"' in %(context)s)) > 0
 order by position(quote_ident(p.proname) in %(context)s) desc, 1, 2
 limit 1
