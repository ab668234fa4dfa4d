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
        deliveries.rows,
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
    select
        {{ rampart.scd2_is_in_order() }} as is_in_order,
        count(case when {{ entity }}_extracts.is_new then 1 end) as new_extracts,
        count(
            case when {{ entity }}_extracts.is_new and {{ entity }}_extracts.kind = 'full' then 1 end
        ) > 0 as has_new_full,
        -- few rows are looked up one by one, many are joined in one pass
        coalesce(
            sum(case when {{ entity }}_extracts.is_new then {{ entity }}_extracts.rows end) * 20
            < max({{ entity }}_extracts.rows),
            false
        ) as has_few_rows
    from {{ entity }}_extracts
),

{#- relations and scalars instead of steps: so Postgres may use its indexes and both cores -#}
{%- set new_extracts %}
                from {{ source('rampart_store', 'scd2_extracts') }} as taken
                where taken.relation = '{{ this }}' and taken.is_new
            {% endset %}
{%- set new_deliveries = '(\n                select taken.delivery_id' ~ new_extracts ~ ')' %}
{%- set is_new = rampart.is_one_of('mentioned._delivery_id', new_deliveries ~ ' as new_extracts', 'delivery_id') %}
{#- the bounds add nothing to the list, but an index serves them; the second says: few -#}
{%- set is_of_new %}{{ is_new | trim }}
            and mentioned._delivery_id >= (select min(taken.delivery_id){{ new_extracts }}){% endset %}
{%- set is_of_few_new %}{{ is_of_new }}
            and mentioned._delivery_id <= (select max(taken.delivery_id){{ new_extracts }}){% endset %}
{%- set attributes_differ %}versions.{{ key }} is null
            {%- for attribute in attributes %}
            or versions.{{ attribute }} is distinct from mentioned.{{ attribute }}
            {%- endfor %}{% endset %}
{%- set in_order = '(select ' ~ entity ~ '_order.is_in_order from ' ~ entity ~ '_order)' %}
{%- set has_new_full = '(select ' ~ entity ~ '_order.has_new_full from ' ~ entity ~ '_order)' %}
{%- set has_several = '(select ' ~ entity ~ '_order.new_extracts > 1 from ' ~ entity ~ '_order)' %}
{%- set has_few %}(
            select {{ entity }}_order.has_few_rows and not {{ entity }}_order.has_new_full
            from {{ entity }}_order
        ){% endset %}

{{ entity }}_differing_few as (
    select {{ row_key }} as {{ key }}
    from {{ rows }} as mentioned
    where
        {{ is_of_few_new }}
        and {{ row_key }} is not null
        and mentioned.{{ accepted }}
        and not exists (
            select 1
            from {{ this }} as versions
            where
                versions.is_current
                and versions.{{ key }} = {{ row_key }}
                and versions.is_deleted = {{ says_deleted }}
                {%- for attribute in attributes %}
                and versions.{{ attribute }} is not distinct from mentioned.{{ attribute }}
                {%- endfor %}
            {{ rampart.compute_once() }}
        )
),

{%- if rampart.full_join_is_parallel() %}

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
            {{ is_of_new }}
            and {{ row_key }} is not null
    ) as mentioned
        on versions.{{ key }} = mentioned.{{ key }}
    where
        -- a comparison with a constant is thought to hold seldom, and this one does
        case
            when mentioned.{{ key }} is null and (versions.is_deleted or not {{ has_new_full }}) then 0
            when mentioned.{{ key }} is null then 1
            when not mentioned.is_statement then 0
            when
                versions.is_deleted <> mentioned.is_deleted
                or {{ attributes_differ }}
                then 1
            else 0
        end = 1
),
{%- else %}

{{ entity }}_contradicted as (
    select {{ row_key }} as {{ key }}
    from {{ rows }} as mentioned
    left join {{ this }} as versions
        on
            {{ row_key }} = versions.{{ key }}
            and versions.is_current
    where
        {{ is_of_new }}
        and {{ row_key }} is not null
        and mentioned.{{ accepted }}
        -- a comparison with a constant is thought to hold seldom, and this one does
        and case
            when
                versions.is_deleted <> {{ says_deleted }}
                or {{ attributes_differ }}
                then 1
            else 0
        end = 1

    union all

    select versions.{{ key }}
    from {{ this }} as versions
    where
        {{ has_new_full }}
        and versions.is_current
        and not versions.is_deleted
        and not exists (
            select 1
            from {{ rows }} as mentioned
            where
                {{ is_of_new }}
                and {{ row_key }} = versions.{{ key }}
        )
),
{%- endif %}

{{ entity }}_absent_from_one as (
    -- with several new extracts a key may be missing from one of them and named by another
    select versions.{{ key }}
    from {{ this }} as versions
    inner join {{ source('rampart_store', 'deliveries') }} as deliveries
        on deliveries.kind = 'full' and deliveries.delivery_id in {{ new_deliveries }}
    where
        versions.is_current
        and not versions.is_deleted
        and not exists (
            select 1
            from {{ rows }} as mentioned
            where
                {{ is_new | trim }}
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
        {{ entity }}_extracts.is_new
        and {{ row_key }} is not null
        and mentioned.{{ accepted }}
        and (
            {{ attributes_differ }}
            or versions.is_deleted <> {{ says_deleted }}
        )
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
        not versions.is_deleted
        and not exists (
            select 1
            from {{ rows }} as mentioned
            where
                mentioned._delivery_id = {{ entity }}_extracts.delivery_id
                and {{ row_key }} = versions.{{ key }}
        )
),

{{ entity }}_touched as (
    {%- for step, when in [
        ('differing_few', in_order ~ ' and ' ~ has_few),
        ('contradicted', in_order ~ ' and not ' ~ has_few),
        ('absent_from_one', in_order ~ ' and ' ~ has_several),
        ('differing_late', 'not ' ~ in_order),
        ('absent_late', 'not ' ~ in_order),
    ] %}
    {{ rampart.only_when(when, entity ~ '_' ~ step, key) | trim }}
    {{- '\n\n    union\n' if not loop.last }}
    {%- endfor %}
),

{#- written out at each use: a step would keep those who read it on one core -#}
{%- set touched_keys %}(
        {{ rampart.few(entity ~ '_touched', key) | trim }}
    ){% endset %}
{%- endif %}

---------- what each extract says of each key: a statement, or no more than that it is there
{%- set mentions %}
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
{%- endset %}
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
    inner join {{ touched_keys }} as touched_keys
        on versions.{{ key }} = touched_keys.{{ key }}
    where
        versions.is_current
        and {{ in_order }}

    union all
    {%- for few, which_new in [('', is_of_few_new), ('not ', is_of_new)] %}
{{ mentions }}
    inner join {{ touched_keys }} as touched_keys
        on {{ row_key }} = touched_keys.{{ key }}
    where
        {{ in_order }}
        and {{ few }}{{ has_few }}
        and {{ which_new }}

    union all
    {%- endfor %}

    -- out of order: touched keys are derived anew from all that was ever said of them
    {{- mentions }}
    inner join {{ touched_keys }} as touched_keys
        on {{ row_key }} = touched_keys.{{ key }}
    where not {{ in_order }}
    {%- else %}
    {{- mentions }}
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
    {%- if incremental and config.get('incremental_strategy') != 'scd2' %}

    union all

    -- delete+insert writes a touched key anew as a whole, so its closed versions come along
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
    inner join {{ touched_keys }} as touched_keys
        on versions.{{ key }} = touched_keys.{{ key }}
    where
        not versions.is_current
        and {{ in_order }}
    {%- endif %}
)
{%- endmacro %}
