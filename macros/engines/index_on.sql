{% macro index_on(columns, unique=false, where=none, name=none) %}
    {{ return(adapter.dispatch('index_on', 'rampart')(columns, unique, where, name)) }}
{% endmacro %}

{% macro default__index_on(columns, unique, where, name) %}{% endmacro %}

{% macro postgres__index_on(columns, unique, where, name) %}
    create {{ 'unique ' if unique }}index if not exists
        {{ this.identifier }}_{{ name or columns | join('_') }}
        on {{ this }} ({{ columns | join(', ') }})
        {{ 'where ' ~ where if where }}
{% endmacro %}
