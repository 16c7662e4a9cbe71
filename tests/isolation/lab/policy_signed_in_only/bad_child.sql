-- fires: app.drafts
create table app.drafts (id uuid primary key default gen_random_uuid(), org uuid not null, note_id uuid not null, body text,
    foreign key (org, note_id) references app.notes (org_id, id));
alter table app.drafts enable row level security, force row level security;
create policy owner_all on app.drafts to lab_owner using (true) with check (true);
grant select on app.drafts to authenticated;
create policy see on app.drafts for select to authenticated using ((select auth.uid()) is not null);
