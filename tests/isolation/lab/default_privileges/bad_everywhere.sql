-- fires: SELECT on tables for PUBLIC
alter default privileges grant select on tables to public;
