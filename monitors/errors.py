"""Everything that Rampart raises on purpose, and what each exit code means.

RampartError                 the base: one line for a person, and an exit code
  ConfigError                rampart.yml, profiles.yml, a variable: exit 2
  ConnectionFailed           the warehouse cannot be reached: exit 2
  EmbeddedPostgresError      the embedded server cannot be started or used: exit 2
  ChecksError                a checks file cannot be read: exit 2
  UsageError                 a feed or a name that does not exist: exit 2
  ModelsError                the dbt project cannot be read: exit 2
  PipelineFailed             the job started and failed: exit 1
  WarehouseFailed            the warehouse failed in the middle of a job: exit 1, before it: exit 2
  ChannelError               a channel did not take a message: exit 1
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """What a scheduler may read from the exit code of every command."""

    OK = 0
    """Everything holds. Warn and blind are printed and stop nothing."""
    RED = 1
    """A check is fail, error or missing, a required feed did not come, a job failed."""
    UNUSABLE = 2
    """The command could not start its job: configuration, connection, usage."""
    INTERRUPTED = 130
    TERMINATED = 143


class RampartError(Exception):
    """Something a person has to put right; the text is the one line they are shown."""

    exit_code = ExitCode.UNUSABLE


class Dropped(RampartError):
    """Work that was given up without harm, because somebody else did it: nothing failed."""


class ConfigError(RampartError):
    """The configuration is wrong. The text is its first fault; `faults` are all of them."""

    def __init__(self, text: str, *more: str) -> None:
        counted = f" (and {len(more)} more: `rampart doctor` lists them)" if more else ""
        super().__init__(f"{text}{counted}")
        self.faults = (text, *more)


class ConnectionFailed(RampartError):
    """The warehouse cannot be reached."""


class EmbeddedPostgresError(RampartError):
    """The embedded Postgres cannot be started or used."""


class ChecksError(RampartError):
    """A checks file or a results file cannot be read."""


class UsageError(RampartError):
    """A feed, a file or a check was named that does not exist."""


class ModelsError(RampartError):
    """dbt cannot read the project, or cannot start."""


class PipelineFailed(RampartError):
    """The job started and then failed."""

    exit_code = ExitCode.RED


class WarehouseFailed(PipelineFailed):
    """The database gave up, refused, or went away: what it is, and what to do, in one line."""

    def __init__(self, text: str, *, started: bool = True) -> None:
        super().__init__(text)
        self.exit_code = ExitCode.RED if started else ExitCode.UNUSABLE


class ChannelError(RampartError):
    """A channel did not take a message. The text never holds a secret."""

    exit_code = ExitCode.RED

    def __init__(
        self, text: str, *, permanent: bool = False, retry_after: float | None = None
    ) -> None:
        super().__init__(text)
        self.permanent = permanent
        """Trying again will not help: somebody has to change something."""
        self.retry_after = retry_after
        """Seconds that the receiver asked us to wait; None when it said nothing."""


def first_line(error: BaseException) -> str:
    """What an error says; further lines of the database may quote a row, and are not shown."""
    return next(iter(str(error).strip().splitlines()), "") or type(error).__name__
