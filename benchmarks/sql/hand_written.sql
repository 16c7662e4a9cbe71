-- The whole of Clinic's transformation as one would write it by hand for this one database: set-based, no row looked up by
-- itself, keys and indexes behind the load, and where PostgreSQL can use a second core it is let to. It knows what Tenantry
-- finds out (which defects there are, which columns are empty), and makes the same tables, quarantine and list of merged rows.
--
-- Blocks run in order in one session. A block whose name begins with `each_` yields statements, which are run one by one, as
-- psql's \gexec does. `benchmarks/copying/hand.py` encrypts the tokens between `clinics` and `sources`.

-- name: settings
set work_mem = '256MB';
set maintenance_work_mem = '1GB';
set max_parallel_workers_per_gather = 2;
set parallel_setup_cost = 0;
set parallel_tuple_cost = 0;
set synchronous_commit = off;
set jit = off;

-- name: scratch
-- What is taken off the empty tables and put back behind the load; the functions are inlined by the planner.
create schema scratch;

create table scratch.filled (name) as
values ('clinics'), ('metric_definitions'), ('providers'), ('google_credentials'), ('spreadsheet_connections'),
       ('column_mappings'), ('profiles'), ('user_clinic_roles'), ('dashboards'), ('widgets'), ('goals'), ('metric_values');

create table scratch.kept as
select 1 as place, t.oid::regclass::text as name, t.relname, i.indexrelid::regclass::text as label,
       pg_get_indexdef(i.indexrelid) as statement
  from pg_index i join pg_class t on t.oid = i.indrelid join scratch.filled f on f.name = t.relname
 where t.relnamespace = 'clinic'::regnamespace
 union all
select case c.contype when 'f' then 3 else 2 end, t.oid::regclass::text, t.relname, c.conname::text,
       format('alter table %s add constraint %I %s', t.oid::regclass, c.conname,
              case c.contype when 'f' then pg_get_constraintdef(c.oid)
                             when 'p' then format('primary key using index %I', c.conname)
                             else format('unique using index %I', c.conname) end)
  from pg_constraint c join pg_class t on t.oid = c.conrelid
 where t.relnamespace = 'clinic'::regnamespace
   and (c.contype = 'f' or c.contype in ('p', 'u') and t.relname in (select name from scratch.filled))
 union all
select 4, t.oid::regclass::text, t.relname, 'triggers', format('alter table %s enable trigger user', t.oid::regclass)
  from pg_class t join scratch.filled f on f.name = t.relname where t.relnamespace = 'clinic'::regnamespace;

-- metric_values is made by CREATE TABLE AS, which alone can be filled by several processes: what else it needs is kept here.
create table scratch.attributes as
select 1 as place, string_agg(format('alter column %I set not null', a.attname), ', ') as statement
  from pg_attribute a where a.attrelid = 'clinic.metric_values'::regclass and a.attnum > 0 and a.attnotnull
 union all
select 1, string_agg(format('alter column %I set default %s', a.attname, pg_get_expr(d.adbin, d.adrelid)), ', ')
  from pg_attrdef d join pg_attribute a on (a.attrelid, a.attnum) = (d.adrelid, d.adnum)
 where d.adrelid = 'clinic.metric_values'::regclass
 union all
select 1, string_agg(format('add constraint %I %s', c.conname, pg_get_constraintdef(c.oid)), ', ')
  from pg_constraint c where c.conrelid = 'clinic.metric_values'::regclass and c.contype = 'c'
 union all
select 2, pg_get_triggerdef(g.oid) from pg_trigger g where g.tgrelid = 'clinic.metric_values'::regclass and not g.tgisinternal
 union all
select 2, case when d.objsubid = 0 then format('comment on table clinic.metric_values is %L', d.description)
               else format('comment on column clinic.metric_values.%I is %L', a.attname, d.description) end
  from pg_description d left join pg_attribute a on (a.attrelid, a.attnum) = (d.objoid, d.objsubid)
 where d.classoid = 'pg_class'::regclass and d.objoid = 'clinic.metric_values'::regclass;

create function scratch.new_id(kind text, old text) returns uuid language sql stable parallel safe as $$
    select case when length(old) = 36 and old ~ '^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$' then old::uuid
                else encode(overlay(overlay(
                     substr(sha256(convert_to(E'clinic\x1f' || kind || E'\x1f' || old, 'UTF8')), 1, 16)
                     placing '\x80'::bytea from 7) placing '\x80'::bytea from 9), 'hex')::uuid end
$$;

create function scratch.amount(given text) returns numeric language sql stable parallel safe as $$
    select case when given ~ '^-?\d+(\.\d+)?$' then given::numeric
                when given ~ '^\s*(-?\s*\$?\s*(\d{1,3}(,\d{3})*|\d+)(\.\d+)?|\(\s*\$?(\d{1,3}(,\d{3})*|\d+)(\.\d+)?\))\s*%?\s*$'
                then translate(given, '$,%() ', '')::numeric * case when given like '%(%' then -1 else 1 end
                     / case when given like '%\%%' then 100 else 1 end end
$$;

create function scratch.local_day(at timestamp, zone text) returns date language sql stable parallel safe as $$
    select case when at = at::date then at::date else (at at time zone 'UTC' at time zone zone)::date end
$$;

-- name: each_foreign_key_off
select format('alter table %s drop constraint %I', name, label) from scratch.kept where place = 3;

-- name: each_key_off
select format('alter table %s drop constraint %I', name, label) from scratch.kept where place = 2;

-- name: each_index_off
select format('drop index %s', i.indexrelid::regclass)
  from pg_index i join pg_class t on t.oid = i.indrelid join scratch.filled f on f.name = t.relname
 where t.relnamespace = 'clinic'::regnamespace;

-- name: each_trigger_off
select replace(statement, 'enable', 'disable') from scratch.kept where place = 4;

-- name: clinics
insert into clinic.clinics (id, legacy_id, name, location, status, time_zone, created_at, updated_at)
select scratch.new_id('clinics', s.id), s.id, s.name, s.location, s.status::clinic.active_status,
       coalesce(z.zone, 'America/New_York'), s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC'
  from public.clinics s
  left join (values ('Portland, ME', 'America/New_York'), ('Duluth, MN', 'America/Chicago'), ('Spokane, WA', 'America/Los_Angeles'),
                    ('Santa Fe, NM', 'America/Denver'), ('Savannah, GA', 'America/New_York'), ('Tucson, AZ', 'America/Phoenix'),
                    ('Tulsa, OK', 'America/Chicago'), ('Anchorage, AK', 'America/Anchorage'), ('Boise, ID', 'America/Boise'),
                    ('Honolulu, HI', 'Pacific/Honolulu')) as z (city, zone) on z.city = s.location;

insert into clinic.metric_definitions (id, legacy_id, name, description, data_type, calculation_formula, category, is_composite,
                                       created_at, updated_at)
select scratch.new_id('metric_definitions', id), id, name, description, data_type::clinic.metric_data_type, calculation_formula,
       category::clinic.metric_category, is_composite, created_at at time zone 'UTC', updated_at at time zone 'UTC'
  from public.metric_definitions;

insert into clinic.providers (clinic_id, id, legacy_id, name, provider_type, status, created_at, updated_at)
select scratch.new_id('clinics', clinic_id), scratch.new_id('providers', id), id, name, provider_type::clinic.provider_type,
       status::clinic.active_status, created_at at time zone 'UTC', updated_at at time zone 'UTC'
  from public.providers;

create table scratch.token (key text primary key, access_token bytea, refresh_token bytea);

-- name: sources
insert into clinic.google_credentials (clinic_id, id, legacy_id, owner_label, access_token_encrypted, refresh_token_encrypted,
                                       scope, expires_at, created_at, updated_at)
select scratch.new_id('clinics', s.clinic_id), scratch.new_id('data_sources/credential', s.id), s.id, s.name, t.access_token,
       t.refresh_token, array['https://www.googleapis.com/auth/spreadsheets.readonly'], s.expiry_date at time zone 'UTC',
       s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC'
  from public.data_sources s join scratch.token t on t.key = s.id;

insert into clinic.spreadsheet_connections (clinic_id, id, legacy_id, credential_id, name, spreadsheet_id, spreadsheet_name,
                                            sheet_names, sync_status, sync_frequency, app_script_id, last_synced_at, created_at,
                                            updated_at)
select scratch.new_id('clinics', clinic_id), scratch.new_id('data_sources', id), id, scratch.new_id('data_sources/credential', id),
       name, spreadsheet_id, name, array[sheet_name],
       case connection_status when 'connected' then 'active' when 'disconnected' then 'paused'
                              else connection_status end::clinic.sync_status,
       sync_frequency, app_script_id, last_synced_at at time zone 'UTC', created_at at time zone 'UTC',
       updated_at at time zone 'UTC'
  from public.data_sources;

insert into clinic.column_mappings (clinic_id, id, legacy_id, connection_id, metric_definition_id, sheet_name, column_name,
                                    transformation_rule, mapping_config, created_at, updated_at)
select c.clinic_id, scratch.new_id('column_mappings', s.id), s.id, c.id,
       scratch.new_id('metric_definitions', s.metric_definition_id), '', s.column_name, s.transformation_rule,
       jsonb_strip_nulls(jsonb_build_object('column', s.column_name, 'rule', s.transformation_rule)),
       s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC'
  from public.column_mappings s join clinic.spreadsheet_connections c on c.legacy_id = s.data_source_id;

-- name: people
insert into clinic.profiles (id, legacy_id, auth_user_id, email, name, last_login_at, created_at, updated_at)
select scratch.new_id('users', id), id, scratch.new_id('users/account', id), lower(btrim(email)), name,
       last_login at time zone 'UTC', created_at at time zone 'UTC', updated_at at time zone 'UTC'
  from public.users where lower(btrim(email)) ~ '^[a-z0-9._%+-]+@[a-z0-9-]+(\.[a-z0-9-]+)+$';

insert into tenantry.quarantine (run_id, mapping, source_table, source_key, original, problems, reason, column_name)
select 1, 'profiles', 'users', s.id, to_jsonb(s), p.problem || ':email', p.problem, 'email'
  from public.users s
  cross join lateral (select case when btrim(s.email) = '' then 'value_missing' else 'value_invalid' end as problem) p
 where not exists (select from clinic.profiles p where p.legacy_id = s.id);

insert into tenantry.change (mapping, source_table, source_key, column_name, original, carried, rule)
select 'profiles', 'users', s.id, 'email', to_jsonb(s.email), to_jsonb(p.email), 'normalised'
  from public.users s join clinic.profiles p on p.legacy_id = s.id where p.email <> s.email;

with ranked as (
  select p.ctid as place, first_value(legacy_id) over w as into_key, row_number() over w as number
    from clinic.profiles p window w as (partition by email order by created_at, legacy_id)
), gone as (
  delete from clinic.profiles p using ranked r where p.ctid = r.place and r.number > 1
  returning p.legacy_id, r.into_key, to_jsonb(p) as derived
)
insert into tenantry.merged (mapping, source_table, source_key, into_key, reason, original, derived)
select 'profiles', 'users', g.legacy_id, g.into_key, 'same e-mail address but for case or blanks', to_jsonb(s), g.derived
  from gone g join public.users s on s.id = g.legacy_id;

create table scratch.person as
select s.id as key, p.id as profile_id, p.legacy_id as owner
  from public.users s left join tenantry.merged m on (m.mapping, m.source_key) = ('profiles', s.id)
  join clinic.profiles p on p.legacy_id = coalesce(m.into_key, s.id);

insert into clinic.user_clinic_roles (clinic_id, id, legacy_id, profile_id, role, created_at, updated_at)
select scratch.new_id('clinics', s.clinic_id), scratch.new_id('users/membership', s.id), s.id, p.profile_id,
       case s.role when 'office_manager' then 'clinic_admin' when 'dentist' then 'provider' when 'front_desk' then 'staff'
                   when 'admin' then 'viewer' end::clinic.clinic_role,
       s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC'
  from public.users s join scratch.person p on p.key = s.id;

insert into tenantry.quarantine (run_id, mapping, source_table, source_key, original, problems, reason, column_name,
                                 parent_mapping, parent_table, parent_key)
select 1, 'user_clinic_roles', 'users', s.id, to_jsonb(s), 'reference_missing:profile_id', 'parent_quarantined', 'profile_id',
       'profiles', 'users', s.id
  from public.users s where not exists (select from scratch.person p where p.key = s.id);

with ranked as (
  select r.ctid as place, first_value(legacy_id) over w as into_key, row_number() over w as number
    from clinic.user_clinic_roles r window w as (partition by clinic_id, profile_id order by role desc, created_at, legacy_id)
), gone as (
  delete from clinic.user_clinic_roles t using ranked r where t.ctid = r.place and r.number > 1
  returning t.legacy_id, r.into_key, to_jsonb(t) as derived
)
insert into tenantry.merged (mapping, source_table, source_key, into_key, reason, original, derived)
select 'user_clinic_roles', 'users', g.legacy_id, g.into_key, 'two accounts of one person in one clinic', to_jsonb(s), g.derived
  from gone g join public.users s on s.id = g.legacy_id;

insert into auth.users (instance_id, id, aud, role, email, encrypted_password, confirmation_token, recovery_token,
                        email_change_token_new, email_change, email_change_token_current, phone_change, phone_change_token,
                        reauthentication_token, raw_app_meta_data, raw_user_meta_data, created_at, updated_at, is_sso_user,
                        is_anonymous)
select '00000000-0000-0000-0000-000000000000', p.auth_user_id, 'authenticated', 'authenticated', p.email, '', '', '', '', '', '',
       '', '', '', '{"provider": "email", "providers": ["email"]}'::jsonb
                   || case when bool_or(s.role = 'admin') then '{"super_admin": true}'::jsonb else '{}' end,
       '{}', p.created_at, p.updated_at, false, false
  from clinic.profiles p join scratch.person k on k.profile_id = p.id join public.users s on s.id = k.key
 group by p.auth_user_id, p.email, p.created_at, p.updated_at;

insert into auth.identities (provider_id, user_id, identity_data, provider, created_at, updated_at)
select id::text, id, jsonb_build_object('sub', id::text, 'email', email, 'email_verified', false, 'phone_verified', false),
       'email', created_at, updated_at
  from auth.users;

-- name: boards
insert into clinic.dashboards (clinic_id, id, legacy_id, profile_id, name, is_default, layout_config, created_at, updated_at)
select scratch.new_id('clinics', u.clinic_id), scratch.new_id('dashboards', s.id), s.id, p.profile_id, s.name, s.is_default,
       case when jsonb_typeof(s.layout_config -> 'widgets') = 'array' then jsonb_set(s.layout_config, '{widgets}', coalesce((
         select jsonb_agg(jsonb_set(w, '{id}', to_jsonb(scratch.new_id('widgets', k.id))) order by place)
           from jsonb_array_elements(s.layout_config -> 'widgets') with ordinality as e (w, place)
           join public.widgets k on k.id = w ->> 'id'), '[]')) else s.layout_config end,
       s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC'
  from public.dashboards s join scratch.person p on p.key = s.user_id join public.users u on u.id = s.user_id;

insert into tenantry.quarantine (run_id, mapping, source_table, source_key, original, problems, reason, column_name,
                                 parent_mapping, parent_table, parent_key)
select 1, 'dashboards', 'dashboards', s.id, to_jsonb(s), 'reference_missing:user_id;reference_missing:profile_id',
       'parent_quarantined', 'user_id', 'user_clinic_roles', 'users', s.user_id
  from public.dashboards s where not exists (select from scratch.person p where p.key = s.user_id);

insert into clinic.widgets (clinic_id, id, legacy_id, dashboard_id, metric_definition_id, widget_type, chart_type, position_x,
                            position_y, width, height, config, created_at, updated_at)
select d.clinic_id, scratch.new_id('widgets', s.id), s.id, d.id, m.id, s.widget_type::clinic.widget_type, s.chart_type,
       s.position_x, s.position_y, s.width, s.height,
       s.config
         || case when s.config ? 'metricDefinitionIds' then jsonb_build_object('metricDefinitionIds', coalesce((
              select jsonb_agg(k.id order by place)
                from jsonb_array_elements_text(s.config -> 'metricDefinitionIds') with ordinality as e (old, place)
                join clinic.metric_definitions k on k.legacy_id = old), '[]')) else '{}' end
         || case when s.config ? 'providerIds' then jsonb_build_object('providerIds', coalesce((
              select jsonb_agg(k.id order by place)
                from jsonb_array_elements_text(s.config -> 'providerIds') with ordinality as e (old, place)
                join clinic.providers k on k.legacy_id = old), '[]')) else '{}' end,
       s.created_at at time zone 'UTC', s.updated_at at time zone 'UTC'
  from public.widgets s
  join clinic.dashboards d on d.legacy_id = s.dashboard_id
  left join clinic.metric_definitions m on m.legacy_id = s.metric_definition_id;

insert into tenantry.quarantine (run_id, mapping, source_table, source_key, original, problems, reason, column_name,
                                 parent_mapping, parent_table, parent_key)
select 1, 'widgets', 'widgets', s.id, to_jsonb(s), 'reference_missing:dashboard_id', 'parent_quarantined', 'dashboard_id',
       'dashboards', 'dashboards', s.dashboard_id
  from public.widgets s where not exists (select from clinic.dashboards d where d.legacy_id = s.dashboard_id);

insert into tenantry.change (mapping, source_table, source_key, column_name, original, carried, rule)
select 'dashboards', 'dashboards', s.id, 'layout_config', s.layout_config, d.layout_config, 'corrected'
  from public.dashboards s join clinic.dashboards d on d.legacy_id = s.id
 where jsonb_array_length(s.layout_config -> 'widgets') <> jsonb_array_length(d.layout_config -> 'widgets')
 union all
select 'widgets', 'widgets', s.id, 'config', s.config, w.config, 'corrected'
  from public.widgets s join clinic.widgets w on w.legacy_id = s.id
 where jsonb_array_length(s.config -> 'metricDefinitionIds') <> jsonb_array_length(w.config -> 'metricDefinitionIds')
    or jsonb_array_length(s.config -> 'providerIds') <> jsonb_array_length(w.config -> 'providerIds');

-- name: goals
create table scratch.goal as
select s.id, coalesce(c.id, p.clinic_id) as clinic_id, m.id as metric_definition_id, p.id as provider_id,
       scratch.local_day(s.start_date, c.time_zone) as start_date, scratch.local_day(s.end_date, c.time_zone) as end_date,
       scratch.amount(s.target_value)::numeric(20,4) as target_value,
       btrim(s.target_value) in ('', 'N/A') as missing
  from public.goals s
  left join clinic.providers p on p.legacy_id = s.provider_id
  left join public.providers q on q.id = s.provider_id
  left join clinic.clinics c on c.legacy_id = coalesce(s.clinic_id, q.clinic_id)
  join clinic.metric_definitions m on m.legacy_id = s.metric_definition_id;

create table scratch.bad_goal as
select id, concat_ws(';', case when clinic_id is null then 'tenant_missing' end,
                     case when missing then 'value_missing:target_value'
                          when target_value is null then 'value_invalid:target_value' end,
                     case when end_date < start_date then 'rule_broken:goals_period_check' end) as problems
  from scratch.goal where clinic_id is null or target_value is null or end_date < start_date;

insert into clinic.goals (clinic_id, id, legacy_id, metric_definition_id, provider_id, time_period, start_date, end_date,
                          target_value, created_at, updated_at)
select g.clinic_id, scratch.new_id('goals', s.id), s.id, g.metric_definition_id, g.provider_id,
       s.time_period::clinic.time_period, g.start_date, g.end_date, g.target_value, s.created_at at time zone 'UTC',
       s.updated_at at time zone 'UTC'
  from public.goals s join scratch.goal g on g.id = s.id where s.id not in (select id from scratch.bad_goal);

insert into tenantry.quarantine (run_id, mapping, source_table, source_key, original, problems, reason, column_name)
select 1, 'goals', 'goals', s.id, to_jsonb(s), b.problems, first[1], first[2]
  from public.goals s join scratch.bad_goal b on b.id = s.id
 cross join lateral string_to_array(split_part(b.problems, ';', 1), ':') as first;

-- name: lookups
-- Not temporary tables: those keep other processes out.
create unlogged table scratch.clinic as
select legacy_id as old, id as clinic_id, time_zone as zone from clinic.clinics;
create unlogged table scratch.provider as
select p.legacy_id as old, p.id as new, p.clinic_id, c.time_zone as zone
  from clinic.providers p join clinic.clinics c on c.id = p.clinic_id;
create unlogged table scratch.source as
select s.legacy_id as old, s.id as new, s.clinic_id, c.time_zone as zone
  from clinic.spreadsheet_connections s join clinic.clinics c on c.id = s.clinic_id;
create unlogged table scratch.metric as
select legacy_id as old, id as new from clinic.metric_definitions;
analyze scratch.clinic, scratch.provider, scratch.source, scratch.metric;
drop table clinic.metric_values;

-- name: values
-- Rows that cannot stay are loaded too, without a clinic: cheaper than to judge two million rows twice.
create table clinic.metric_values as
select case when (c.clinic_id <> p.clinic_id or c.clinic_id <> d.clinic_id or p.clinic_id <> d.clinic_id) is not true
            then coalesce(c.clinic_id, p.clinic_id, d.clinic_id) end as clinic_id,
       scratch.new_id('metric_values', s.id) as id, s.id as legacy_id, m.new as metric_definition_id, p.new as provider_id,
       d.new as connection_id, scratch.local_day(s.date, coalesce(c.zone, p.zone, d.zone)) as date,
       scratch.amount(s.value)::numeric(20,4) as value,
       case s.source_type when 'spreadsheet' then 'spreadsheet'::clinic.metric_source
                          when 'form' then 'form'::clinic.metric_source end as source_type,
       s.source_sheet, s.external_id, s.created_at at time zone 'UTC' as created_at,
       s.updated_at at time zone 'UTC' as updated_at, null::uuid as created_by, null::uuid as updated_by
  from public.metric_values s
  left join scratch.metric m on m.old = s.metric_definition_id
  left join scratch.clinic c on c.old = s.clinic_id
  left join scratch.provider p on p.old = s.provider_id
  left join scratch.source d on d.old = s.data_source_id;

-- name: refused
create unlogged table scratch.refused as
select v.ctid as place, s.id,
       concat_ws(';', case when v.clinic_id is null and v.provider_id is null and v.connection_id is null and s.clinic_id is null
                           then 'tenant_missing' when v.clinic_id is null then 'tenant_conflict' end,
                 case when v.value is null and btrim(s.value) not in ('', 'N/A') then 'value_invalid:value' end) as problems
  from clinic.metric_values v join public.metric_values s on s.id = v.legacy_id
 where v.clinic_id is null or v.value is null;

insert into tenantry.quarantine (run_id, mapping, source_table, source_key, original, problems, reason, column_name)
select 1, 'metric_values', 'metric_values', s.id, to_jsonb(s), r.problems, first[1], first[2]
  from scratch.refused r join public.metric_values s on s.id = r.id
 cross join lateral string_to_array(split_part(r.problems, ';', 1), ':') as first
 where r.problems <> '';

delete from clinic.metric_values v using scratch.refused r where v.ctid = r.place and r.problems <> '';

-- name: twice
-- By sorting: the planner expects far fewer groups than there are and would fill a hash table that is too small.
set enable_hashagg = off;
create unlogged table scratch.twice as
select h from (select hash_record_extended(row(clinic_id, metric_definition_id, date, provider_id, source_type), 0) as h
                 from clinic.metric_values) v
 group by h having count(*) > 1;
reset enable_hashagg;
analyze scratch.twice;
create unlogged table scratch.same as
select v.ctid as place
  from clinic.metric_values v
 where hash_record_extended(row(clinic_id, metric_definition_id, date, provider_id, source_type), 0)
       in (select h from scratch.twice);

with ranked as (
  select s.place, first_value(legacy_id) over w as into_key, row_number() over w as number
    from scratch.same s join clinic.metric_values v on v.ctid = s.place
  window w as (partition by clinic_id, metric_definition_id, date, provider_id, source_type order by updated_at desc, legacy_id)
), gone as (
  delete from clinic.metric_values v using ranked r where v.ctid = r.place and r.number > 1
  returning v.legacy_id, r.into_key, to_jsonb(v) as derived
)
insert into tenantry.merged (mapping, source_table, source_key, into_key, reason, original, derived)
select 'metric_values', 'metric_values', g.legacy_id, g.into_key, 'the same day twice; the newer value stays', to_jsonb(s), g.derived
  from gone g join public.metric_values s on s.id = g.legacy_id;

-- name: each_attribute
select 'alter table clinic.metric_values ' || string_agg(statement, ', ') from scratch.attributes where place = 1
 union all
select statement from scratch.attributes where place = 2;

-- name: each_index
select statement from scratch.kept where place = 1 order by relname = 'metric_values' desc, statement;

-- name: each_key
select statement from scratch.kept where place = 2 order by relname;

-- name: each_foreign_key
select statement from scratch.kept where place = 3 order by relname;

-- name: each_trigger
select statement from scratch.kept where place = 4 order by relname;

-- name: statistics
drop schema scratch cascade;
analyze clinic.clinics, clinic.metric_definitions, clinic.providers, clinic.google_credentials, clinic.spreadsheet_connections,
        clinic.column_mappings, clinic.profiles, clinic.user_clinic_roles, clinic.dashboards, clinic.widgets, clinic.goals,
        clinic.metric_values;
