{#- Stops one test or model for a bad argument. Only while executing: at parse time the same
    error would stop every other test of the project as well. -#}
{%- macro _refuse(macro_name, argument, allowed, found) -%}
    {%- if execute -%}
        {%- do exceptions.raise_compiler_error(
            "dbt_utils." ~ macro_name ~ ": `" ~ argument ~ "` must be " ~ allowed
            ~ ", found: " ~ (found | tojson if found is not undefined else "nothing")
        ) -%}
    {%- endif -%}
{%- endmacro -%}


{#- Refuses what is not a list of names; a bare string would be read letter by letter. -#}
{%- macro _refuse_unless_list(macro_name, argument, found, may_be_empty=false) -%}
    {%- set is_list = found is iterable and found is not string and found is not mapping -%}
    {%- if not is_list or not (found or may_be_empty) -%}
        {%- set allowed = "a list of column names" ~ ("" if may_be_empty else " with at least one in it") -%}
        {%- do dbt_utils._refuse(macro_name, argument, allowed, found) -%}
    {%- endif -%}
{%- endmacro -%}


{%- macro _refuse_unless_boolean(macro_name, argument, found) -%}
    {%- if found is not boolean -%}
        {%- do dbt_utils._refuse(macro_name, argument, "true or false", found) -%}
    {%- endif -%}
{%- endmacro -%}
