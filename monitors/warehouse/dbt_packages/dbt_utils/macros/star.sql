{#- The columns of a relation as a select list, without those of `except`, aliased when `rename`,
    `prefix` or `suffix` say so. -#}
{%- macro star(
    from,
    relation_alias=false,
    except=[],
    prefix="",
    suffix="",
    quote_identifiers=true,
    unquote_aliases=false,
    rename={}
) -%}

    {%- if not execute -%}
        {%- do return("*") -%}
    {%- endif -%}
    {%- if from is not mapping or not from.identifier or from.is_cte -%}
        {%- do dbt_utils._refuse("star", "from", "a relation that is not ephemeral", from | string) -%}
    {%- endif -%}
    {%- set left_out = except | map("lower") | list -%}
    {%- set aliases = {} -%}
    {%- for name, alias in rename.items() -%}
        {%- do aliases.update({name | lower: alias}) -%}
    {%- endfor -%}
    {%- set listed = [] -%}
    {%- for column in adapter.get_columns_in_relation(from) if column.name | lower not in left_out -%}
        {%- set name = adapter.quote(column.name) if quote_identifiers else column.name -%}
        {%- set wrapped = prefix ~ column.name ~ suffix -%}
        {%- if column.name | lower in aliases -%}
            {%- set alias = " as " ~ aliases[column.name | lower] -%}
        {%- elif quote_identifiers and unquote_aliases -%}
            {%- set alias = " as " ~ wrapped -%}
        {%- elif prefix or suffix -%}
            {%- set alias = " as " ~ (adapter.quote(wrapped) if quote_identifiers else wrapped) -%}
        {%- else -%}
            {%- set alias = "" -%}
        {%- endif -%}
        {%- do listed.append((relation_alias ~ "." if relation_alias else "") ~ name ~ alias) -%}
    {%- endfor -%}
    {%- if listed -%}
        {%- do return(listed | join(",\n  ")) -%}
    {%- elif flags.WHICH == "compile" -%}
        {%- do return("* /* star() found no columns: does the relation exist yet? */") -%}
    {%- else -%}
        {%- do return("/* star() found no columns */") -%}
    {%- endif -%}

{%- endmacro -%}
