-- Reads the rewrite rules and the extended statistics of all tables of the schema.
select r.ev_class as relation, 'rule' as kind, pg_get_ruledef(r.oid) as definition
from pg_class c
join pg_rewrite r on r.ev_class = c.oid and r.rulename <> '_RETURN'
where c.relnamespace = %(namespace)s and c.relkind in ('r', 'p', 'f')
union all
select s.stxrelid, 'statistics', pg_get_statisticsobjdef(s.oid)
from pg_class c
join pg_statistic_ext s on s.stxrelid = c.oid
where c.relnamespace = %(namespace)s and c.relkind in ('r', 'p', 'f')
