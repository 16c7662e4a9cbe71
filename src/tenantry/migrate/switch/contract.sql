-- Objects and sessions that still use the source.

-- name: dependents
-- Views, materialized views and foreign keys of tables that are not part of the source's own set.
select distinct t.relname, 'is read by ' || case v.relkind when 'm' then 'materialized view ' else 'view ' end || v.oid::regclass
  from pg_class t
  join pg_namespace n on n.oid = t.relnamespace and n.nspname = %(schema)s and t.relname = any (%(tables)s)
  join pg_depend d on d.refobjid = t.oid and d.classid = 'pg_rewrite'::regclass
  join pg_rewrite r on r.oid = d.objid
  join pg_class v on v.oid = r.ev_class and v.oid <> t.oid and v.relkind in ('v', 'm')
 where v.relnamespace <> coalesce(to_regnamespace('tenantry'), 0)
union all
select t.relname, 'is referenced by table ' || c.conrelid::regclass
  from pg_class t
  join pg_namespace n on n.oid = t.relnamespace and n.nspname = %(schema)s and t.relname = any (%(tables)s)
  join pg_constraint c on c.confrelid = t.oid and c.contype = 'f'
  join pg_class o on o.oid = c.conrelid
  join pg_namespace m on m.oid = o.relnamespace
 where not (m.nspname = %(schema)s and o.relname = any (%(tables)s)) and not o.relispartition

-- name: sessions
-- Autovacuum, which has no user, gives way to the statements that drop tables.
select c.relname, 'is in use by pid ' || a.pid || ' (' || coalesce(nullif(a.application_name, ''), 'no name') || ')'
  from pg_locks l
  join pg_class c on c.oid = l.relation
  join pg_namespace n on n.oid = c.relnamespace and n.nspname = %(schema)s
  join pg_stat_activity a on a.pid = l.pid
 where c.relname = any (%(tables)s) and a.application_name not like 'tenantry%%' and a.pid <> pg_backend_pid() and a.usesysid is not null

union all
select c.relname, 'is in use by the prepared transaction ' || quote_literal(p.gid) || ' of ' || p.owner
  from pg_prepared_xacts p
  join pg_locks x on x.pid is null and x.locktype = 'transactionid' and x.transactionid = p.transaction
  join pg_locks l on l.virtualtransaction = x.virtualtransaction and l.pid is null
  join pg_class c on c.oid = l.relation
  join pg_namespace n on n.oid = c.relnamespace and n.nspname = %(schema)s
 where c.relname = any (%(tables)s) and p.database = current_database()

-- name: scans
select s.relname, coalesce(s.seq_scan, 0) + coalesce(s.idx_scan, 0)
  from pg_stat_user_tables s
 where s.schemaname = %(schema)s and s.relname = any (%(tables)s)
