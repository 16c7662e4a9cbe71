create table app.reminders (
    org_id uuid not null references app.orgs (id), id uuid not null, note_id uuid,
    primary key (org_id, id), foreign key (org_id, note_id) references app.notes (org_id, id) on delete cascade);
alter table app.reminders enable row level security, force row level security;
