-- title: No client may truncate a table, make triggers on it, reference it or maintain it
-- level: error
-- why: TRUNCATE bypasses policies and empties the table for all tenants; a trigger or a reference runs with other people's rights.
-- fix: revoke truncate, trigger, references on … from …, public. From PostgreSQL 17 on also maintain. What Supabase grants by
--   default (all) can be revoked without loss: its API uses none of these.
-- uses: grants
-- proof: yes
with held as (
    select r.object, g.who, string_agg(distinct g.privilege, ', ' order by g.privilege) as rights
      from relations as r
      join grants as g on g.oid = r.oid
     where r.relkind in ('r', 'p', 'v', 'm', 'f') and g.privilege not in ('SELECT', 'INSERT', 'UPDATE', 'DELETE')
     group by r.object, g.who
)
select object, rights || ' for ' || string_agg(who, ', ' order by who) as detail from held group by object, rights order by 1, 2
