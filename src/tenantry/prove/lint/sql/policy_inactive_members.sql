-- title: Every query of memberships tests whether they are active
-- level: error
-- why: A member who was suspended, removed or only invited keeps reading and writing here, while the rest of the application
--   refuses them.
-- fix: Test the flag here too; or query memberships in a single function that all policies call.
-- uses: clauses, bodies, callable
-- needs: membership
with flags as (
    select a.attnum::int as number, a.attname::text as name
      from pg_attribute as a
     where a.attrelid = %(membership)s and a.attnum > 0 and not a.attisdropped
       and a.attname ~* ('^(is_)?(active|enabled|suspended|disabled|blocked|banned|revoked|removed|deleted|archived|accepted|confirmed|approved)$'
                         || '|^(deleted|left|suspended|revoked|removed|disabled|ended|expires?|accepted|confirmed|approved)_(at|on)$|^(status|state)$')
), called as (
    select c.oid as policy, unnest(c.calls) as oid from clauses as c
     union
    select c.policy, unnest(b.calls) from called as c join bodies as b on b.oid = c.oid
), asks as (
    select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause as said,
           array(select jsonb_array_elements_text(a.value -> 'columns')::int) as columns
      from clauses as c
     cross join lateral jsonb_array_elements(c.asked) as a
     where c.permissive and not c.never and a.value -> 'columns' @> to_jsonb(%(member_number)s::int) and (a.value ->> 'relation')::oid = %(membership)s and (a.value ->> 'caller')::boolean
       and c.relation <> %(membership)s
     union all
    select b.oid::regprocedure::text, 'the function, which ' || case when b.oid in (select k.oid from called as k) then 'policies call' else 'clients call' end,
           array(select jsonb_array_elements_text(a.value -> 'columns')::int)
      from bodies as b
      join pg_proc as p on p.oid = b.oid
     cross join lateral jsonb_array_elements(b.asks) as a
     where (a.value ->> 'relation')::oid = %(membership)s and a.value -> 'columns' @> to_jsonb(%(member_number)s::int)
       and not (a.value ->> 'written')::boolean
       and (b.oid in (select k.oid from called as k)
            or p.prosecdef and (a.value ->> 'tied')::boolean and (a.value ->> 'caller')::boolean and b.oid in (select k.oid from callable as k))
)
select s.object, s.said || ' asks ' || %(membership)s::oid::regclass::text || ' without ' || quote_ident(f.name)
       || ', for which others ask' as detail, 'error' as level
  from asks as s
  join flags as f on not f.number = any (s.columns)
 where exists (select from asks as o where f.number = any (o.columns))
 union
select %(membership)s::oid::regclass::text || '.' || quote_ident(f.name), 'no policy asks for it: members of every kind have the same rights', 'warning'
  from flags as f
 where exists (select from asks) and not exists (select from asks as o where f.number = any (o.columns))
   and f.name !~* '(deleted|archived)'
 order by 1, 2
