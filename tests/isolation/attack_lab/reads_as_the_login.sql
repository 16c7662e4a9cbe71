-- Rights and a policy for the application's login itself.
-- attacks: reset_role, rights_of_the_bare_login

-- name: broken
grant usage on schema app to {login};
grant select on note to {login};
create policy login_select on note for select to {login} using (true);

-- name: mended
