-- A table whose policies were written and never switched on.
-- attacks: read_by_id, read_by_range, read_by_join, read_by_aggregate, read_by_exists, read_by_place, read_by_cursor, read_by_copy, read_by_returning, do_block, row_security_off, change_by_key, change_blindly, change_by_join, merge_into_another_tenant, write_within_a_query, insert_for_another_tenant, insert_from_another_tenant, copy_for_another_tenant, returning_old_and_new, lock_rows, upsert_onto_anothers_row, explain_counts_rows_of_a_tenant

-- name: broken
alter table note disable row level security;
grant select, insert on note to authenticated;

-- name: mended
