-- DELETE, and with it the right to lock a whole table; in the repaired twin clients may not delete.
-- attacks: lock_table

-- name: broken


-- name: mended
revoke delete on all tables in schema app from authenticated;
