-- An index that does not begin with the tenant; in the repaired twin its type's comparison is not leakproof, and so runs after the policy.
-- attacks: explain_finds_a_guessed_value

-- name: broken
create sequence shades start 1000;
alter table note add column shade bigint not null default nextval('shades');
create index note_shade on note (shade);
grant select (shade) on note to authenticated;

-- name: mended
create sequence shades start 1000;
alter table note add column shade numeric not null default nextval('shades');
create index note_shade on note (shade);
grant select (shade) on note to authenticated;
