-- title: What a caller sees does not depend on a frozen time
-- level: warning
-- why: now() and CURRENT_TIMESTAMP are the time at which the transaction began. A caller who keeps one open keeps using a share or a membership that has expired.
-- fix: clock_timestamp() instead: (select clock_timestamp()) in a policy is evaluated once per statement. In a condition of the manifest see TA-163 of analyze. For a date: …::date.
-- uses: policies
with said as (
    select p.object, 'policy ' || quote_ident(p.name) || ' for ' || p.who as what, pg_get_expr(o.polqual, o.polrelid) as text,
           case when %(strict)s then 'warning' else 'info' end as level
      from policies as p
      join pg_policy as o on o.oid = p.oid
     where o.polqual is not null
     union all
    select p.oid::regprocedure::text, 'it', p.prosrc, 'warning'
      from pg_proc as p
     where p.pronamespace = to_regnamespace('tenantry') and p.proname in ('tenants', 'shared')
)
select s.object, s.what || ' asks ' || f.name || ', which stands still in an open transaction' as detail, s.level
  from said as s
 cross join lateral (
       select substring(regexp_replace(s.text, '''(?:[^'']|'''')*''', '', 'g') from
           '(?i)\m(now *\(\)|(?:transaction|statement)_timestamp *\(\)|current_(?:timestamp|date|time)\M|local(?:timestamp|time)\M)') as name) as f
 where f.name is not null
 order by 1, 2
