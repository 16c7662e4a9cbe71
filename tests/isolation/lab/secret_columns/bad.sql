-- fires: app.members.api_key
alter table app.members add column api_key text;
