"""Promise 6: nothing leaves the machine unasked, watched in a namespace without a route.

strace writes down every address that any process of ours, dbt's or Soda's asks for; a look-up of a
name counts, too. Root only; `apt-get install strace`.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from ipaddress import ip_address
from pathlib import Path

import pytest

from tests.conftest import ROOT, copy_project

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(7200),
    pytest.mark.skipif(os.geteuid() != 0, reason="a network namespace needs root"),
    pytest.mark.skipif(not shutil.which("strace"), reason="apt-get install strace"),
    pytest.mark.skipif(not shutil.which("unshare"), reason="unshare is not installed"),
]

ADDRESS = re.compile(
    r"sin6?_port=htons\((?P<port>\d+)\).*?"
    r"(?:inet_addr\(|inet_pton\(AF_INET6, )\"(?P<address>[^\"]+)\""
)
OF_THE_BROWSER = "2001:4860:4860::8888"
"""chromium asks the kernel for a route to it, to learn whether there is IPv6, and sends nothing."""
TESTS = (
    "tests/unit/test_log.py", "tests/integration/test_loader.py", "tests/integration/test_soda.py",
    "tests/integration/test_soda_history.py", "tests/integration/test_channels.py",
    "tests/integration/test_leases.py", "tests/integration/test_red_builds.py",
    "tests/integration/test_landing.py", "tests/integration/test_export.py",
)  # fmt: skip
"""A representative part: every kind of command, dbt, Soda, channels and S3 on loopback."""
WATCHED = os.environ.get("RAMPART_TEST_WATCHED", "")
"""Other tests to be watched instead: `RAMPART_TEST_WATCHED=tests` is the whole suite."""


def attempts(folder: Path, script: str) -> tuple[int, list[str]]:
    """(exit code, addresses outside of loopback and names that anything asked for).

    A name below .invalid belongs to nobody: a test asks for it to see what is said of it.
    """
    trace = folder / "trace.txt"
    done = subprocess.run(
        ["unshare", "--net", "--mount", "--", sys.executable, "-m", "tests.namespace", str(folder),
         "strace", "-f", "-qq", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg",
         "-o", str(trace), "sh", "-c", f"cd {shlex.quote(str(folder))} && {script}"],
        cwd=ROOT,
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
             "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    print(done.stdout[-20_000:], done.stderr[-3000:])
    found = set()
    for line in trace.read_text(errors="replace").splitlines():
        for match in ADDRESS.finditer(line):
            is_probe = match["address"] == OF_THE_BROWSER and " connect(" in line
            if not is_probe and not _is_loopback(match["address"]):
                found.add(f"{match['address']}:{match['port']}")
    noted = folder / "names.txt"
    names = set(noted.read_text().splitlines()) if noted.exists() else set()
    return done.returncode, sorted(
        found | {each for each in names if not each.endswith(".invalid")}
    )


def _is_loopback(text: str) -> bool:
    address = ip_address(text)
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback


@pytest.mark.parametrize(
    "call",
    [
        "socket.create_connection(('192.0.2.1', 443), 1)",
        "socket.getaddrinfo('telemetry.example.org', 443)",
        "socket.socket(type=socket.SOCK_DGRAM).sendto(b'x', ('192.0.2.1', 9))",
    ],
)
def test_the_watcher_sees_an_attempt(tmp_path: Path, call: str) -> None:
    """A connection, a look-up of a name, a datagram: each is found: silence means something."""
    script = f'{sys.executable} -c "import socket; {call}"'
    code, found = attempts(tmp_path, script)

    assert 0 != code
    assert found


def test_the_demo_reaches_out_to_nobody(tmp_path: Path) -> None:
    """Sample data, load, build, scan and the report: not one address outside of this machine."""
    copy_project(tmp_path / "project")
    shutil.rmtree(tmp_path / "project" / "dbt_packages")  # as after a clone
    # strace ends with the last process: the embedded Postgres would live on
    stop = "cd .rampart/demo && rampart db reset --yes"
    code, found = attempts(tmp_path / "project", f"rampart demo; code=$?; {stop}; exit $code")

    assert (0, []) == (code, found)


def test_a_part_of_the_suite_reaches_out_to_nobody(tmp_path: Path) -> None:
    """Real receivers and servers of the tests are on loopback, and so is everything else."""
    tests = " ".join(str(ROOT / path) for path in WATCHED.split() or TESTS)
    code, found = attempts(
        tmp_path,
        f"cd {ROOT} && {sys.executable} -m pytest -q -m 'not slow' -p no:cacheprovider"
        f" --numprocesses 2 --dist loadfile --no-loadscope-reorder {tests}",
    )

    assert (0, []) == (code, found)
