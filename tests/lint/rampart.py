"""What sqlfluff sees of our own macros in a foreign project."""

from __future__ import annotations


def __getattr__(_name: str) -> object:
    return lambda *arguments, **_named: str(arguments[0]) if arguments else ""


def new_deliveries(_feed: str, decided: str = "") -> str:
    return "select 1 as delivery_id" + (f", 2 as decided from {decided}" if decided else "")


def decided_rows(_feed: str) -> str:
    return "select 1 as delivery_id, 1 as source_row"


def is_due(_rows: str) -> str:
    return "true"


def judged_anew(_feed: str, rows: str, _rules: object, _stored: object) -> str:
    return f"select * from {rows}"


def violations_of(_feed: str, rows: str, _rules: object, **_named: object) -> str:
    return f"select * from {rows}"


def ledger_of(_violations: str) -> str:
    return "select 1 as one"


def quarantine_rates_of(_ledger: str) -> str:
    return "select 1 as one"


def scd2_faults_of(_dimension: str, _natural_key: str, **_named: object) -> str:
    return "select 1 as one"


def conservation_of(_feed: str, **_named: object) -> str:
    return "select 1 as one"


def judge(rows: str, _rules: object, decided: str = "") -> str:
    return f"select * from {rows}" + (f" cross join {decided}" if decided else "")
