"""The child process in which Elementary's own `report` command runs; not for import.

`python -m monitors.show.edr FOLDER OPTION...`: FOLDER is the dbt project that Elementary runs. Its
own one lies in site-packages, where nothing may be written and no dbt package can be put.
"""

from __future__ import annotations

import sys


def main() -> None:
    from elementary.monitor import dbt_project_utils

    # before anything else of Elementary reads it
    dbt_project_utils.CLI_DBT_PROJECT_PATH = sys.argv[1]
    # not `elementary.cli`: that asks the package index for a newer version whenever it starts
    from elementary.monitor.cli import report

    report.main(sys.argv[2:], prog_name="edr report")


if __name__ == "__main__":
    main()
