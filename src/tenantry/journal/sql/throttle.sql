-- What was said to a run from outside, while it goes on. Every statement can be run again.

create table if not exists tenantry.setting (
    name  text        primary key,
    value jsonb       not null,
    at    timestamptz not null default clock_timestamp()
);
comment on table tenantry.setting is 'Settings of [throttle] that override the manifest (tenantry throttle set), the pause, and the size that the database had at first. Runs read it all the time.';
