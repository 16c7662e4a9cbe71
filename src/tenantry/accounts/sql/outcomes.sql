-- name: fates
-- Every user with the outcome: the decision, quarantine, or the merge into another user.
select l.source_key, coalesce(held.word, same.word, l.situation) as situation,
       coalesce(p.{email}::text, q.original ->> {source_email}) as email,
       p.id as profile, u.id as account, l.detail
  from tenantry.account_link as l
  left join tenantry.quarantine as q on q.mapping = {mapping} and q.source_key = l.source_key and q.state = 'open'
  left join tenantry.merged as m on m.mapping = {mapping} and m.source_key = l.source_key
  left join {profiles} as p on p.legacy_id = coalesce(m.into_key, l.source_key)
  left join auth.users as u on u.id = p.{account}
  cross join lateral (select case when q.id is not null then 'quarantined' end as word) as held
  cross join lateral (select case when m.source_key is not null then 'merged' end as word) as same

-- name: counts
select situation, count(*), (array_agg(source_key order by source_key))[1:5] from ({fates}) as f group by 1

-- name: listed
select source_key, situation, email, profile, account, detail from ({fates}) as f
 where %(situations)s::text[] is null or situation = any (%(situations)s)
 order by situation, source_key limit %(limit)s
