{# dbt asks only the root project for this macro, so Rampart's own has to be handed on #}
{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ rampart.generate_schema_name(custom_schema_name, node) }}
{%- endmacro %}
