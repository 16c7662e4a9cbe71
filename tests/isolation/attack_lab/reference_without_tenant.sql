-- Foreign keys without the tenant: to a table of tenants, and to people that the caller does not see.
-- says: the manifest lets comment.mentions_id tell whether a row exists
-- attacks: refer_to_anothers_row, foreign_key_tells_existence, cascade_into_another_tenant

-- name: broken
alter table note add unique (id);
alter table comment drop constraint comment_note;
alter table comment add constraint comment_note foreign key (note_id) references note (id) on delete cascade;

-- name: mended
alter table comment drop constraint comment_note;
alter table comment add constraint comment_note foreign key (org_id, note_id) references note (org_id, id) on delete cascade;
