"""`rampart serve`: metrics, health and the status page over HTTP."""

from __future__ import annotations

from pathlib import Path

import click

from monitors.cli_common import settings


@click.command()
@click.option("--host", help="Where to listen; loopback unless told otherwise.")
@click.option("--port", type=click.IntRange(0, 65535), help="9750 unless told; 0 takes a free one.")
@click.option(
    "--token-file", type=click.Path(path_type=Path, dir_okay=False),
    envvar="RAMPART_SERVE_TOKEN_FILE",
    help="Who asks must send its line as a Bearer token.  [env: RAMPART_SERVE_TOKEN_FILE]",
)  # fmt: skip
@click.option("--allow-anonymous", is_flag=True, help="Show everything to whoever can reach it.")
@click.option(
    "--otlp", metavar="URL", envvar="RAMPART_SERVE_OTLP",
    help="Also push to an OpenTelemetry collector, like http://host:4318/v1/metrics; needs"
    " rampart[otel].  [env: RAMPART_SERVE_OTLP]",
)  # fmt: skip
@click.option(
    "--otlp-every", type=click.FloatRange(0.1), default=60.0, show_default=True,
    help="Seconds between two pushes.",
)  # fmt: skip
def serve(
    host: str | None,
    port: int | None,
    token_file: Path | None,
    allow_anonymous: bool,
    otlp: str | None,
    otlp_every: float,
) -> int:
    """Serve /metrics, /health and the status page until interrupted. Writes nothing."""
    from monitors.commands.serve import Access, otlp_push, read_token
    from monitors.commands.serve import serve as serve_until_stopped

    config = settings.config()
    access = Access(
        host=host or config.serve.host,
        port=config.serve.port if port is None else port,
        token=read_token(token_file) if token_file else None,
        anonymous=allow_anonymous,
    )
    push = otlp_push(otlp, otlp_every) if otlp else None

    def say(where: str, number: int) -> None:
        shown = f"[{where}]" if ":" in where else where
        click.echo(f"Rampart listens on http://{shown}:{number}/")

    return serve_until_stopped(config, access, say, push)
