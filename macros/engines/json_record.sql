{% macro json_record(rows, payload, fields, keep=[]) %}
    {{ return(adapter.dispatch('json_record', 'rampart')(rows, payload, fields, keep)) }}
{% endmacro %}

{% macro postgres__json_record(rows, payload, fields, keep) %}
    select
        {%- for column in keep %}
        {{ rows }}.{{ column }},
        {%- endfor %}
        {%- for name, path in fields.items() %}
        {%- if '.' in path %}
        record.{{ path.split('.')[0] }} ->> '{{ path.split('.')[1] }}' as {{ name }}
        {%- else %}
        record.{{ path }} as {{ name }}
        {%- endif %}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ rows }}
    {#- one pass over the text, and no number is read that nobody asked for #}
    cross join lateral json_to_record({{ rows }}.{{ payload }}) as record (
        {%- set seen = [] %}
        {%- for path in fields.values() %}
        {%- set key = path.split('.')[0] %}
        {%- if key not in seen %}
        {{- ', ' if seen }}{{ key }} {{ 'json' if '.' in path else 'text' }}
        {%- do seen.append(key) %}
        {%- endif %}
        {%- endfor %})
{% endmacro %}

{% macro duckdb__json_record(rows, payload, fields, keep) %}
    select
        {%- for column in keep %}
        {{ rows }}.{{ column }},
        {%- endfor %}
        {%- for name, path in fields.items() %}
        json_extract_string({{ rows }}.{{ payload }}, '$.{{ path }}') as {{ name }}{{ ',' if not loop.last }}
        {%- endfor %}
    from {{ rows }}
{% endmacro %}
