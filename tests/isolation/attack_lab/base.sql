create table org (
    id      uuid    primary key default gen_random_uuid(),
    label   text    not null,
    is_open boolean not null default true
);

create table person (
    id         uuid primary key default gen_random_uuid(),
    account_id uuid unique references auth.users (id),
    nick       text not null
);

create table member (
    org_id    uuid    not null references org (id),
    id        uuid    not null default gen_random_uuid(),
    person_id uuid    not null references person (id),
    level     text    not null check (level in ('guest', 'editor', 'boss')),
    is_active boolean not null default true,
    primary key (org_id, id),
    unique (org_id, person_id)
);

create table note (
    org_id     uuid        not null references org (id),
    id         uuid        not null default gen_random_uuid(),
    legacy_id  text,
    author_id  uuid        not null,
    title      text        not null,
    body       text,
    secret     text        not null default 'kept to ourselves',
    created_at timestamptz not null default now(),
    created_by uuid,
    primary key (org_id, id),
    unique (org_id, title),
    foreign key (org_id, author_id) references member (org_id, person_id)
);

create table comment (
    org_id      uuid not null references org (id),
    id          uuid not null default gen_random_uuid(),
    note_id     uuid not null,
    reviewer_id uuid references person (id),
    mentions_id uuid references person (id),
    words       text not null,
    primary key (org_id, id),
    constraint comment_note foreign key (org_id, note_id) references note (org_id, id)
);

create table event (
    org_id uuid not null references org (id),
    id     uuid not null default gen_random_uuid(),
    kind   text not null,
    primary key (org_id, id)
) partition by list (org_id);
create table event_rest partition of event default;

create table tag (
    id   serial primary key,
    name text   not null
);

create table share (
    org_id      uuid not null references org (id),
    id          uuid not null default gen_random_uuid(),
    reader_id   uuid not null references org (id),
    kind        text not null check (kind in ('report', 'calendar')),
    ends_at     timestamptz,
    accepted_at timestamptz,
    primary key (org_id, id),
    check (reader_id <> org_id)
);

create table report (
    org_id uuid not null references org (id),
    id     uuid not null default gen_random_uuid(),
    title  text not null,
    primary key (org_id, id)
);

create table export (
    org_id uuid not null references org (id),
    id     uuid not null default gen_random_uuid(),
    kind   text not null,
    status text not null default 'waiting' check (status in ('waiting', 'done')),
    file   text,
    primary key (org_id, id)
);
