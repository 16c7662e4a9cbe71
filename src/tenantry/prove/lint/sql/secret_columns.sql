-- title: Clients read no column with the name of a secret
-- level: warning
-- why: Policies allow whole rows: every member of the tenant can read the token or hash in such a column.
-- fix: revoke select on … from …, then grant it again column by column without these.
-- uses: grants, clauses
select r.object || '.' || quote_ident(a.attname) as object, string_agg(distinct g.who, ', ' order by g.who) || ' may read it' as detail
  from relations as r
  join pg_attribute as a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
  join pg_type as t on t.oid = a.atttypid
  join grants as g on g.oid = r.oid and g.number in (0, a.attnum) and g.privilege = 'SELECT'
 where r.relkind in ('r', 'p', 'v', 'm')
   and t.typcategory in ('S', 'U') and t.typname not in ('uuid', 'timestamptz', 'date')
   and a.attname ~* ('(^|_)(password|passwd|passphrase|secret|token|api_?key|private_?key|access_?key|secret_?key|credentials?'
                     || '|otp|totp|cvv|cvc|ssn)(s|_hash|_encrypted|_digest)?$')
   -- A right that no policy makes usable shows no row.
   and (%(strict)s or not r.relrowsecurity
        or exists (
           select from policies as p
            where p.relation = r.oid and p.permissive and p.command in ('r', '*')
              and not exists (select from clauses as c where c.oid = p.oid and c.never)))
 group by r.object, a.attname
 order by 1
