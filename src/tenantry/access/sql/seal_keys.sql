-- name: exists
-- Whether this database has sealed contexts.
select to_regclass('tenantry.seal_key') is not null

-- name: listed
-- The keys by age: name, since when, until when, and whether they open contexts now. Never the keys themselves.
select kid, created_at, not_after, not_after is null or not_after > now()
  from tenantry.seal_key
 order by created_at, kid

-- name: retire
-- From `seconds` on from now the key opens nothing, and the contexts that it opened become invalid.
update tenantry.seal_key
   set not_after = now() + make_interval(secs => %(seconds)s)
 where kid = %(kid)s
returning not_after
