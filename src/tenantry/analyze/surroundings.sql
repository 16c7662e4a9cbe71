-- What else lives in a database and meets what a run makes.

-- name: publications
-- Publications of every table, also of those that are made later. Tables without an
-- identity refuse the updates and deletes that these publish.
select p.pubname::text, p.puballtables, p.pubupdate or p.pubdelete
  from pg_catalog.pg_publication p
 where p.puballtables
 order by 1

-- name: event_triggers
-- Enabled event triggers that run when tables are made or altered, with the function that each calls.
select e.evtname::text, format('%I.%I', n.nspname, f.proname)
  from pg_catalog.pg_event_trigger e
  join pg_catalog.pg_proc f on f.oid = e.evtfoid
  join pg_catalog.pg_namespace n on n.oid = f.pronamespace
 where e.evtenabled <> 'D' and e.evtevent in ('ddl_command_start', 'ddl_command_end', 'sql_drop', 'table_rewrite')
   and not exists (select from pg_catalog.pg_depend d
                    where d.classid = 'pg_event_trigger'::regclass and d.objid = e.oid and d.deptype = 'e')
 order by 1

-- name: probe
-- A table as a run makes them, and one for a session; in a transaction that is rolled back.
create schema tenantry_probe;
create table tenantry_probe.made (id integer primary key);
create temporary table tenantry_probe_made (id integer);

-- name: probed
-- What became of them: row-level security is on, and binds the owner too; which are published.
select c.relpersistence = 't', c.relrowsecurity, c.relforcerowsecurity
  from pg_catalog.pg_class c
 where c.oid in ('tenantry_probe.made'::regclass, 'pg_temp.tenantry_probe_made'::regclass)

-- name: temporary_for_all
-- Whether everybody may make temporary objects in this database, which the script of the roles forbids.
select exists (select from pg_catalog.pg_database d,
                      pg_catalog.aclexplode(coalesce(d.datacl, pg_catalog.acldefault('d', d.datdba))) g
                where d.datname = pg_catalog.current_database() and g.grantee = 0 and g.privilege_type = 'TEMPORARY')

-- name: outside
-- Triggers of tables that are not carried over, with what their functions say: one may write a table that is.
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
