alter table app.comments disable row level security;
drop policy see on app.comments;
drop policy add on app.comments;
drop policy owner_all on app.comments;
revoke all on app.comments from authenticated;
alter table app.comments enable row level security;
