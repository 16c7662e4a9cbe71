-- Default privileges that open what is made later.
-- attacks: table_made_later, view_made_later, function_made_later, partition_made_later

-- name: broken
alter default privileges for role {owner} in schema app grant select on tables to authenticated;
alter default privileges for role {owner} grant execute on functions to public;

-- name: mended
