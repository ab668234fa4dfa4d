"""What a person does about each kind of incident: recommended actions, steps, why it matters."""

from __future__ import annotations

from monitors.alert.facts import Cause
from monitors.alert.topics import Topic

LIKELY: dict[Topic, tuple[Cause, ...]] = {
    Topic.JOB: (),
    Topic.LANDING: (Cause.REFUSED, Cause.NO_DELIVERY, Cause.ODD_DELIVERY),
    Topic.ARRIVAL: (Cause.NO_DELIVERY,),
    Topic.VALIDATION: (Cause.LOST_COLUMN, Cause.NEW_COLUMN, Cause.CODE),
    Topic.MODEL: (Cause.LOST_COLUMN, Cause.CODE, Cause.VERSION),
    Topic.ERROR: (Cause.CODE, Cause.VERSION),
    Topic.SCD: (Cause.FAULT, Cause.CODE, Cause.OTHER_HANDS),
    Topic.CONSERVATION: (Cause.FAULT, Cause.CODE, Cause.OTHER_HANDS),
    Topic.QUARANTINE: (Cause.LOST_COLUMN, Cause.DEAD_LETTERS, Cause.RULE, Cause.CODE),
    Topic.VOLUME: (Cause.REFUSED, Cause.NO_DELIVERY, Cause.ODD_DELIVERY, Cause.RULE, Cause.CODE),
    Topic.FRESHNESS: (Cause.REFUSED, Cause.NO_DELIVERY, Cause.RULE, Cause.CODE),
    Topic.RULE: (
        Cause.LOST_COLUMN,
        Cause.CODE,
        Cause.RULE,
        Cause.DELIVERY,
        Cause.OTHER_HANDS,
    ),
    Topic.MISSING: (Cause.CODE, Cause.VERSION),
    Topic.CHANNEL: (),
}
"""{topic: what mostly brings it about, the likeliest first}; the first that was found is named."""

MATTERS: dict[Topic, str] = {
    Topic.JOB: "Nothing that follows this job has new data.",
    Topic.LANDING: "{dataset} is as old as the last delivery, or a part of it is missing.",
    Topic.ARRIVAL: "Nobody has loaded anything, so every number is as old as the last load.",
    Topic.VALIDATION: "Models that rely on the columns of {dataset} read nulls, or stop.",
    Topic.MODEL: "{dataset} and all that is made from it keep the rows of the last good build.",
    Topic.ERROR: "Nobody watches this claim about {dataset} until the check works again.",
    Topic.MISSING: "Nobody watches this claim about {dataset} until the check reports again.",
    Topic.SCD: "Joins to {dataset} count rows twice or not at all.",
    Topic.CONSERVATION: "Rows were lost or counted twice between a file and its table.",
    Topic.CHANNEL: "Alerts for this channel wait, and whoever reads it believes that all is well.",
}
MATTERS_ELSE = "Whoever reads {dataset} may draw the wrong conclusion."

DO: dict[Topic, str] = {
    Topic.JOB: "mend what the message names and run it again: what was committed is skipped",
    Topic.LANDING: "ask the sender for the file; `rampart deliveries list {feed}` shows what came",
    Topic.ARRIVAL: "see whether the scheduler runs, then `rampart run`",
    Topic.VALIDATION: "ask the sender what changed; adapt staging, or have the file sent again",
    Topic.MODEL: "mend the model (logs/dbt.log says more), then `rampart build --select {name}+`",
    Topic.ERROR: "mend the check or the table it reads; `rampart scan --select {check_id}`",
    Topic.MISSING: "is the table empty, the check gone? `rampart scan --select {check_id}`",
    Topic.SCD: "`rampart build --select {name}`, or run the repair that the fault names",
    Topic.CONSERVATION: "`rampart build --full-refresh`; if it stays, the mart has a bug",
    Topic.QUARANTINE: "`rampart quarantine list --feed {feed}`; have a corrected file sent",
    Topic.VOLUME: "compare the deliveries of the day, ask the sender for what is missing",
    Topic.FRESHNESS: "`rampart deliveries list {feed}`; ask the sender for what is missing",
    Topic.CHANNEL: "mend its settings or its secret, then `rampart notify --retry-parked`",
}
DO_ELSE = "look at the rows that break it and trace them to their delivery"

STEPS: dict[str, tuple[str, ...]] = {
    "job_failure": (
        "Read the message; the whole of it is in the log of run {run_id}.",
        "Is it the file, the network or the database? `rampart doctor` names what is wrong here.",
        "Start the same command again; nothing that was committed is done twice.",
    ),
    "landing_failure": (
        "Is the file in the landing place of the feed, under the name that rampart.yml expects?",
        "When did the last one come, and how large was it: `rampart deliveries list {feed}`.",
        "Ask the sender; a refused delivery that is right: `rampart deliveries let-through`.",
    ),
    "validation_failure": (
        "Which columns are new or gone: select * from monitoring.schema_drift.",
        "Which models read them: dbt ls --select {dataset}+.",
        "Agree with the sender on the change, adapt staging, `rampart build --full-refresh`.",
    ),
    "data_quality_failure": (
        "Run the statement and look at a few rows.",
        "One delivery, one hour, one value? Then it is the sender; else the code.",
        "Compare with what changed since the last green run.",
        "Have the data corrected and loaded again, or mend the model; then `rampart run`.",
    ),
    "dbt_run_failure": (
        "Read the message; the statement that failed is in target/run/.",
        "Did the code, a column upstream or a contract change since the last green run?",
        "Mend it, then `rampart build --select {name}+`: what was skipped is built as well.",
    ),
    "dbt_test_failure": (
        "Run the statement: it lists the rows that break the test.",
        "Did they come with the last delivery, or did the model change?",
        "Mend the data or the model, then `rampart build --select {name}`.",
    ),
    "scd_validation_failure": (
        "select * from monitoring.scd2_faults: it names keys, faults and the repair of each.",
        "Was the dimension written to by hand, or by two builds at once?",
        "`rampart build --select {name}` recomputes it from the extracts.",
    ),
    "monitoring_failure": (
        "Does the table exist, may the monitor read it, does the statement run by hand?",
        "Did a model, a checks file or a version change since the last green run?",
        "`rampart doctor`, then `rampart scan --select {check_id}`.",
    ),
    "channel": (
        "Read what the receiver answered; `rampart channels list` says what is wrong here.",
        "Is its address, its secret or its certificate another one than yesterday?",
        "Mend it, try `rampart channels test NAME`, then `rampart notify --retry-parked`.",
    ),
}
"""{kind, or a topic of its own: the steps of an investigation, in order}."""
