{% macro generate_schema_name(custom_schema_name, node) -%}
    {{ rampart.generate_schema_name(custom_schema_name, node) }}
{%- endmacro %}
