-- The policy requires a sign-in, so no anonymous client passes.
create table app.signups (id uuid primary key default gen_random_uuid(), user_id uuid, at timestamptz not null default now());
alter table app.signups enable row level security, force row level security;
grant insert on app.signups to anon;
create policy sign on app.signups for insert to anon with check (user_id = (select auth.uid()));
