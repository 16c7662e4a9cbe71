-- Statements of a reverse round on its session's tables and on the journal.

-- name: tables
-- Temporary tables: the rows of the round, and the rows that stay in the target only.
create temporary table if not exists tenantry_look (table_name text not null, legacy_id text not null,
    digest text generated always as (md5(legacy_id)) stored, primary key (table_name, digest)) on commit delete rows;
create temporary table if not exists tenantry_keep (source_table text, table_name text, legacy_id text, column_name text, reason text) on commit delete rows;
create temporary table if not exists tenantry_placed (table_name text, legacy_id text) on commit delete rows;
create temporary table if not exists tenantry_examined (table_name text, legacy_id text) on commit delete rows;
create temporary table if not exists tenantry_refused (key text, kind text, reason text) on commit delete rows;
delete from tenantry_look;
delete from tenantry_keep;
delete from tenantry_placed;
delete from tenantry_examined

-- name: list_kept
-- Rows that agree again leave the list; changed reasons are updated.
delete from tenantry.kept k using (select distinct table_name, legacy_id from tenantry_examined) e
 where k.table_name = e.table_name and k.legacy_id = e.legacy_id
   and not exists (select from tenantry_keep n where (n.table_name, n.legacy_id, n.column_name) = (k.table_name, k.legacy_id, k.column_name));
insert into tenantry.kept as k (table_name, legacy_id, column_name, reason)
select distinct on (table_name, legacy_id, column_name) table_name, legacy_id, column_name, reason from tenantry_keep
 order by table_name, legacy_id, column_name, reason
on conflict (table_name, md5(legacy_id), column_name) do update set reason = excluded.reason, at = clock_timestamp()
 where k.reason <> excluded.reason

-- name: waiting
-- Rows that were kept because the source lacked a parent, which may exist by now.
insert into tenantry_look
select distinct k.table_name, k.legacy_id from tenantry.kept k where k.reason = any (%(reasons)s)
on conflict do nothing
returning table_name
