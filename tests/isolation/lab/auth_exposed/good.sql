create table auth.users (id uuid primary key, email text, encrypted_password text);
create view app.people with (security_invoker = true) as select m.org_id, m.user_id from app.members as m;
grant select on app.people to authenticated;
