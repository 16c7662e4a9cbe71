-- title: Definer functions compose no statement from unquoted arguments
-- level: error
-- why: A quote in the argument ends the literal, and the rest runs with the rights of the function's owner.
-- fix: execute … using $1 for values, format('%I', …) for names. With format, %s quotes nothing.
-- uses: functions, callable
select f.oid::regprocedure::text as object, c.who || ' may call it; it executes text that it puts together without quoting' as detail
  from functions as f
  join callable as c on c.oid = f.oid
 where f.definer and f.dynamic and f.pronargs > 0
 order by 1
