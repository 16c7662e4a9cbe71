-- title: No statement can set the caller
-- level: warning
-- why: Every statement on the connection can SET a setting: with one SQL injection the attacker acts as any user.
-- fix: Seal the context (Tenantry's [context] sealed), so that only the application can open it; or be sure that only the
--   application, as PostgREST does, composes statements on these connections.
-- uses: clauses, bodies
with recursive called as (
    select unnest(c.calls) as oid from clauses as c
     union
    select unnest(b.calls) from called as a join bodies as b on b.oid = a.oid
), settings as (
    select unnest(c.settings) as name from clauses as c
     union
    -- With seal keys, Tenantry's own functions trust sealed claims only.
    select unnest(b.settings)
      from called as a
      join bodies as b on b.oid = a.oid
      join pg_proc as p on p.oid = a.oid
     where to_regclass('tenantry.seal_key') is null or p.pronamespace <> to_regnamespace('tenantry')
)
select '' as object, 'policies believe the setting ' || string_agg(name, ', ' order by name) as detail,
       case when bool_and(name like 'request.jwt.%%') then 'info' else 'warning' end as level
  from settings
 where name ~ '[.]'
having count(*) > 0
