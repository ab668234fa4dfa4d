{% macro index_on(columns, unique=false, where=none, name=none) %}
    {{ return(adapter.dispatch('index_on', 'rampart')(columns, unique, where, name)) }}
{% endmacro %}

{% macro default__index_on(columns, unique, where, name) %}{% endmacro %}

{% macro postgres__index_on(columns, unique, where, name) %}
    {%- set index = this.identifier ~ '_' ~ (name or columns | join('_')) %}
    {%- if not is_incremental() %}
    {#- a table built anew: the one it replaces still owns the name, and takes the index along #}
    drop index if exists {{ this.schema }}.{{ index }};
    {%- endif %}
    create {{ 'unique ' if unique }}index if not exists
        {{ index }}
        on {{ this }} ({{ columns | join(', ') }})
        {{ 'where ' ~ where if where }}
{% endmacro %}
