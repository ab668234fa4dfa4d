"""Names that say that a file is not whole: it is still written, or its content is elsewhere."""

from __future__ import annotations

TEMPORARY = (
    ".tmp", ".temp", ".part", ".partial", ".crdownload", ".download", ".opdownload", ".filepart",
    ".inprogress", ".uploading", ".upload", "._copying_", ".aria2", ".swp", "~",
)  # fmt: skip
"""How uploaders, browsers, editors and copy tools end a name until the file is whole."""
PLACEHOLDERS = (".icloud", ".nextcloud", ".owncloud", ".cloud", ".cloudf")
"""How clients of synced folders end the name of a file whose content has not been fetched."""
PREFIXES = (".syncthing.", "~syncthing~", "~$", ".~")
"""How others begin it."""


def unfinished(name: str, pattern: str) -> str | None:
    """Why a name says that its file is not whole; None if not, or if the pattern ends like it."""
    base, wanted = name.rsplit("/", 1)[-1].lower(), pattern.lower()
    for ends, why in (
        (PLACEHOLDERS, "a placeholder of a sync client"),
        (TEMPORARY, "a temporary name"),
    ):
        if any(base.endswith(end) and not wanted.endswith(end) for end in ends):
            return why
    return "a temporary name" if base.startswith(PREFIXES) else None


def finished_name(name: str) -> str:
    """The name that an unfinished file will have: `.a.csv.icloud` becomes `a.csv`."""
    folder, slash, base = name.rpartition("/")
    for prefix in PREFIXES:
        base = base.removeprefix(prefix)
    for end in (*PLACEHOLDERS, *TEMPORARY):
        if base.lower().endswith(end):
            base = base[: -len(end)]
            break
    return f"{folder}{slash}{base.removeprefix('.')}"
