-- name: exists
-- Whether this database has sealed contexts.
select to_regclass('tenantry.seal_key') is not null

-- name: listed
-- The keys by age: name, since when, until when, and whether they open contexts now. Never the keys themselves.
select kid, created_at, not_after, not_after is null or not_after > now()
  from tenantry.seal_key
 order by created_at, kid

-- name: retire
-- After `seconds` from now the key opens no context, and contexts that it opened become invalid.
update tenantry.seal_key
   set not_after = now() + make_interval(secs => %(seconds)s)
 where kid = %(kid)s
returning not_after

-- name: draw
-- A new secret, drawn and registered here: results reach no log, but parameters and texts of statements do, if log_statement,
-- log_min_duration_statement or similar settings say so. gen_random_uuid() uses the server's strong source, with 122 bits each.
-- The blocks are those of HMAC-SHA-256 (RFC 2104), as tenantry.postgres.seal makes them.
with drawn as materialized (
    select sha256(uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid()) || uuid_send(gen_random_uuid())) as secret
), padded as materialized (
    select d.secret, p.part, string_agg(set_byte('\x00', 0, case when i < 32 then get_byte(d.secret, i) else 0 end # p.pad), '' order by i) as block
      from drawn as d, (values ('inner', 54), ('outer', 92)) as p (part, pad), generate_series(0, 63) as i
     group by d.secret, p.part, p.pad
), derived as materialized (
    select u.use, sha256(o.block || sha256(i.block || convert_to(u.label, 'UTF8'))) as key
      from padded as i, padded as o, (values ('open', 'tenantry open v1'), ('context', 'tenantry context v1')) as u (use, label)
     where i.part = 'inner' and o.part = 'outer'
), blocks as materialized (
    select d.use || '_' || p.part as name,
           string_agg(set_byte('\x00', 0, case when i < 32 then get_byte(d.key, i) else 0 end # p.pad), '' order by i) as block
      from derived as d, (values ('inner', 54), ('outer', 92)) as p (part, pad), generate_series(0, 63) as i
     group by 1
), registered as (
    insert into tenantry.seal_key (kid, open_inner, open_outer, context_inner, context_outer)
    select %(kid)s, (select block from blocks where name = 'open_inner'), (select block from blocks where name = 'open_outer'),
           (select block from blocks where name = 'context_inner'), (select block from blocks where name = 'context_outer')
)
select secret from drawn
