-- A foreign key without the tenant.
-- says: whether a row of a table without a tenant exists is told by comment.reviewer_id
-- attacks: refer_to_anothers_row, foreign_key_tells_existence, cascade_into_another_tenant

-- name: broken
alter table note add unique (id);
alter table comment drop constraint comment_note;
alter table comment add constraint comment_note foreign key (note_id) references note (id) on delete cascade;

-- name: mended
alter table comment drop constraint comment_note;
alter table comment add constraint comment_note foreign key (org_id, note_id) references note (org_id, id) on delete cascade;
alter table comment add reviewer_id uuid references person (id);
grant insert (reviewer_id) on comment to authenticated;
