alter table app.notes disable row level security;
alter table app.notes enable row level security;
