{#- Elementary learns of a test's rows only from within the test. Off, or without the real package, this
    is dbt's own way. -#}
{% materialization test, default %}
    {%- set theirs = context.get('elementary', {}).get('materialize_test') %}
    {%- if theirs is none or not elementary.is_elementary_enabled() %}
        {{- return(dbt.materialization_test_default()) }}
    {%- endif %}
    {{- return(theirs(dbt.materialization_test_default)) }}
{% endmaterialization %}
