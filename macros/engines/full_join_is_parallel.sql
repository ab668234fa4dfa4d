{% macro full_join_is_parallel() %}
    {{- return(adapter.dispatch('full_join_is_parallel', 'rampart')()) -}}
{% endmacro %}

{% macro default__full_join_is_parallel() %}
    {{- return(true) -}}
{% endmacro %}

{# Postgres 15 has outer joins and anti joins on several cores, but no full join #}
{% macro postgres__full_join_is_parallel() %}
    {%- if not execute %}{{ return(true) }}{% endif %}
    {%- set found = run_query("select current_setting('server_version_num')") %}
    {{- return(found.rows[0][0] | int >= 160000) -}}
{% endmacro %}
