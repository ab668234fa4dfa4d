"""The landing checks by name: what each claims, why it matters, and what to do when it is red."""

from __future__ import annotations

from dataclasses import dataclass

from monitors.results import Severity


@dataclass(frozen=True, slots=True)
class LandingCheck:
    """`{feed}`, `{where}` and `{path}` in `do` are filled in."""

    claim: str
    metric: str
    severity: Severity
    matters: str
    do: str


CHECKS = {
    "mount": LandingCheck(
        "the landing place can be listed, and its files read",
        "listed_files",
        Severity.HIGH,
        "What cannot be seen or read there is not loaded.",
        "Look whether {where} is there, mounted and readable, with every file in it; then"
        " `rampart landing {feed}`.",
    ),
    "arrived": LandingCheck(
        "files of a required feed have come",
        "arrived_files",
        Severity.HIGH,
        "What is processed is what was known before.",
        "Ask whoever sends {feed}, or look whether {path} is what they write; then"
        " `rampart landing {feed}`.",
    ),
    "file_count": LandingCheck(
        "enough files have come",
        "file_count",
        Severity.HIGH,
        "A part of what should be processed is not here.",
        "Ask whoever sends {feed}; what came: rampart deliveries list {feed}",
    ),
    "newest_age": LandingCheck(
        "the newest file is young enough",
        "newest_age_hours",
        Severity.HIGH,
        "Nothing new arrives, so what is processed is what was known before.",
        "Ask whoever sends {feed}; look at the newest files in {where}.",
    ),
    "size": LandingCheck(
        "files have their usual size",
        "size_ratio",
        Severity.HIGH,
        "A file that was cut off, or came doubled, looks like any other once it is loaded.",
        "Look into the file and have it sent again; the others: rampart deliveries list {feed}",
    ),
    "empty": LandingCheck(
        "no file is empty",
        "empty_files",
        Severity.MEDIUM,
        "Nothing happened that day, or the export ran before its data were there.",
        "Ask whoever sends {feed}; the whole file is loaded when it comes.",
    ),
    "partial": LandingCheck(
        "no file is unfinished",
        "unfinished_files",
        Severity.MEDIUM,
        "It is not loaded in this run; where an upload has died, it never will be.",
        "Wait for the next run; of an old one ask whoever writes it, or remove it.",
    ),
    "names": LandingCheck(
        "every name fits a feed, and none states a moment of the future",
        "stray_files",
        Severity.LOW,
        "A file that its sender has renamed is never loaded, and nothing else says so; one of the"
        " future is loaded, and is the newest for years.",
        "Compare the name with the feed's path, {path}; move away what is not data, and have a"
        " mistyped one sent again under its right name.",
    ),
    "duplicates": LandingCheck(
        "no content comes under two names",
        "duplicate_files",
        Severity.LOW,
        "Events would count twice; of a register it is how a recovery looks, and harmless.",
        "Ask the sender which name is meant; a delivery once loaded stays.",
    ),
    "sequence": LandingCheck(
        "no day or hour is left out",
        "missing_in_sequence",
        Severity.HIGH,
        "Whole days or hours are missing between others that came.",
        "Have them sent; a day on which nothing is due belongs into the calendar of {feed}.",
    ),
}
