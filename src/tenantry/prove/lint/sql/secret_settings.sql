-- title: No setting holds a secret
-- level: error
-- why: Every login can read the settings of databases, roles and functions. With the token secret a client can act as any user.
-- fix: alter database … reset …; alter role … reset …; keep the secret outside the database or in a table without grants, and replace it.
with said as (
    select s.text,
           case when d.setrole = 0 then 'the database' else 'role ' || r.rolname end as whose, '' as object
      from pg_db_role_setting as d
     cross join lateral unnest(d.setconfig) as s (text)
      left join pg_roles as r on r.oid = d.setrole
     where d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
     union all
    select s.text, 'the function', p.oid::regprocedure::text
      from pg_proc as p
     cross join lateral unnest(p.proconfig) as s (text)
)
select object, 'setting ' || split_part(text, '=', 1) || ' of ' || whose || ' has the name of a secret, and everybody may read it' as detail
  from said
 where split_part(text, '=', 1) ~* '[.].*(secret|passw|token|credential|(api|private|service|signing|jwt|access)_?key)'
   and split_part(text, '=', 2) not in ('', '""')
 order by 1, 2
