-- Other objects in a database that affect what a run creates.

-- name: publications
-- Publications of all tables, including later ones. Tables without a replica identity reject the updates and deletes that
-- these publish.
select p.pubname::text, p.puballtables, p.pubupdate or p.pubdelete
  from pg_catalog.pg_publication p
 where p.puballtables
 order by 1

-- name: event_triggers
-- Enabled event triggers on the creation or change of tables, with their functions.
select e.evtname::text, format('%I.%I', n.nspname, f.proname)
  from pg_catalog.pg_event_trigger e
  join pg_catalog.pg_proc f on f.oid = e.evtfoid
  join pg_catalog.pg_namespace n on n.oid = f.pronamespace
 where e.evtenabled <> 'D' and e.evtevent in ('ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite')
   and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_event_trigger'::regclass and d.objid = e.oid and d.deptype = 'e')
 order by 1

-- name: probe
-- A table like those of a run, and a temporary one; in a transaction that is rolled back.
create schema tenantry_probe;
create table tenantry_probe.made (id integer primary key);
create temporary table tenantry_probe_made (id integer);

-- name: probed
-- The result: whether row-level security is on and applies to the owner, and which tables are published.
select c.relpersistence = 't', c.relrowsecurity, c.relforcerowsecurity
  from pg_catalog.pg_class c
 where c.oid in ('tenantry_probe.made'::regclass, 'pg_temp.tenantry_probe_made'::regclass)

-- name: temporary_for_all
-- Whether every role may create temporary objects in this database, which the role script forbids.
select exists (select from pg_catalog.pg_database d,
                      pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) g
                where d.datname = pg_catalog.current_database() and g.grantee = 0 and g.privilege_type = 'TEMPORARY')

-- name: opened
-- Privileges of the application's roles, or of everyone, on objects that a role will create; in every schema, or in those of
-- a run. PostgreSQL itself grants EXECUTE on functions to PUBLIC.
select format('%%s made by %%I%%s: %%s', case d.defaclobjtype when 'r' then 'tables' when 'S' then 'sequences' else 'functions' end,
              pg_catalog.pg_get_userbyid(d.defaclrole), ' in schema ' || d.defaclnamespace::pg_catalog.regnamespace,
              string_agg(g.privilege_type || ' for ' || coalesce(r.rolname, 'PUBLIC'), ', ' order by g.privilege_type, r.rolname))
  from pg_catalog.pg_default_acl d
 cross join pg_catalog.aclexplode(d.defaclacl) g
  left join pg_catalog.pg_roles r on r.oid = g.grantee
  left join pg_catalog.pg_namespace n on n.oid = d.defaclnamespace
 where pg_catalog.pg_get_userbyid(d.defaclrole) in (current_user, %(definer)s) and d.defaclobjtype in ('r', 'S', 'f')
   and (d.defaclnamespace = 0 or n.nspname in ('tenantry', %(target)s)) and g.grantee <> d.defaclrole
   and (r.rolname = any (%(roles)s) or g.grantee = 0 and not (d.defaclobjtype = 'f' and d.defaclnamespace = 0))
 group by d.oid, d.defaclobjtype, d.defaclrole, d.defaclnamespace
 order by 1

-- name: outside
-- Triggers of tables that are not migrated, with the text of their functions, which may write a migrated table.
select t.tgname::text, format('%%I.%%I', n.nspname, c.relname), n.nspname = 'auth', p.oid::regprocedure::text, p.prosrc
  from pg_catalog.pg_trigger t
  join pg_catalog.pg_class c on c.oid = t.tgrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
  join pg_catalog.pg_proc p on p.oid = t.tgfoid
 where not t.tgisinternal and t.tgenabled <> 'D' and not c.relispartition
   and p.pronamespace is distinct from to_regnamespace('tenantry')
   and n.nspname not in ('tenantry', 'pg_catalog', %(target)s)
   and not (n.nspname = %(source)s and c.relname = any (%(tables)s))
 order by 2, 1

-- name: may_read_jobs
-- Whether pg_cron is installed here and its jobs can be read; to_regclass would raise an error without a right on the schema.
select coalesce((select pg_catalog.has_table_privilege(c.oid, 'SELECT') and pg_catalog.has_schema_privilege(n.oid, 'USAGE')
                   from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                  where n.nspname = 'cron' and c.relname = 'job'), false)

-- name: jobs
-- Jobs that run in this database; older versions of pg_cron have no names for them.
select coalesce(pg_catalog.to_jsonb(j.*) ->> 'jobname', j.jobid::text), j.schedule::text, j.command::text
  from cron.job j
 where j.database = pg_catalog.current_database() and j.active
 order by 1

-- name: users
-- Views and foreign keys of other schemas that refer to source tables.
with source as (
    select c.oid, c.relname from pg_catalog.pg_class c
     where c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(source)s)) and c.relname = any (%(tables)s)
)
select case v.relkind when 'm' then 'materialized view' else 'view' end, pg_catalog.format('%%I.%%I', n.nspname, v.relname) as name,
       array_agg(distinct s.relname::text order by s.relname::text)
  from source s
  join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = s.oid
  join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = d.objid
  join pg_catalog.pg_class v on v.oid = r.ev_class and v.relkind in ('v', 'm')
  join pg_catalog.pg_namespace n on n.oid = v.relnamespace
 where n.nspname not in ('tenantry', %(source)s, %(target)s)
 group by v.oid, v.relkind, n.nspname, v.relname
 union all
select 'foreign key', pg_catalog.format('%%I of %%I.%%I', k.conname, n.nspname, c.relname), array[s.relname::text]
  from source s
  join pg_catalog.pg_constraint k on k.confrelid = s.oid and k.contype = 'f' and k.conparentid = 0
  join pg_catalog.pg_class c on c.oid = k.conrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where n.nspname not in ('tenantry', %(source)s, %(target)s)
 order by 2

-- name: policies_and_rules
-- Policies, and rewrite rules of tables, of other schemas that refer to source tables.
with source as (
    select c.oid, c.relname from pg_catalog.pg_class c
     where c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(source)s)) and c.relname = any (%(tables)s)
)
select 'policy', pg_catalog.format('%%I of %%I.%%I', p.polname, n.nspname, c.relname) as name,
       array_agg(distinct s.relname::text order by s.relname::text)
  from source s
  join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = s.oid
  join pg_catalog.pg_policy p on d.classid = 'pg_catalog.pg_policy'::regclass and p.oid = d.objid
  join pg_catalog.pg_class c on c.oid = p.polrelid
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where n.nspname not in ('tenantry', %(source)s, %(target)s)
 group by p.polname, n.nspname, c.relname
 union all
select 'rewrite rule', pg_catalog.format('%%I of %%I.%%I', r.rulename, n.nspname, c.relname),
       array_agg(distinct s.relname::text order by s.relname::text)
  from source s
  join pg_catalog.pg_depend d on d.refclassid = 'pg_catalog.pg_class'::regclass and d.refobjid = s.oid
  join pg_catalog.pg_rewrite r on d.classid = 'pg_catalog.pg_rewrite'::regclass and r.oid = d.objid
  join pg_catalog.pg_class c on c.oid = r.ev_class and c.relkind in ('r', 'p')
  join pg_catalog.pg_namespace n on n.oid = c.relnamespace
 where n.nspname not in ('tenantry', %(source)s, %(target)s)
 group by r.rulename, n.nspname, c.relname
 order by 2

-- name: functions
-- Functions of other schemas, with their texts: those of extensions are omitted, and those of triggers, which are read above.
select pg_catalog.format('%%I.%%I', n.nspname, p.proname), coalesce(p.prosrc, '') || coalesce(pg_catalog.pg_get_function_sqlbody(p.oid), '')
  from pg_catalog.pg_proc p
  join pg_catalog.pg_namespace n on n.oid = p.pronamespace
 where n.nspname not in ('tenantry', 'pg_catalog', 'information_schema', %(source)s, %(target)s) and n.nspname not like 'pg\_%%'
   and p.prorettype <> 'pg_catalog.trigger'::pg_catalog.regtype and p.prokind in ('f', 'p')
   and p.prolang in (select l.oid from pg_catalog.pg_language l where l.lanname not in ('c', 'internal'))
   and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_catalog.pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
 order by 1

-- name: extensions
-- Extensions with the names of their types, functions and operator classes.
select e.extname::text, n.nspname::text, e.extversion,
       array(select t.typname::text from pg_catalog.pg_depend d join pg_catalog.pg_type t on t.oid = d.objid
              where d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
                and d.classid = 'pg_catalog.pg_type'::regclass
              union
             select p.proname::text from pg_catalog.pg_depend d join pg_catalog.pg_proc p on p.oid = d.objid
              where d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
                and d.classid = 'pg_catalog.pg_proc'::regclass
              union
             select o.opcname::text from pg_catalog.pg_depend d join pg_catalog.pg_opclass o on o.oid = d.objid
              where d.refclassid = 'pg_catalog.pg_extension'::regclass and d.refobjid = e.oid and d.deptype = 'e'
                and d.classid = 'pg_catalog.pg_opclass'::regclass)
  from pg_catalog.pg_extension e
  join pg_catalog.pg_namespace n on n.oid = e.extnamespace
 where n.nspname <> 'pg_catalog'
 order by 1

-- name: collations
-- The database, and collations of columns of source tables, whose version is not the one that the server has now.
select 'database', pg_catalog.quote_ident(d.datname), d.datcollversion, pg_catalog.pg_database_collation_actual_version(d.oid)
  from pg_catalog.pg_database d
 where d.datname = pg_catalog.current_database()
   and d.datcollversion <> pg_catalog.pg_database_collation_actual_version(d.oid)
 union all
select 'collation', pg_catalog.format('%%I.%%I', n.nspname, c.collname), c.collversion, pg_catalog.pg_collation_actual_version(c.oid)
  from pg_catalog.pg_collation c
  join pg_catalog.pg_namespace n on n.oid = c.collnamespace
 where c.collversion <> pg_catalog.pg_collation_actual_version(c.oid)
   and exists (select from pg_catalog.pg_attribute a join pg_catalog.pg_class t on t.oid = a.attrelid
                where a.attcollation = c.oid and not a.attisdropped and t.relname = any (%(tables)s)
                  and t.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(source)s)))
 order by 1 desc, 2

-- name: subscribed
-- Source tables that a subscription writes.
select c.relname::text
  from pg_catalog.pg_subscription_rel s
  join pg_catalog.pg_class c on c.oid = s.srrelid
 where c.relname = any (%(tables)s) and c.relnamespace = pg_catalog.to_regnamespace(pg_catalog.quote_ident(%(source)s))
 order by 1

-- name: open_transactions
-- Transactions that hold writers' locks on source tables, and prepared ones of this database, which hold locks without a
-- session. Facts that a login may not see (pg_read_all_stats) are null.
with held as materialized (
    select l.pid, l.virtualtransaction, array_agg(distinct l.relation::regclass::text) as tables
      from pg_catalog.pg_locks l
     where l.granted and l.pid is distinct from pg_catalog.pg_backend_pid()
       and l.database = (select d.oid from pg_catalog.pg_database d where d.datname = pg_catalog.current_database())
       and l.relation = any (array(select to_regclass(n.name)::oid from pg_catalog.unnest(%(tables)s::text[]) n (name)))
       and l.mode in ('RowExclusiveLock', 'ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                      'AccessExclusiveLock')
     group by l.pid, l.virtualtransaction
)
select h.virtualtransaction, h.tables, a.pid, a.application_name, a.usename::text, a.state,
       extract(epoch from clock_timestamp() - a.xact_start)::float8, null as gid, null as owner
  from held h join pg_catalog.pg_stat_activity a on a.pid = h.pid
 where not starts_with(a.application_name, 'tenantry') and a.backend_type is distinct from 'autovacuum worker'
 union all
select p.transaction::text,
       coalesce((select h.tables from held h join pg_catalog.pg_locks x on x.virtualtransaction = h.virtualtransaction
                  where h.pid is null and x.pid is null and x.locktype = 'transactionid' and x.transactionid = p.transaction
                  limit 1), '{}'),
       null, null, null, 'prepared', extract(epoch from clock_timestamp() - p.prepared)::float8, p.gid, p.owner::text
  from pg_catalog.pg_prepared_xacts p
 where p.database = pg_catalog.current_database()
 order by 7 desc nulls last, 1

-- name: room
-- Remaining sessions of each limit, this session excluded; the limits of roles and databases do not apply to superusers.
with me as (
    select r.oid, r.rolname, r.rolsuper, r.rolconnlimit from pg_catalog.pg_roles r where r.rolname = session_user
),
used as materialized (
    select a.usesysid, a.datid from pg_catalog.pg_stat_activity a
     where a.datid is not null and a.usesysid is not null and a.pid <> pg_catalog.pg_backend_pid()
)
select 'role', me.rolname::text, me.rolconnlimit, (select count(*) from used u where u.usesysid = me.oid)
  from me where me.rolconnlimit >= 0 and not me.rolsuper
 union all
select 'database', d.datname::text, d.datconnlimit, (select count(*) from used u where u.datid = d.oid)
  from pg_catalog.pg_database d, me
 where d.datname = pg_catalog.current_database() and d.datconnlimit >= 0 and not me.rolsuper
 union all
select 'server', '',
       (select sum(case when s.name = 'max_connections' then 1 else -1 end * s.setting::integer)::integer
          from pg_catalog.pg_settings s
         where s.name = 'max_connections'
            or s.name in ('superuser_reserved_connections', 'reserved_connections') and not me.rolsuper),
       (select count(*) from used)
  from me

-- name: standby
select pg_catalog.pg_is_in_recovery()
