{% macro get_incremental_scd2_sql(arguments) %}
    {{ return(adapter.dispatch('get_incremental_scd2_sql', 'rampart')(arguments)) }}
{% endmacro %}

{% macro default__get_incremental_scd2_sql(arguments) %}
{%- set columns = get_quoted_csv(arguments.dest_columns | map(attribute='name')) %}
{%- set key = arguments.unique_key %}
{%- set touched %}
    and {{ rampart.is_one_of(key, arguments.temp_relation, key) }}
{%- endset %}
-- in order, a touched key's current version comes back closed; what was closed before stays
delete from {{ arguments.target_relation }}
where
    is_current
    {{- touched }};

delete from {{ arguments.target_relation }}
where
    not is_current
    and not {{ rampart.scd2_is_in_order() }}
    {{- touched }};

insert into {{ arguments.target_relation }} ({{ columns }})
select {{ columns }}
from {{ arguments.temp_relation }}
{% endmacro %}
