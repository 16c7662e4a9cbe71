-- A policy for every caller with the client role, signed in or not.
-- attacks: visitor_takes_the_client_role

-- name: broken
drop policy select_signed_in on tag;
create policy select_signed_in on tag for select to authenticated using (true);

-- name: mended
