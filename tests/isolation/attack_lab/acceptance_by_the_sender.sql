-- Columns of the service that clients may state: who shares says that it was accepted, who exports says what was exported.
-- attacks: push_a_share, finished_export

-- name: broken
grant insert (accepted_at) on share to authenticated;
grant insert (status, file) on export to authenticated;

-- name: mended
