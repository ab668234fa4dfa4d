{#- The names of a relation's columns, in their order, each passed through the filter `transform`. -#}
{%- macro _column_names(macro_name, model, transform) -%}

    {%- if transform not in ["upper", "lower", "trim", "string"] -%}
        {%- do dbt_expectations._refuse(macro_name, "transform", "one of upper, lower, trim, string", transform) -%}
    {%- endif -%}
    {%- set columns = adapter.get_columns_in_relation(model) if execute else [] -%}
    {%- do return(columns | map(attribute="name") | map(transform) | list) -%}

{%- endmacro -%}
