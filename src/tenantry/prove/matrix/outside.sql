-- Tables with triggers that may act outside the transaction, so that a rollback would not undo their effects: triggers in
-- untrusted languages, and triggers whose body names a function with such effects.
select c.relname::text,
       string_agg(distinct t.tgname::text || ' (' || p.oid::regproc::text || ', ' || l.lanname::text || ')', ', ')
  from pg_catalog.pg_trigger as t
  join pg_catalog.pg_class as c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace as n on n.oid = c.relnamespace and n.nspname = %(schema)s
  join pg_catalog.pg_proc as p on p.oid = t.tgfoid
  join pg_catalog.pg_language as l on l.oid = p.prolang
 where not t.tgisinternal and t.tgenabled <> 'D'
   and (not (l.lanpltrusted or l.lanname = 'internal')
        or p.prosrc ~* '\m(dblink\w*|http\w*|pg_background\w*|lo_export|pg_file_write|pg_advisory_lock\w*|pg_try_advisory_lock|to\s+program)\M'
        or p.prosrc ~* '\mnet\.')
 group by 1
 order by 1
