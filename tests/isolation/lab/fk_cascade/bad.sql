-- fires: app.reminders
alter table app.notes add unique (id);
create table app.reminders (
    org_id uuid not null references app.orgs (id), id uuid not null, note_id uuid references app.notes (id) on delete cascade,
    primary key (org_id, id));
alter table app.reminders enable row level security, force row level security;
