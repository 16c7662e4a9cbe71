-- title: Clients read no catalog that holds values or passwords
-- level: error
-- why: pg_statistic holds the most frequent values of all tenants; others hold password hashes and the logins of other servers.
-- fix: revoke all on pg_catalog.… from …, public.
-- uses: reach
select format('%%I.%%I', n.nspname, c.relname) as object, h.who || ' has ' || string_agg(distinct x.privilege_type, ', ') as detail
  from pg_class as c
  join pg_namespace as n on n.oid = c.relnamespace
 cross join lateral (
       select * from aclexplode(c.relacl)
        union all
       select y.* from pg_attribute as a cross join lateral aclexplode(a.attacl) as y
        where a.attrelid = c.oid and a.attname not in ('oid', 'subdbid', 'subname', 'subowner', 'subenabled', 'subbinary', 'substream',
              'subtwophasestate', 'subdisableonerr', 'subpasswordrequired', 'subrunasowner', 'subfailover', 'subslotname',
              'subsynccommit', 'subpublications', 'suborigin', 'subskiplsn')
       ) as x
  join reach as h on h.grantee = x.grantee
 where n.nspname = 'pg_catalog'
   and c.relname in ('pg_statistic', 'pg_statistic_ext_data', 'pg_authid', 'pg_shadow', 'pg_user_mapping', 'pg_largeobject',
                     'pg_subscription', 'pg_hba_file_rules', 'pg_file_settings', 'pg_ident_file_mappings')
 group by n.nspname, c.relname, h.who
 order by 1, 2
