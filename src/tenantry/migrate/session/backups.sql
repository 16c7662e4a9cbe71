-- What a server shows every login about its backups. No value of a setting that may contain a secret leaves the server.

-- name: look
select current_setting('wal_level') as wal_level,
       current_setting('archive_mode') as archive_mode,
       -- The archiving program without its arguments, which may contain a password.
       coalesce((select substring(setting from '(?i)(pgbackrest|wal-g|wal-e|barman|pg_probackup|pgmoneta|envdir)')
                   from pg_settings where name = 'archive_command'), '') as archive_tool,
       -- PostgreSQL shows '(disabled)' if archive_mode is off.
       coalesce((select setting not in ('', '(disabled)') from pg_settings where name = 'archive_command'), false)
           or coalesce((select setting <> '' from pg_settings where name = 'archive_library'), false) as has_command,
       a.archived_count::bigint as archived,
       extract(epoch from clock_timestamp() - a.last_archived_time)::float8 as archived_ago,
       a.failed_count::bigint as failed,
       extract(epoch from clock_timestamp() - a.last_failed_time)::float8 as failed_ago,
       coalesce(a.last_failed_time > coalesce(a.last_archived_time, '-infinity'), false) as failing,
       (select count(*) from pg_stat_replication where application_name !~* '(receivewal|basebackup|barman|receive_wal)') as standbys,
       (select count(*) from pg_stat_replication where application_name ~* '(receivewal|barman|receive_wal)') as receivers,
       (select count(*) from pg_stat_progress_basebackup) as running,
       array(select slot_name::text from pg_replication_slots where slot_type = 'physical' and not active
              order by slot_name limit 5) as idle_slots,
       (select count(*) from pg_replication_slots where slot_type = 'physical' and active) as slots,
       pg_is_in_recovery() as standby,
       array(select distinct split_part(name, '.', 1) from pg_settings where strpos(name, '.') > 0) as prefixes,
       array(select rolname::text from pg_roles) as roles,
       current_setting('is_superuser') = 'on' or pg_has_role('pg_read_all_stats', 'usage') as sees_all,
       has_function_privilege('pg_ls_waldir()', 'execute') as may_list_wal
  from pg_stat_archiver a

-- name: base_backup
-- With archiving, the end of each base backup leaves a history file in the WAL directory, until the end of the next one.
select extract(epoch from clock_timestamp() - max(modification))::float8 from pg_ls_waldir() where name like '%.backup'
