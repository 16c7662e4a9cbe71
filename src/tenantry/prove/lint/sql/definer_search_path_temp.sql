-- title: Definer functions that clients call look into temporary objects last
-- level: warning
-- why: Unless pg_temp is named, it is searched first for tables and types: a temporary object of the caller replaces the one
--   that is meant. An empty search_path does not help: a type pg_temp.text still wins.
-- fix: alter function … set search_path = pg_catalog, pg_temp, and qualify the names in it.
-- uses: functions, callable, reach
select f.oid::regprocedure::text as object, case when f.prorettype = 'trigger'::regtype then 'triggers call it' else c.who || ' may call it' end || '; its search_path is '
       || coalesce(nullif(f.path, '""'), '''''') || ', without pg_temp at its end' as detail,
       case when exists (
           select from pg_database as d
            cross join lateral aclexplode(coalesce(d.datacl, acldefault('d', d.datdba))) as x
             join reach as h on h.grantee = x.grantee
            where d.datname = current_database() and x.privilege_type = 'TEMPORARY') then 'warning' else 'info' end as level
  from functions as f
  join callable as c on c.oid = f.oid
 where f.definer and f.path !~ '(^|,)\s*"?pg_temp"?\s*$'
 order by 1, 2
