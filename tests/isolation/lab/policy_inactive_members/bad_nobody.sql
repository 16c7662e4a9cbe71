-- fires: app.members.suspended_at
alter table app.members add suspended_at timestamptz;
