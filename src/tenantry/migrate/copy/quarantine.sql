-- The quarantine, for display and retries.

-- name: entries
select id, mapping, source_table, source_key, reason, column_name, problems, parent_table, parent_key, original, patch, state,
       detail, created_at
  from tenantry.quarantine
 where state = 'open'
   and (%(table)s::text is null or source_table = %(table)s or split_part(mapping, '.', 1) = %(table)s)
   and (%(reason)s::text is null or reason = %(reason)s)
   and (%(ids)s::bigint[] is null or id = any (%(ids)s))
 order by id
 limit %(limit)s::bigint

-- name: keep_refused
-- Rows that were refused again have new entries: the old entry takes over their reasons, and stays open.
with again as (
    delete from tenantry.quarantine n
     using tenantry.quarantine o
     where o.id = any (%(ids)s) and n.mapping = %(mapping)s and n.state = 'open'
       and n.source_key = o.source_key and n.mapping = o.mapping and n.id <> o.id
    returning o.id, n.problems, n.reason, n.column_name, n.detail, n.parent_mapping, n.parent_table, n.parent_key
)
update tenantry.quarantine q
   set state = 'open', closed_at = null, problems = a.problems, reason = a.reason, column_name = a.column_name,
       detail = a.detail, parent_mapping = a.parent_mapping, parent_table = a.parent_table, parent_key = a.parent_key
  from again a
 where q.id = a.id
