-- Selects the given tables in which row-level security may hide a row from the acting role, or keep it from writing one: it
-- is active, and either some command has no policy that allows this role every row, or a restrictive policy takes that away.
select w.named, pg_get_userbyid(c.relowner)::text, current_user::text, c.relforcerowsecurity
  from unnest(%(names)s::text[]) with ordinality w (named, place)
  join pg_catalog.pg_class c on c.oid = to_regclass(w.named)
 where pg_catalog.row_security_active(c.oid)
   and exists (
       select from unnest('{r,a,w,d}'::"char"[]) m (command)
       cross join lateral (
           select count(*) filter (where p.polpermissive and x.everything) as opening,
                  count(*) filter (where not p.polpermissive and not x.everything) as closing
             from pg_catalog.pg_policy p
            cross join lateral (
                select coalesce(pg_get_expr(p.polqual, p.polrelid), 'true') = 'true'
                   and coalesce(pg_get_expr(p.polwithcheck, p.polrelid), 'true') = 'true') x (everything)
            where p.polrelid = c.oid and p.polcmd in (m.command, '*')
              and exists (select from unnest(p.polroles) r (id)
                           where r.id = 0 or pg_has_role(current_user, r.id, 'USAGE'))) f
        where f.opening = 0 or f.closing > 0)
 order by w.place
