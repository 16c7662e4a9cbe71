-- title: The tenants of the caller come from a table, not from the token
-- level: warning
-- why: A token is valid until it expires: a member who was removed from a tenant can keep reading with it.
-- fix: Compare the row's tenant with the memberships of the caller; or keep tokens short-lived, and allow the finding with that reason.
-- uses: clauses, bodies, tenant_columns
with recursive said as (
    select c.oid, c.clause, (f.value #>> '{}')::oid as function
      from clauses as c
      join tenant_columns as t on t.oid = c.relation
     cross join lateral jsonb_array_elements(c.compared) as e
     cross join lateral jsonb_array_elements(e -> 4) as f
     where (e ->> 0)::int = t.number and e ->> 2 = 'caller' and c.permissive and c.clause = 'USING'
       and jsonb_array_length(e -> 4) > 0
), reads as (
    select s.oid, s.clause, s.function from said as s
     union
    select r.oid, r.clause, unnest(b.calls) from reads as r join bodies as b on b.oid = r.function
), judged as (
    select r.oid, r.clause
      from reads as r
      left join bodies as b on b.oid = r.function
      left join pg_proc as p on p.oid = r.function
     group by r.oid, r.clause
    having bool_and(coalesce(b.reads = '{}', true))
       -- The caller's own id comes from the token by design.
       and bool_or(p.prorettype in ('json'::regtype, 'jsonb'::regtype) and coalesce(b.caller, false)
                   or coalesce(b.settings::text ~* 'jwt|claim', false) and p.prosrc !~ '''sub''')
)
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' takes the tenant from the token' as detail
  from clauses as c
  join judged as j on j.oid = c.oid and j.clause = c.clause
 where not %(user_owned)s and not %(strict)s
 order by 1, 2
