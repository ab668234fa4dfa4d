"""`python -m tests.namespace FOLDER COMMAND...`: a command without any route, its look-ups noted.

Root only. In network and mount namespaces of its own the command has a loopback, and a name
server there that knows nothing: what it is asked for stands in FOLDER/names.txt.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import subprocess
import sys
from pathlib import Path

SIOCSIFFLAGS = 0x8914
UP_AND_RUNNING = 0x49
NO_SUCH_NAME = b"\x81\x83"


def main() -> None:
    folder, command = Path(sys.argv[1]), sys.argv[2:]
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, SIOCSIFFLAGS, struct.pack("16sh", b"lo", UP_AND_RUNNING))
    configuration = folder / "resolv.conf"
    configuration.write_text("nameserver 127.0.0.1\noptions timeout:1 attempts:1\n")
    subprocess.run(["mount", "--bind", str(configuration), "/etc/resolv.conf"], check=True)
    names = socket.socket(type=socket.SOCK_DGRAM)
    names.bind(("127.0.0.1", 53))
    server = os.fork()
    if server == 0:
        _answer(names, folder / "names.txt")
    names.close()
    done = subprocess.run(command, check=False)
    os.kill(server, 9)
    raise SystemExit(done.returncode)


def _answer(names: socket.socket, noted: Path) -> None:
    while True:
        question, who = names.recvfrom(4096)
        with noted.open("a") as file:
            file.write(f"{_name_in(question)}\n")
        names.sendto(question[:2] + NO_SUCH_NAME + question[4:6] + bytes(6) + question[12:], who)


def _name_in(question: bytes) -> str:
    labels, at = [], 12
    while length := question[at]:
        labels.append(question[at + 1 : at + 1 + length].decode("ascii", "replace"))
        at += 1 + length
    return ".".join(labels)


if __name__ == "__main__":
    main()
