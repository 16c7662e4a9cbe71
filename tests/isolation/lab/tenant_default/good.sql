alter table app.notes alter column org_id set default (auth.jwt() ->> 'org')::uuid;
