-- title: Clients use no foreign server, and no user mapping is for PUBLIC
-- level: error
-- why: A role that may use the server, and has or inherits a login there, reads the other database as that login.
-- fix: revoke usage on foreign server … from …, public; revoke usage on foreign data wrapper …; drop user mapping for public ….
-- uses: reach
select quote_ident(s.srvname) as object, h.who || ' may use the foreign server' as detail
  from pg_foreign_server as s
 cross join lateral aclexplode(coalesce(s.srvacl, acldefault('S', s.srvowner))) as x
  join reach as h on h.grantee = x.grantee
 union
select quote_ident(w.fdwname), h.who || ' may use the foreign data wrapper'
  from pg_foreign_data_wrapper as w
 cross join lateral aclexplode(coalesce(w.fdwacl, acldefault('F', w.fdwowner))) as x
  join reach as h on h.grantee = x.grantee
 union
select quote_ident(m.srvname), h.who || ' has a login there'
  from pg_user_mappings as m
  join reach as h on h.grantee = m.umuser
 order by 1, 2
