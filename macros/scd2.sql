{% macro scd2(entity, rows, presences, extracts, natural_key, tracked, untracked=[], deleted_flag=none) %}
{#- see _macros.yml for the contract; every step below is a pure function of the admitted rows -#}
{%- set attributes = tracked + untracked %}
{{ entity }}_extracts as (
    select
        extracts.delivery_id,
        extracts.extracted_at,
        extracts.extract_number,
        min(case when extracts.kind = 'full' then extracts.extract_number end) over (
            order by extracts.extract_number
            rows between 1 following and unbounded following
        ) as next_full_number
    from (
        select
            {{ extracts }}.delivery_id,
            {{ extracts }}.extracted_at,
            {{ extracts }}.kind,
            row_number() over (
                order by {{ extracts }}.extracted_at, {{ extracts }}.sequence
            ) as extract_number
        from {{ extracts }}
    ) as extracts
),

{{ entity }}_presences as (
    select
        presences.{{ natural_key }},
        presences.extract_number,
        presences.next_full_number,
        lead(presences.extract_number) over (
            partition by presences.{{ natural_key }}
            order by presences.extract_number
        ) as next_presence_number
    from (
        select distinct
            {{ presences }}.{{ natural_key }},
            {{ entity }}_extracts.extract_number,
            {{ entity }}_extracts.next_full_number
        from {{ presences }}
        inner join {{ entity }}_extracts
            on {{ presences }}._delivery_id = {{ entity }}_extracts.delivery_id
        where {{ presences }}.{{ natural_key }} is not null
    ) as presences
),

{{ entity }}_absences as (
    select
        {{ entity }}_presences.{{ natural_key }},
        {{ entity }}_presences.next_full_number as extract_number
    from {{ entity }}_presences
    where
        {{ entity }}_presences.next_full_number is not null
        and (
            {{ entity }}_presences.next_presence_number is null
            or {{ entity }}_presences.next_full_number < {{ entity }}_presences.next_presence_number
        )
),

{{ entity }}_states as (
    select
        {{ rows }}.{{ natural_key }},
        {{ entity }}_extracts.extract_number,
        {{ entity }}_extracts.extracted_at,
        {%- for attribute in attributes %}
        {{ rows }}.{{ attribute }},
        {%- endfor %}
        {{ 'coalesce(' ~ rows ~ '.' ~ deleted_flag ~ ', false)' if deleted_flag else 'false' }} as is_deleted,
        false as is_absence
    from {{ rows }}
    inner join {{ entity }}_extracts
        on {{ rows }}._delivery_id = {{ entity }}_extracts.delivery_id

    union all

    select
        {{ entity }}_absences.{{ natural_key }},
        {{ entity }}_extracts.extract_number,
        {{ entity }}_extracts.extracted_at,
        {%- for attribute in attributes %}
        null as {{ attribute }},
        {%- endfor %}
        true as is_deleted,
        true as is_absence
    from {{ entity }}_absences
    inner join {{ entity }}_extracts
        on {{ entity }}_absences.extract_number = {{ entity }}_extracts.extract_number
),

{{ entity }}_states_numbered as (
    select
        {{ entity }}_states.*,
        -- an absence carries what was last known: all states up to the next statement are one group
        sum(case when {{ entity }}_states.is_absence then 0 else 1 end) over (
            partition by {{ entity }}_states.{{ natural_key }}
            order by {{ entity }}_states.extract_number
        ) as statement_number,
        lead({{ entity }}_states.extracted_at) over (
            partition by {{ entity }}_states.{{ natural_key }}
            order by {{ entity }}_states.extract_number
        ) as next_extracted_at
    from {{ entity }}_states
),

{{ entity }}_states_known as (
    select
        {{ entity }}_states_numbered.{{ natural_key }},
        {{ entity }}_states_numbered.extract_number,
        {{ entity }}_states_numbered.extracted_at,
        {{ entity }}_states_numbered.next_extracted_at,
        {{ entity }}_states_numbered.is_deleted,
        {%- for attribute in attributes %}
        first_value({{ entity }}_states_numbered.{{ attribute }}) over (
            partition by
                {{ entity }}_states_numbered.{{ natural_key }},
                {{ entity }}_states_numbered.statement_number
            order by {{ entity }}_states_numbered.extract_number
        ) as {{ attribute }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ entity }}_states_numbered
    where {{ entity }}_states_numbered.statement_number > 0
),

{{ entity }}_states_effective as (
    select
        {{ entity }}_states_known.*,
        case
            when
                lag({{ entity }}_states_known.is_deleted) over by_extract
                is not distinct from {{ entity }}_states_known.is_deleted
                {%- for attribute in tracked %}
                and lag({{ entity }}_states_known.{{ attribute }}) over by_extract
                is not distinct from {{ entity }}_states_known.{{ attribute }}
                {%- endfor %}
                and lag({{ entity }}_states_known.extract_number) over by_extract is not null
                then 0
            else 1
        end as opens_version
    from {{ entity }}_states_known
    -- of several extracts with one timestamp the last delivered one counts
    where
        {{ entity }}_states_known.next_extracted_at is null
        or {{ entity }}_states_known.next_extracted_at > {{ entity }}_states_known.extracted_at
    window by_extract as (
        partition by {{ entity }}_states_known.{{ natural_key }}
        order by {{ entity }}_states_known.extract_number
    )
),

{{ entity }}_states_versioned as (
    select
        {{ entity }}_states_effective.*,
        sum({{ entity }}_states_effective.opens_version) over (
            partition by {{ entity }}_states_effective.{{ natural_key }}
            order by {{ entity }}_states_effective.extract_number
        ) as version_number,
        row_number() over (
            partition by {{ entity }}_states_effective.{{ natural_key }}
            order by {{ entity }}_states_effective.extract_number desc
        ) as state_from_end
    from {{ entity }}_states_effective
),

{{ entity }}_version_ends as (
    select
        {{ entity }}_states_versioned.{{ natural_key }},
        {{ entity }}_states_versioned.version_number,
        min({{ entity }}_states_versioned.extracted_at) as valid_from,
        max({{ entity }}_states_versioned.extract_number) as last_extract_number,
        min({{ entity }}_states_versioned.state_from_end) as state_from_end
    from {{ entity }}_states_versioned
    group by
        {{ entity }}_states_versioned.{{ natural_key }},
        {{ entity }}_states_versioned.version_number
),

{{ entity }}_versions as (
    select
        {{ dbt_utils.generate_surrogate_key([
            entity ~ '_version_ends.' ~ natural_key,
            rampart.utc_text(entity ~ '_version_ends.valid_from'),
        ]) }} as {{ entity }}_key,
        {{ entity }}_version_ends.{{ natural_key }},
        {%- for attribute in attributes %}
        {{ entity }}_states_versioned.{{ attribute }},
        {%- endfor %}
        {{ entity }}_version_ends.valid_from,
        lead({{ entity }}_version_ends.valid_from) over (
            partition by {{ entity }}_version_ends.{{ natural_key }}
            order by {{ entity }}_version_ends.version_number
        ) as valid_to,
        {{ entity }}_version_ends.state_from_end = 1 as is_current,
        {{ entity }}_states_versioned.is_deleted
    from {{ entity }}_version_ends
    -- untracked attributes are overwritten within their version: its last state speaks
    inner join {{ entity }}_states_versioned
        on
            {{ entity }}_version_ends.{{ natural_key }}
            = {{ entity }}_states_versioned.{{ natural_key }}
            and {{ entity }}_version_ends.last_extract_number
            = {{ entity }}_states_versioned.extract_number
)
{%- endmacro %}
