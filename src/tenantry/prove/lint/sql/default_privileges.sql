-- title: No object that is made later is open to clients by default
-- level: error
-- why: The next table is readable before row-level security is enabled on it.
-- fix: alter default privileges for role … in schema … revoke all on tables from …; grant the intended rights explicitly.
-- uses: reach
with opened as (
    select coalesce(quote_ident(n.nspname), '') as object, o.rolname::text as maker, h.who, d.defaclobjtype as kind,
           string_agg(distinct x.privilege_type, ', ' order by x.privilege_type) as rights
      from pg_default_acl as d
      join pg_roles as o on o.oid = d.defaclrole
      left join pg_namespace as n on n.oid = d.defaclnamespace
     cross join lateral aclexplode(d.defaclacl) as x
      join reach as h on h.grantee = x.grantee
     where (n.oid is null or n.nspname = any (%(schemas)s::text[]))
       and d.defaclobjtype <> 'T'
       -- EXECUTE for PUBLIC is PostgreSQL's own default; the check default_functions covers it.
       and not (d.defaclobjtype = 'f' and x.grantee = 0 and n.oid is null)
     group by n.nspname, o.rolname, h.who, d.defaclobjtype
)
select object, 'what ' || maker || ' makes' || case when object = '' then ' in any schema' else '' end || ': ' || rights || ' on '
       || case kind when 'r' then 'tables' when 'S' then 'sequences' when 'f' then 'functions' when 'n' then 'schemas'
               when 'L' then 'large objects' else 'types' end
       || ' for ' || string_agg(who, ', ' order by who) as detail,
       case when bool_or(who = 'PUBLIC') and kind in ('r', 'S') then 'error' else 'warning' end as level
  from opened
 group by object, maker, kind, rights
 order by 1, 2
