"""What sqlfluff sees of dbt's cross-database macros."""

from __future__ import annotations


def type_string() -> str:
    return "text"


def type_numeric() -> str:
    return "numeric"


def listagg(measure: str, _delimiter: str, order: str) -> str:
    return f"string_agg({measure}, ', ' {order})"
