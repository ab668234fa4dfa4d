"""The benchmarks behind every claim about speed: `python -m bench [NAME...]`.

Each one compares Rampart with a named reference in the same run, on the same server, in turns
(A B A B), because a figure from another machine or another minute says nothing. They are no tests.
"""
