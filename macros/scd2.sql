{% macro scd2(
    entity, rows, natural_key, tracked, untracked=[], accepted='rejected_by is null', deleted_flag=none,
    key_expression=none
) %}
{#- The contract is in _macros.yml, the reasons in docs/decisions/0001 and 0007. -#}
{%- set attributes = tracked + untracked %}
{%- set key = natural_key %}
{%- set row_key = key_expression or ('mentioned.' ~ key) %}
{%- set says_deleted = 'coalesce(mentioned.' ~ deleted_flag ~ ', false)' if deleted_flag else 'false' %}
{%- set incremental = is_incremental() %}
---------- the extracts, in the order of the moments they state
{{ entity }}_extracts as (
    select
        deliveries.delivery_id,
        deliveries.extracted_at,
        deliveries.kind,
        taken.is_new,
        row_number() over (
            order by deliveries.extracted_at, deliveries.sequence
        ) as extract_number
    from {{ source('rampart_store', 'scd2_extracts') }} as taken
    inner join {{ source('rampart_store', 'deliveries') }} as deliveries
        on taken.delivery_id = deliveries.delivery_id
    where taken.relation = '{{ this }}'
),

{{ entity }}_extracts_ahead as (
    select
        {{ entity }}_extracts.*,
        min(case when {{ entity }}_extracts.kind = 'full' then {{ entity }}_extracts.extract_number end) over (
            order by {{ entity }}_extracts.extract_number
            rows between 1 following and unbounded following
        ) as next_full_number
    from {{ entity }}_extracts
),
{%- if incremental %}

---------- the keys that the new extracts say anything new about
{{ entity }}_order as (
    -- with every new extract later than all before, only current versions can change
    select
        coalesce(
            min(case when {{ entity }}_extracts.is_new then {{ entity }}_extracts.extracted_at end)
            > max(
                case when not {{ entity }}_extracts.is_new then {{ entity }}_extracts.extracted_at end
            ),
            true
        ) as is_in_order,
        count(case when {{ entity }}_extracts.is_new then 1 end) as new_extracts,
        count(
            case when {{ entity }}_extracts.is_new and {{ entity }}_extracts.kind = 'full' then 1 end
        ) > 0 as has_new_full
    from {{ entity }}_extracts
),

{#- arrays and relations instead of steps: so Postgres may use its indexes and both cores -#}
{%- set new_deliveries %}
            select taken.delivery_id
            from {{ source('rampart_store', 'scd2_extracts') }} as taken
            where taken.relation = '{{ this }}' and taken.is_new
        {% endset %}
{%- set differs %}(
            versions.{{ key }} is null
            or versions.is_deleted <> {{ says_deleted }}
            {%- for attribute in attributes %}
            or versions.{{ attribute }} is distinct from mentioned.{{ attribute }}
            {%- endfor %}
        ){% endset %}

{{ entity }}_contradicted as (
    -- one pass over the current versions and what is new: differs, is new, or is not named at all
    select coalesce(versions.{{ key }}, mentioned.{{ key }}) as {{ key }}
    from (
        select *
        from {{ this }}
        where is_current
    ) as versions
    full outer join (
        select
            {{ row_key }} as {{ key }},
            mentioned.{{ accepted }} as is_statement,
            {%- for attribute in attributes %}
            mentioned.{{ attribute }},
            {%- endfor %}
            {{ says_deleted }} as is_deleted
        from {{ rows }} as mentioned
        where
            {{ rampart.among('mentioned._delivery_id', new_deliveries) }}
            and {{ row_key }} is not null
    ) as mentioned
        on versions.{{ key }} = mentioned.{{ key }}
    where
        (select {{ entity }}_order.is_in_order from {{ entity }}_order)
        and (
            mentioned.is_statement
            and (
                versions.{{ key }} is null
                or versions.is_deleted <> mentioned.is_deleted
                {%- for attribute in attributes %}
                or versions.{{ attribute }} is distinct from mentioned.{{ attribute }}
                {%- endfor %}
            )
            or mentioned.{{ key }} is null
            and not versions.is_deleted
            and (select {{ entity }}_order.has_new_full from {{ entity }}_order)
        )
),

{{ entity }}_absent_from_one as (
    -- with several new extracts a key may be missing from one of them and named by another
    select versions.{{ key }}
    from {{ this }} as versions
    inner join {{ source('rampart_store', 'deliveries') }} as deliveries
        on deliveries.kind = 'full' and {{ rampart.among('deliveries.delivery_id', new_deliveries) }}
    where
        (
            select {{ entity }}_order.is_in_order and {{ entity }}_order.new_extracts > 1
            from {{ entity }}_order
        )
        and versions.is_current
        and not versions.is_deleted
        and not exists (
            select 1
            from {{ rows }} as mentioned
            where
                {{ rampart.among('mentioned._delivery_id', new_deliveries) }}
                and mentioned._delivery_id = deliveries.delivery_id
                and {{ row_key }} = versions.{{ key }}
        )
),

{{ entity }}_differing_late as (
    select {{ row_key }} as {{ key }}
    from {{ rows }} as mentioned
    inner join {{ entity }}_extracts
        on mentioned._delivery_id = {{ entity }}_extracts.delivery_id
    left join {{ this }} as versions
        on
            {{ row_key }} = versions.{{ key }}
            and {{ entity }}_extracts.extracted_at >= versions.valid_from
            and (
                versions.valid_to is null
                or {{ entity }}_extracts.extracted_at < versions.valid_to
            )
    where
        not (select {{ entity }}_order.is_in_order from {{ entity }}_order)
        and {{ entity }}_extracts.is_new
        and {{ row_key }} is not null
        and mentioned.{{ accepted }}
        and {{ differs }}
),

{{ entity }}_absent_late as (
    select versions.{{ key }}
    from {{ this }} as versions
    inner join {{ entity }}_extracts
        on
            {{ entity }}_extracts.is_new
            and {{ entity }}_extracts.kind = 'full'
            and {{ entity }}_extracts.extracted_at >= versions.valid_from
            and (
                versions.valid_to is null
                or {{ entity }}_extracts.extracted_at < versions.valid_to
            )
    where
        not (select {{ entity }}_order.is_in_order from {{ entity }}_order)
        and not versions.is_deleted
        and not exists (
            select 1
            from {{ rows }} as mentioned
            where
                mentioned._delivery_id = {{ entity }}_extracts.delivery_id
                and {{ row_key }} = versions.{{ key }}
        )
),

{{ entity }}_touched as (
    select {{ entity }}_contradicted.{{ key }} from {{ entity }}_contradicted
    union
    select {{ entity }}_absent_from_one.{{ key }} from {{ entity }}_absent_from_one
    union
    select {{ entity }}_differing_late.{{ key }} from {{ entity }}_differing_late
    union
    select {{ entity }}_absent_late.{{ key }} from {{ entity }}_absent_late
),

{{ entity }}_touched_keys as (
    {{ rampart.few(entity ~ '_touched', key) }}
),
{%- endif %}

---------- what each extract says of each key: a statement, or no more than that it is there
{{ entity }}_mentions as (
    {%- if incremental %}
    -- in order: the current version stands for all that was said before
    select
        versions.{{ key }},
        0 as extract_number,
        versions.valid_from as extracted_at,
        (
            select min({{ entity }}_extracts.extract_number)
            from {{ entity }}_extracts
            where {{ entity }}_extracts.is_new and {{ entity }}_extracts.kind = 'full'
        ) as next_full_number,
        0 as _source_row,
        true as is_statement,
        {%- for attribute in attributes %}
        versions.{{ attribute }},
        {%- endfor %}
        versions.is_deleted
    from {{ this }} as versions
    inner join {{ entity }}_touched_keys
        on versions.{{ key }} = {{ entity }}_touched_keys.{{ key }}
    where
        versions.is_current
        and (select {{ entity }}_order.is_in_order from {{ entity }}_order)

    union all

    {% endif %}
    select
        {{ row_key }} as {{ key }},
        {{ entity }}_extracts_ahead.extract_number,
        {{ entity }}_extracts_ahead.extracted_at,
        {{ entity }}_extracts_ahead.next_full_number,
        mentioned._source_row,
        mentioned.{{ accepted }} as is_statement,
        {%- for attribute in attributes %}
        mentioned.{{ attribute }},
        {%- endfor %}
        {{ says_deleted }} as is_deleted
    from {{ rows }} as mentioned
    inner join {{ entity }}_extracts_ahead
        on mentioned._delivery_id = {{ entity }}_extracts_ahead.delivery_id
    {%- if incremental %}
    inner join {{ entity }}_touched_keys
        on {{ row_key }} = {{ entity }}_touched_keys.{{ key }}
    where
        (select {{ entity }}_order.is_in_order from {{ entity }}_order)
        and {{ rampart.among('mentioned._delivery_id', new_deliveries) }}

    union all

    -- out of order: touched keys are derived anew from all that was ever said of them
    select
        {{ row_key }} as {{ key }},
        {{ entity }}_extracts_ahead.extract_number,
        {{ entity }}_extracts_ahead.extracted_at,
        {{ entity }}_extracts_ahead.next_full_number,
        mentioned._source_row,
        mentioned.{{ accepted }} as is_statement,
        {%- for attribute in attributes %}
        mentioned.{{ attribute }},
        {%- endfor %}
        {{ says_deleted }} as is_deleted
    from {{ rows }} as mentioned
    inner join {{ entity }}_extracts_ahead
        on mentioned._delivery_id = {{ entity }}_extracts_ahead.delivery_id
    inner join {{ entity }}_touched_keys
        on {{ row_key }} = {{ entity }}_touched_keys.{{ key }}
    where not (select {{ entity }}_order.is_in_order from {{ entity }}_order)
    {%- else %}
    where {{ row_key }} is not null
    {%- endif %}
),

{{ entity }}_mentions_compared as (
    select
        {{ entity }}_mentions.*,
        lead({{ entity }}_mentions.extract_number) over by_extract as next_number,
        -- only what may change anything goes on; what follows looks at it exactly
        {{ entity }}_mentions.is_statement
        and not coalesce(
            lag({{ entity }}_mentions.is_statement) over by_extract
            and lag({{ entity }}_mentions.extract_number) over by_extract
            < {{ entity }}_mentions.extract_number
            and lag({{ entity }}_mentions.is_deleted) over by_extract
            = {{ entity }}_mentions.is_deleted
            {%- for attribute in attributes %}
            and lag({{ entity }}_mentions.{{ attribute }}) over by_extract
            is not distinct from {{ entity }}_mentions.{{ attribute }}
            {%- endfor %}
            and coalesce(
                lag({{ entity }}_mentions.next_full_number) over by_extract
                >= {{ entity }}_mentions.extract_number,
                true
            ),
            false
        ) as may_change
    from {{ entity }}_mentions
    window by_extract as (
        partition by {{ entity }}_mentions.{{ key }}
        order by
            {{ entity }}_mentions.extract_number,
            {{ entity }}_mentions.is_statement,
            {{ entity }}_mentions._source_row
    )
),

{{ entity }}_mentions_in_order as (
    -- few of many: the steps below read them twice, and Postgres writes such a step to disk
    select *
    from {{ entity }}_mentions_compared
    where
        {{ entity }}_mentions_compared.may_change
        or {{ entity }}_mentions_compared.next_number is null
        or {{ entity }}_mentions_compared.next_full_number < {{ entity }}_mentions_compared.next_number
),

---------- the states of each key
{{ entity }}_states as (
    select
        {{ entity }}_mentions_in_order.{{ key }},
        {{ entity }}_mentions_in_order.extract_number,
        {{ entity }}_mentions_in_order.extracted_at,
        {%- for attribute in attributes %}
        {{ entity }}_mentions_in_order.{{ attribute }},
        {%- endfor %}
        {{ entity }}_mentions_in_order.is_deleted,
        1 as is_statement
    from {{ entity }}_mentions_in_order
    where
        {{ entity }}_mentions_in_order.may_change
        -- of several rows of one key in one extract the last one counts
        and {{ entity }}_mentions_in_order.next_number
        is distinct from {{ entity }}_mentions_in_order.extract_number

    union all

    -- gone: a full extract does not mention a key that was mentioned before
    select
        {{ entity }}_mentions_in_order.{{ key }},
        {{ entity }}_extracts_ahead.extract_number,
        {{ entity }}_extracts_ahead.extracted_at,
        {%- for attribute in attributes %}
        null as {{ attribute }},
        {%- endfor %}
        true as is_deleted,
        0 as is_statement
    from {{ entity }}_mentions_in_order
    inner join {{ entity }}_extracts_ahead
        on {{ entity }}_mentions_in_order.next_full_number = {{ entity }}_extracts_ahead.extract_number
    where
        {{ entity }}_mentions_in_order.next_number is null
        or {{ entity }}_mentions_in_order.next_full_number < {{ entity }}_mentions_in_order.next_number
),

{{ entity }}_states_in_order as (
    select
        {{ entity }}_states.*,
        sum({{ entity }}_states.is_statement) over by_extract as statement_number,
        lead({{ entity }}_states.extracted_at) over by_extract as next_extracted_at
    from {{ entity }}_states
    window by_extract as (
        partition by {{ entity }}_states.{{ key }}
        order by {{ entity }}_states.extract_number
    )
),

{{ entity }}_states_known as (
    select
        {{ entity }}_states_in_order.{{ key }},
        {{ entity }}_states_in_order.extract_number,
        {{ entity }}_states_in_order.extracted_at,
        {{ entity }}_states_in_order.next_extracted_at,
        {{ entity }}_states_in_order.is_deleted,
        {%- for attribute in attributes %}
        -- who is gone keeps what was last said of it
        first_value({{ entity }}_states_in_order.{{ attribute }}) over (
            partition by
                {{ entity }}_states_in_order.{{ key }},
                {{ entity }}_states_in_order.statement_number
            order by {{ entity }}_states_in_order.extract_number
        ) as {{ attribute }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ entity }}_states_in_order
    where {{ entity }}_states_in_order.statement_number > 0
),

{{ entity }}_states_effective as (
    select
        {{ entity }}_states_known.*,
        case
            when
                lag({{ entity }}_states_known.is_deleted) over by_extract
                = {{ entity }}_states_known.is_deleted
                {%- for attribute in tracked %}
                and lag({{ entity }}_states_known.{{ attribute }}) over by_extract
                is not distinct from {{ entity }}_states_known.{{ attribute }}
                {%- endfor %}
                then 0
            else 1
        end as opens_version
    from {{ entity }}_states_known
    -- of several extracts with one moment the last delivered one counts
    where
        {{ entity }}_states_known.next_extracted_at is null
        or {{ entity }}_states_known.next_extracted_at > {{ entity }}_states_known.extracted_at
    window by_extract as (
        partition by {{ entity }}_states_known.{{ key }}
        order by {{ entity }}_states_known.extract_number
    )
),

---------- the versions
{{ entity }}_states_versioned as (
    select
        {{ entity }}_states_effective.*,
        sum({{ entity }}_states_effective.opens_version) over (
            partition by {{ entity }}_states_effective.{{ key }}
            order by {{ entity }}_states_effective.extract_number
        ) as version_number
    from {{ entity }}_states_effective
),

{{ entity }}_states_of_versions as (
    select
        {{ entity }}_states_versioned.*,
        min({{ entity }}_states_versioned.extracted_at) over by_version as valid_from,
        -- untracked attributes are overwritten within their version: its last state speaks
        row_number() over (
            partition by
                {{ entity }}_states_versioned.{{ key }},
                {{ entity }}_states_versioned.version_number
            order by {{ entity }}_states_versioned.extract_number desc
        ) as state_from_end
    from {{ entity }}_states_versioned
    window by_version as (
        partition by
            {{ entity }}_states_versioned.{{ key }},
            {{ entity }}_states_versioned.version_number
    )
),

{{ entity }}_versions_derived as (
    select
        {{ entity }}_states_of_versions.{{ key }},
        {%- for attribute in attributes %}
        {{ entity }}_states_of_versions.{{ attribute }},
        {%- endfor %}
        {{ entity }}_states_of_versions.valid_from,
        lead({{ entity }}_states_of_versions.valid_from) over (
            partition by {{ entity }}_states_of_versions.{{ key }}
            order by {{ entity }}_states_of_versions.version_number
        ) as valid_to,
        {{ entity }}_states_of_versions.is_deleted
    from {{ entity }}_states_of_versions
    where {{ entity }}_states_of_versions.state_from_end = 1
),

{{ entity }}_versions as (
    select
        {{ dbt_utils.generate_surrogate_key([
            entity ~ '_versions_derived.' ~ key,
            rampart.utc_text(entity ~ '_versions_derived.valid_from'),
        ]) }} as {{ entity }}_key,
        {{ entity }}_versions_derived.{{ key }},
        {%- for attribute in attributes %}
        {{ entity }}_versions_derived.{{ attribute }},
        {%- endfor %}
        {{ entity }}_versions_derived.valid_from,
        {{ entity }}_versions_derived.valid_to,
        {{ entity }}_versions_derived.valid_to is null as is_current,
        {{ entity }}_versions_derived.is_deleted
    from {{ entity }}_versions_derived
    {%- if incremental %}

    union all

    -- a touched key is written anew as a whole, so its closed versions come along
    select
        versions.{{ entity }}_key,
        versions.{{ key }},
        {%- for attribute in attributes %}
        versions.{{ attribute }},
        {%- endfor %}
        versions.valid_from,
        versions.valid_to,
        versions.is_current,
        versions.is_deleted
    from {{ this }} as versions
    inner join {{ entity }}_touched_keys
        on versions.{{ key }} = {{ entity }}_touched_keys.{{ key }}
    where
        not versions.is_current
        and (select {{ entity }}_order.is_in_order from {{ entity }}_order)
    {%- endif %}
)
{%- endmacro %}
