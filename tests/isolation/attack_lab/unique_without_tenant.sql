-- A unique key without the tenant.
-- attacks: unique_key_tells_existence, upsert_tells_existence

-- name: broken
create unique index note_body on note (body);
update note set body = title;
alter table note alter body set not null;

-- name: mended
create unique index note_legacy on note (legacy_id);
alter table note alter legacy_id set not null;
alter table note alter legacy_id set default gen_random_uuid()::text;
