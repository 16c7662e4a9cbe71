-- title: No function contains a key in its text
-- level: warning
-- why: Every login can read the text of every function, and policies do not bind a caller who has a key of the service.
-- fix: Keep keys where clients cannot read them, e.g. in a vault or a table without grants, read them there when needed, and
--   replace the exposed key.
-- uses: bodies
select p.oid::regprocedure::text as object, 'its text holds what looks like a key or a token' as detail
  from bodies as b
  join pg_proc as p on p.oid = b.oid
 where b.secret
 order by 1
