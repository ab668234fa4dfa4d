{#- The hash of the fields as text, with a dash between them and a fixed word in place of each
    null. Keys that stand in tables depend on every letter of this: never change it. -#}
{%- macro generate_surrogate_key(field_list) -%}

    {%- do dbt_utils._refuse_unless_list("generate_surrogate_key", "field_list", field_list) -%}
    {%- set nulls_as_empty = var("surrogate_key_treat_nulls_as_empty_strings", false) -%}
    {%- set null_word = "" if nulls_as_empty else "_dbt_utils_surrogate_key_null_" -%}
    {%- set parts = [] -%}
    {%- for field in field_list or ["null"] -%}
        {%- if not loop.first -%}
            {%- do parts.append("'-'") -%}
        {%- endif -%}
        {%- do parts.append("coalesce(cast(" ~ field ~ " as " ~ dbt.type_string() ~ "), '" ~ null_word ~ "')") -%}
    {%- endfor -%}
    {{ dbt.hash(dbt.concat(parts)) }}

{%- endmacro -%}
