alter table app.members add column api_key text;
revoke select on app.members from authenticated;
grant select (org_id, user_id, role) on app.members to authenticated;
