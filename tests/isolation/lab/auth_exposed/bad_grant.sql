-- fires: auth.users
create table auth.users (id uuid primary key, email text);
grant select (email) on auth.users to authenticated;
