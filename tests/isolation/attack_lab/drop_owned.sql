-- Rights on whole tables only: DROP OWNED BY locks tables whose policies name the role; in the repaired twin it fails at a right that it may not revoke.
-- attacks: lock_by_giving_up

-- name: broken
revoke references (closed) on tenantry.latch from authenticated, anon;
revoke all on all tables in schema app from authenticated;
revoke all on all sequences in schema app from authenticated;
grant select, insert, update, delete on all tables in schema app to authenticated;

-- name: mended
revoke all on all tables in schema app from authenticated;
revoke all on all sequences in schema app from authenticated;
grant select, insert, update, delete on all tables in schema app to authenticated;
