{% macro get_where_subquery(relation) %}
{%- set where = config.get('where', '') %}
{%- if where != 'untested' or not execute or env_var('RAMPART_AUDIT', '') %}
    {{- return(relation if where == 'untested' else dbt.default__get_where_subquery(relation)) }}
{%- endif %}
{%- set untested %}
(
    select *
    from {{ relation }}
    where {{ rampart.is_one_of(
        '_delivery_id', '(' ~ rampart.untested_deliveries() ~ ') as untested', 'delivery_id'
    ) }}
) dbt_subquery
{%- endset %}
{{- return(untested) }}
{% endmacro %}
