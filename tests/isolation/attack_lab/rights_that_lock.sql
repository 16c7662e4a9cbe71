-- DELETE, and with it the right to lock a whole table; mended, nobody may delete.
-- attacks: lock_table

-- name: broken


-- name: mended
revoke delete on all tables in schema app from authenticated;
