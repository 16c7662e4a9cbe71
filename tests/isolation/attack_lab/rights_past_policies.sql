-- Rights that no policy binds: TRUNCATE, TRIGGER, REFERENCES.
-- attacks: truncate, create_trigger, reference_by_an_own_table

-- name: broken
grant truncate, trigger, references on event, note, comment to authenticated;

-- name: mended
