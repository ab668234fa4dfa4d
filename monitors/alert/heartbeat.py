"""Tells a service outside that a run has ended, so that a dead scheduler is seen by its silence.

healthchecks.io's convention, which others took over: URL for success, URL/<exit code> for red.
"""

from __future__ import annotations

from urllib.parse import urlsplit, urlunsplit

from monitors import log as logs
from monitors.alert.http import deliver
from monitors.alert.secret import read_url
from monitors.config_alerts import Heartbeat
from monitors.errors import ChannelError

log = logs.get_logger("Heartbeat")


def beat(heartbeat: Heartbeat | None, command: str, exit_code: int) -> bool:
    """Call the URL when this command counts; True when it was called and answered.

    Never raises: whatever goes wrong is one warning in the log, and the run ends as it would have.
    """
    if heartbeat is None or command not in heartbeat.after:
        return False
    try:
        url = _url_for(read_url(heartbeat.url, "heartbeat.url"), exit_code)
        timeout = heartbeat.timeout.total_seconds()
        deliver("GET", url, headers={}, timeout=timeout)
    except ChannelError as error:
        log.warning("heartbeat failed", command=command, error_message=str(error))
        return False
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
        log.warning("heartbeat failed", command=command, error_message=said)
        return False
    log.info("heartbeat sent", command=command, exit_code=exit_code)
    return True


def _url_for(url: str, exit_code: int) -> str:
    """The exit code goes behind the path; what follows a question mark stays behind it."""
    if exit_code == 0:
        return url
    parts = urlsplit(url)
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{exit_code}"))
