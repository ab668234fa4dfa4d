"""The compositions: one module per command. They open connections and own the transactions.

A composition takes from one room and hands to the next (arrival, dbt, scan, store, alert, show), so
that rooms need not know each other. It prints nothing and never exits.
"""
