"""The mass-deletion breaker: a truncated extract must not delete what it merely does not name."""

from __future__ import annotations

from datetime import datetime

from psycopg import sql

from monitors.arrival import raw
from monitors.config_feeds import Feed
from monitors.results import number_text
from monitors.store.postgres import Store


def mass_deletion(
    store: Store, feed_name: str, feed: Feed, delivery_id: int, moment: datetime
) -> str | None:
    """Why a full extract is refused: of the keys that the full extract before it names, a larger
    share is gone than the feed's `breaker` allows. None when it may go through.

    Keys are compared without regard to case and outer blanks: a register that changes its spelling
    deletes nobody. The extract before is the latest admitted one at or before the same moment.
    """
    extract = feed.extract
    if extract is None or extract.breaker is None or extract.key is None:
        return None
    before = store.full_extract_before(feed_name, moment)
    if before is None:
        return None
    cell = (
        sql.SQL("({} ->> {})").format(sql.Identifier(raw.PAYLOAD), sql.Literal(extract.key))
        if feed.format == "jsonl"
        else sql.Identifier(extract.key)
    )
    key = sql.SQL("lower(trim({}))").format(cell)
    row = store.connection.execute(
        sql.SQL(
            "with before as ("
            " select distinct {key} as key from {table} where _delivery_id = {before}"
            " and {key} <> ''"
            "), arrived as ("
            " select distinct {key} as key from {table} where _delivery_id = {arrived}"
            ") select count(*), count(*) filter (where arrived.key is null)"
            " from before left join arrived on before.key = arrived.key"
        ).format(
            key=key,
            table=raw.table(feed),
            before=sql.Literal(before),
            arrived=sql.Literal(delivery_id),
        )
    ).fetchone()
    known, gone = row or (0, 0)
    if not known or gone / known <= extract.breaker:
        return None
    return (
        f"{gone:,} of {known:,} keys of the extract before are gone: {number_text(gone / known)}"
        f" (max {extract.breaker})"
    )
