-- Settings that are given to a run from outside while it runs. Every statement can be run again.

create table if not exists tenantry.setting (
    name  text        primary key,
    value jsonb       not null,
    at    timestamptz not null default clock_timestamp()
);
comment on table tenantry.setting is 'Settings of [throttle] that override the manifest (tenantry throttle set), the pause, and the initial size of the database. Runs read it continuously.';
