-- title: Clients call no function that reads or writes files of the server
-- level: error
-- why: The files of the server hold the rows of all tenants, and its passwords.
-- fix: revoke execute on function … from …, public.
-- uses: reach
select p.oid::regprocedure::text as object, string_agg(distinct h.who, ', ' order by h.who) || ' may call it' as detail
  from pg_proc as p
 cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) as x
  join reach as h on h.grantee = x.grantee
 where p.pronamespace = 'pg_catalog'::regnamespace
   and (p.proname in ('lo_import', 'lo_export', 'pg_stat_file', 'pg_current_logfile', 'pg_hba_file_rules', 'pg_show_all_file_settings')
        or p.proname ~ '^pg_(read_(binary_)?file|ls_\w*dir|file_\w+)$')
 group by p.oid
 order by 1
