{% macro scd2_faults_of(dimension, natural_key, tracked=[], gaps='not_allowed') %}
{%- if gaps not in ('allowed', 'not_allowed') %}
    {{ exceptions.raise_compiler_error(
        "scd2_faults_of: `gaps` must be one of allowed, not_allowed, got '" ~ gaps ~ "'"
    ) }}
{%- endif %}
{%- set this_version %}'where {{ natural_key }} = ''' || replace(cast(versions.{{ natural_key }} as {{ dbt.type_string() }}), '''', '''''')
            || ''' and valid_from = ''' || cast(versions.valid_from as {{ dbt.type_string() }}) || ''''{% endset %}
with

dimension as (
    select * from {{ dimension }}
),

versions as (
    select
        dimension.*,
        lead(dimension.valid_from) over by_key as next_valid_from,
        lag(dimension.valid_to) over by_key as previous_valid_to,
        {%- if tracked %}
        coalesce(
            lag(dimension.is_deleted) over by_key = dimension.is_deleted
            {%- for attribute in tracked %}
            and lag(dimension.{{ attribute }}) over by_key
            is not distinct from dimension.{{ attribute }}
            {%- endfor %},
            false
        )
        {%- else %}
        false
        {%- endif %} as equals_previous,
        row_number() over (
            partition by dimension.{{ natural_key }} order by dimension.valid_from desc
        ) as version_from_end,
        sum(case when dimension.is_current then 1 else 0 end) over (
            partition by dimension.{{ natural_key }}
        ) as current_versions
    from dimension
    window by_key as (partition by dimension.{{ natural_key }} order by dimension.valid_from)
),

faults as (
    select
        versions.{{ natural_key }},
        versions.valid_from,
        'several current versions' as fault,
        'update {{ dimension }} set is_current = false, valid_to = '''
        || cast(versions.next_valid_from as {{ dbt.type_string() }}) || ''' ' || {{ this_version }} as repair
    from versions
    where versions.is_current and versions.current_versions > 1 and versions.version_from_end > 1

    union all

    select
        versions.{{ natural_key }},
        versions.valid_from,
        'no current version' as fault,
        'update {{ dimension }} set is_current = true, valid_to = null ' || {{ this_version }} as repair
    from versions
    where versions.current_versions = 0 and versions.version_from_end = 1

    union all

    select
        versions.{{ natural_key }},
        versions.valid_from,
        'overlaps the next version' as fault,
        'update {{ dimension }} set is_current = false, valid_to = '''
        || cast(versions.next_valid_from as {{ dbt.type_string() }}) || ''' ' || {{ this_version }} as repair
    from versions
    where coalesce(versions.valid_to > versions.next_valid_from, versions.valid_to is null)
        and versions.next_valid_from is not null
    {%- if gaps == 'not_allowed' %}

    union all

    select
        versions.{{ natural_key }},
        versions.valid_from,
        'leaves a gap before the next version' as fault,
        'update {{ dimension }} set valid_to = '''
        || cast(versions.next_valid_from as {{ dbt.type_string() }}) || ''' ' || {{ this_version }} as repair
    from versions
    where versions.valid_to < versions.next_valid_from
    {%- endif %}

    union all

    select
        versions.{{ natural_key }},
        versions.valid_from,
        'ends before it begins' as fault,
        'delete from {{ dimension }} ' || {{ this_version }} as repair
    from versions
    where versions.valid_to <= versions.valid_from

    union all

    select
        versions.{{ natural_key }},
        versions.valid_from,
        'is_current contradicts valid_to' as fault,
        'update {{ dimension }} set is_current = (valid_to is null) ' || {{ this_version }} as repair
    from versions
    where versions.is_current <> (versions.valid_to is null)

    union all

    select
        versions.{{ natural_key }},
        versions.valid_from,
        'changes nothing' as fault,
        'delete from {{ dimension }} ' || {{ this_version }}
        || '; update {{ dimension }} set is_current = '
        || case when versions.is_current then 'true' else 'false' end || ', valid_to = '
        || coalesce('''' || cast(versions.valid_to as {{ dbt.type_string() }}) || '''', 'null')
        || ' where {{ natural_key }} = '''
        || replace(cast(versions.{{ natural_key }} as {{ dbt.type_string() }}), '''', '''''')
        || ''' and valid_to = ''' || cast(versions.valid_from as {{ dbt.type_string() }}) || '''' as repair
    from versions
    where versions.equals_previous and versions.previous_valid_to = versions.valid_from
)

select * from faults
{% endmacro %}
