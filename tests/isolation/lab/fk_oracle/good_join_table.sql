-- Both parents are asked for.
alter table app.notes add unique (id);
alter table app.comments add unique (id);
create table app.marks (note_id uuid not null references app.notes (id), comment_id uuid not null references app.comments (id));
alter table app.marks enable row level security, force row level security;
create policy owner_all on app.marks to lab_owner using (true) with check (true);
grant insert on app.marks to authenticated;
create policy add on app.marks for insert to authenticated with check (
    array(select n.id from app.notes as n where n.org_id = any ((select hidden.orgs('guest'))::uuid[])) @> array[note_id]
    and array(select n.id from app.comments as n where n.org_id = any ((select hidden.orgs('guest'))::uuid[])) @> array[comment_id]);
