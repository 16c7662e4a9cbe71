-- title: No key stands in the text of a function
-- level: warning
-- why: Whoever runs a statement may read the text of every function, and with a key of the service no policy binds him any more.
-- mending: Keep keys where clients cannot read, as in a vault or a table without grants, read them there when they are needed, and
--   change the one that stood here.
-- uses: bodies
select p.oid::regprocedure::text as object, 'its text holds what looks like a key or a token' as detail
  from bodies as b
  join pg_proc as p on p.oid = b.oid
 where b.secret
 order by 1
