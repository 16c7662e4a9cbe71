-- title: Clients neither read nor set sequences
-- level: error
-- why: The last value reveals how many rows all tenants have made; setval() can make others' inserts fail.
-- fix: revoke select, update on sequence … from …; an insert needs only usage.
-- uses: grants
with held as (
    select r.object, g.who, string_agg(distinct g.privilege, ', ' order by g.privilege) as rights
      from relations as r
      join grants as g on g.oid = r.oid and g.privilege in ('SELECT', 'UPDATE')
     where r.relkind = 'S'
     group by r.object, g.who
)
select object, rights || ' for ' || string_agg(who, ', ' order by who) as detail,
       case when rights like '%%UPDATE%%' then 'error' else 'warning' end as level
  from held
 group by object, rights
 order by 1, 2
