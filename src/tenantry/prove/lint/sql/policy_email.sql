-- title: No policy identifies people by their e-mail address
-- level: warning
-- why: An address changes hands, and an account can be made with one that was never verified: its rows then belong to the new holder.
-- fix: Compare the account's id; keep the address for invitations that the service checks.
-- uses: clauses
select c.object, 'policy ' || quote_ident(c.name) || ' for ' || c.who || ': ' || c.clause || ' compares the caller''s e-mail address'
       as detail
  from clauses as c
 where ('email' = any (c.texts) and c.callers <> '{}')
    or exists (select from unnest(c.callers) as f (oid) join pg_proc as p on p.oid = f.oid where p.proname = 'email')
 order by 1, 2
