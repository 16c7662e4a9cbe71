-- Goals of a clinic, and the templates that they are made from: the clinic's own, and templates for all clinics.

create table system_goal_templates (
    id                    uuid         not null default gen_random_uuid(),
    name                  text         not null,
    description           text,
    metric_definition_id  uuid         not null,
    time_period           time_period  not null,
    formula               text         not null,
    is_active             boolean      not null default true,
    created_at            timestamptz  not null default now(),
    updated_at            timestamptz  not null default now(),
    created_by            uuid,
    updated_by            uuid,

    constraint system_goal_templates_pkey                       primary key (id),
    constraint system_goal_templates_name_key                   unique (name),
    constraint system_goal_templates_metric_definition_id_fkey  foreign key (metric_definition_id) references metric_definitions (id)
        deferrable initially immediate
);
comment on table  system_goal_templates                       is 'Goal templates for all clinics. They have a table of their own because a primary key cannot contain a null clinic.';
comment on column system_goal_templates.name                  is 'Name of the template.';
comment on column system_goal_templates.description           is 'When to use it.';
comment on column system_goal_templates.metric_definition_id  is 'The metric that the goal is set for.';
comment on column system_goal_templates.time_period           is 'Period of the goals made from it.';
comment on column system_goal_templates.formula               is 'Formula of the target over earlier figures, in the template language, evaluated at the start of the goal.';
comment on column system_goal_templates.is_active             is 'False: the template is not offered for new goals.';

create index system_goal_templates_metric_definition_id_idx on system_goal_templates (metric_definition_id);


create table goal_templates (
    clinic_id             uuid         not null,
    id                    uuid         not null default gen_random_uuid(),
    name                  text         not null,
    description           text,
    metric_definition_id  uuid         not null,
    time_period           time_period  not null,
    formula               text         not null,
    is_active             boolean      not null default true,
    created_at            timestamptz  not null default now(),
    updated_at            timestamptz  not null default now(),
    created_by            uuid,
    updated_by            uuid,

    constraint goal_templates_pkey                       primary key (clinic_id, id),
    constraint goal_templates_clinic_id_name_key         unique (clinic_id, name),
    constraint goal_templates_clinic_id_fkey             foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint goal_templates_metric_definition_id_fkey  foreign key (metric_definition_id) references metric_definitions (id)
        deferrable initially immediate
);
comment on table  goal_templates                       is 'Goal templates of one clinic.';
comment on column goal_templates.name                  is 'Name of the template, unique within the clinic.';
comment on column goal_templates.description           is 'When to use it.';
comment on column goal_templates.metric_definition_id  is 'The metric that the goal is set for.';
comment on column goal_templates.time_period           is 'Period of the goals made from it.';
comment on column goal_templates.formula               is 'Formula of the target over earlier figures, in the template language, evaluated at the start of the goal.';
comment on column goal_templates.is_active             is 'False: the template is not offered for new goals.';

create index goal_templates_metric_definition_id_idx on goal_templates (metric_definition_id);


create view all_goal_templates with (security_invoker = true) as
select clinic_id, id, false as is_system, name, description, metric_definition_id, time_period, formula, is_active
  from goal_templates
 union all
select null, id, true, name, description, metric_definition_id, time_period, formula, is_active
  from system_goal_templates;
comment on view   all_goal_templates                       is 'A clinic''s own templates and the templates for all clinics, read with the rights of the caller.';
comment on column all_goal_templates.clinic_id             is 'The clinic that owns the template; null for a template for all clinics.';
comment on column all_goal_templates.id                    is 'The template: goals.template_id or goals.system_template_id.';
comment on column all_goal_templates.is_system             is 'True for templates for all clinics.';
comment on column all_goal_templates.name                  is 'Name of the template.';
comment on column all_goal_templates.description           is 'When to use it.';
comment on column all_goal_templates.metric_definition_id  is 'The metric that the goal is set for.';
comment on column all_goal_templates.time_period           is 'Period of the goals made from it.';
comment on column all_goal_templates.formula               is 'Formula of the target over earlier figures, in the template language.';
comment on column all_goal_templates.is_active             is 'False: the template is not offered for new goals.';


create table goals (
    clinic_id             uuid           not null,
    id                    uuid           not null default gen_random_uuid(),
    legacy_id             text           not null,
    metric_definition_id  uuid           not null,
    provider_id           uuid,
    template_id           uuid,
    system_template_id    uuid,
    time_period           time_period    not null,
    start_date            date           not null,
    end_date              date           not null,
    target_value          numeric(20,4)  not null,
    created_at            timestamptz    not null default now(),
    updated_at            timestamptz    not null default now(),
    created_by            uuid,
    updated_by            uuid,

    constraint goals_pkey                        primary key (clinic_id, id),
    constraint goals_clinic_id_legacy_id_key     unique (clinic_id, legacy_id),
    constraint goals_period_check                check (end_date >= start_date),
    constraint goals_target_value_check          check (target_value <> 'NaN'),
    constraint goals_template_check              check (num_nonnulls(template_id, system_template_id) <= 1),
    constraint goals_clinic_id_fkey              foreign key (clinic_id) references clinics (id)
        deferrable initially immediate,
    constraint goals_metric_definition_id_fkey   foreign key (metric_definition_id) references metric_definitions (id)
        deferrable initially immediate,
    constraint goals_clinic_id_provider_id_fkey  foreign key (clinic_id, provider_id) references providers (clinic_id, id)
        on delete set null (provider_id) deferrable initially immediate,
    constraint goals_clinic_id_template_id_fkey  foreign key (clinic_id, template_id) references goal_templates (clinic_id, id)
        on delete set null (template_id) deferrable initially immediate,
    constraint goals_system_template_id_fkey     foreign key (system_template_id) references system_goal_templates (id)
        on delete set null deferrable initially immediate
);
comment on table  goals                       is 'Targets of a clinic, or of one of its providers, for a range of days.';
comment on column goals.metric_definition_id  is 'The metric that should reach the target.';
comment on column goals.provider_id           is 'The provider whose goal it is; null for the clinic as a whole, including the rows of all its providers.';
comment on column goals.template_id           is 'The clinic''s own template that the goal was made from, if any.';
comment on column goals.system_template_id    is 'The template for all clinics that the goal was made from, if any. Never both are set.';
comment on column goals.time_period           is 'Period after which the goal recurs.';
comment on column goals.start_date            is 'First day that counts.';
comment on column goals.end_date              is 'Last day that counts, included.';
comment on column goals.target_value          is 'Value to reach, in the unit of the metric; percentages as ratio (0.98).';

create index goals_metric_definition_id_idx  on goals (metric_definition_id);
create index goals_clinic_id_provider_id_idx on goals (clinic_id, provider_id);
create index goals_clinic_id_template_id_idx on goals (clinic_id, template_id);
create index goals_system_template_id_idx    on goals (system_template_id);
