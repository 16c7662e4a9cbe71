-- A key that clients change, and that is carried into rows of all tenants.
-- attacks: cascade_of_an_update

-- name: broken
alter table note add column code uuid not null default gen_random_uuid() unique;
alter table comment add column note_code uuid references note (code) on update cascade;
grant select (code), update (code) on note to authenticated;
grant select (note_code) on comment to authenticated;

-- name: mended
alter table note add column code uuid not null default gen_random_uuid(), add unique (org_id, code);
alter table comment add column note_code uuid, add foreign key (org_id, note_code) references note (org_id, code) on update cascade;
grant select (code), update (code) on note to authenticated;
grant select (note_code) on comment to authenticated;
