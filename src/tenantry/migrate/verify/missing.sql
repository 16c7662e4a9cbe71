-- Rows that an application has written and that the active side lacks.

-- name: missing
with r as (
    select run.id, run.direction, run.source_schema, run.target_schema,
           (select max(e.at) from tenantry.event e where e.run_id = run.id and e.code = 'cut_over') as cut_over_at
      from tenantry.run run order by run.id desc limit 1
), found as (
    -- Written in the source since the cut-over, and in quarantine: earlier rows were known at the cut-over.
    select r.target_schema as lacking, q.source_table as table_name, q.source_key as key,
           concat_ws(': ', 'in quarantine', q.reason, coalesce(q.detail, q.column_name)) as reason
      from r join tenantry.quarantine q on q.state = 'open' and q.created_at >= r.cut_over_at
     where r.direction <> 'forward'
    union all
    -- Written in the target, and refused by the source.
    select r.source_schema, k.table_name, k.legacy_id,
           coalesce((select c.reason from tenantry.conflict c where c.table_name = k.table_name and c.legacy_id = k.legacy_id
                      and c.direction = 'reverse' order by c.id desc limit 1), k.reason)
      from r join tenantry.kept k on k.column_name = '' and k.reason like '%%refused: see tenantry.conflict'
     where r.direction <> 'reverse'
)
select f.lacking, f.table_name, f.key, f.reason, count(*) over () from found f order by 1, 2, 3 limit %(most)s

-- name: known
select exists (select from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
                where n.nspname = 'tenantry' and c.relname = 'run' and a.attname = 'manifest_digest')
       and to_regclass('tenantry.conflict') is not null
       and to_regclass('tenantry.kept') is not null
