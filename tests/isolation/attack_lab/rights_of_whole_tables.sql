-- Rights on whole tables, where columns were meant.
-- attacks: update_the_id, state_the_id_of_another, forge_the_stamps, forge_the_old_id, write_fixed_columns, read_hidden_columns

-- name: broken
grant select, insert, update on note to authenticated;

-- name: mended
