-- The tenants that are made from values ([tenant.values]).

create table if not exists tenantry.tenant_value (
    key    text collate "C" primary key,
    tenant uuid not null unique,
    value  text not null
);
comment on table tenantry.tenant_value is 'Which value of the source means which tenant; only with [tenant.values].';
comment on column tenantry.tenant_value.key is 'The value as the manifest''s expression up returns it: what distinguishes a tenant.';
comment on column tenantry.tenant_value.value is 'The value as the source writes it, for rows that go back.';
