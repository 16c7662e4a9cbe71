-- fires: app.people
create table auth.users (id uuid primary key, email text, encrypted_password text);
create view app.people as select id, email from auth.users;
grant select on app.people to authenticated;
