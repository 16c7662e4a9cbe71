-- title: No default sets the caller before the application does
-- level: error
-- why: Without a context there must be no rows. A default of the role or the database makes every forgotten context a valid one.
-- fix: alter role … reset …; alter database … reset ….
-- uses: clauses, bodies
with settings as (
    select unnest(c.settings) as name from clauses as c
     union
    select unnest(b.settings) from bodies as b where b.caller
)
select '' as object,
       'setting ' || split_part(s.text, '=', 1) || ' is preset for '
       || case when d.setrole = 0 then 'all roles' else r.rolname::text end
       || case when d.setdatabase = 0 then '' else ' in this database' end || '; policies read it' as detail
  from pg_db_role_setting as d
 cross join lateral unnest(d.setconfig) as s (text)
  left join pg_roles as r on r.oid = d.setrole
 where d.setdatabase in (0, (select oid from pg_database where datname = current_database()))
   and split_part(s.text, '=', 2) <> ''
   -- The server's own settings describe formats, not the caller, except the role with which a session begins.
   and (split_part(s.text, '=', 1) ~ '[.]' or split_part(s.text, '=', 1) = 'role' and split_part(s.text, '=', 2) <> 'none')
   and split_part(s.text, '=', 1) !~ '^plpgsql[.]' -- settings of the language: how its functions run
   and lower(split_part(s.text, '=', 1)) in (select lower(name) from settings)
 order by 2
