"""Of the end of a job's output the line that says why, whatever wrote it."""

from __future__ import annotations

import pytest

from monitors.commands.job_reasons import lines_to_keep, reason

SPARK_OUT = [
    "Traceback (most recent call last):",
    '  File "/srv/job.py", line 8, in <module>',
    '    spark.sql("select nope from nowhere")',
    "pyspark.errors.exceptions.captured.AnalysisException: [TABLE_OR_VIEW_NOT_FOUND] The table or"
    " view `nowhere` cannot be found.",
    "'Project ['nope]",
    "+- 'UnresolvedRelation [nowhere], [], false",
]
SPARK_ERR = [
    "26/11/26 01:45:33 INFO MemoryStore: MemoryStore cleared",
    "26/11/26 01:45:33 INFO SparkContext: Successfully stopped SparkContext (Uptime: 26898 ms)",
]


@pytest.mark.parametrize(
    ("stdout", "stderr", "expected"),
    [
        (SPARK_OUT, SPARK_ERR, SPARK_OUT[3]),
        ([], SPARK_ERR, ""),
        ([], ["Traceback (most recent call last):", "ValueError: no", ""], "ValueError: no"),
        ([], ["Traceback (most recent call last):", "KeyboardInterrupt"], "KeyboardInterrupt"),
        (
            [],
            ['Exception in thread "main" a.b.Outer: x', "\tat a.b.C(D.java:1)", "Caused by: y: z"],
            "Caused by: y: z",
        ),
        (
            [],
            ['psql:q.sql:1: ERROR:  relation "t" does not exist', "LINE 1: select * from t", "  ^"],
            'psql:q.sql:1: ERROR:  relation "t" does not exist',
        ),
        ([], ["fatal: not a git repository"], "fatal: not a git repository"),
        ([], ["step 1", "ls: cannot access 'x': gone"], "ls: cannot access 'x': gone"),
        (["all went well"], [], ""),
        ([], [], ""),
        ([], ["no errors were found", "gave up"], "gave up"),
        ([], ["ValueError: " + "x" * 1000], "ValueError: " + "x" * 288),
    ],
)  # fmt: skip
def test_the_line_that_says_why(stdout: list[str], stderr: list[str], expected: str) -> None:
    """The last that names an error, wherever it stands; routine lines of a log are no reason."""
    assert expected == reason(stdout, stderr)


def test_standard_output_is_kept_when_only_it_says_why() -> None:
    """It is data otherwise, and may be personal."""
    assert [*SPARK_OUT, *SPARK_ERR] == lines_to_keep(SPARK_OUT, SPARK_ERR)
    assert ["ValueError: no"] == lines_to_keep(["id,email", *SPARK_OUT], ["ValueError: no"])
    assert ["gave up"] == lines_to_keep(["id,email"], ["gave up"])
