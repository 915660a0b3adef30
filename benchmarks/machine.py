# SPDX-License-Identifier: MIT
"""What figures were measured on: the machine and the versions of everything that matters."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path

from demo.processes import ServiceError, find_program

HARDWARE = ("cores", "processor", "memory", "system")
PACKAGES = {
    "apache-airflow": "Airflow",
    "mysqlclient": "mysqlclient",
    "hyperscan": "hyperscan",
    "redis": "redis-py",
    "hiredis": "hiredis",
}
PROGRAMS = {"mariadbd": "MariaDB", "redis-server": "Redis", "rg": "ripgrep", "mtail": "mtail"}


def facts() -> dict[str, str]:
    """The facts by name; a program that is not installed says so."""
    return {
        "cores": str(len(os.sched_getaffinity(0))),
        "processor": _field(Path("/proc/cpuinfo"), "model name"),
        "memory": f"{int(_field(Path('/proc/meminfo'), 'MemTotal').split()[0]) / 2**20:.0f} GiB",
        "system": f"{platform.freedesktop_os_release()['PRETTY_NAME']}, Linux {'.'.join(platform.release().split('.')[:2])}",
        "Python": platform.python_version(),
        **{title: version(package) for package, title in PACKAGES.items()},
        **{title: _version(program) for program, title in PROGRAMS.items()},
    }


def _field(file: Path, name: str) -> str:
    for line in file.read_text(encoding="utf-8").splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"


def _version(program: str) -> str:
    """The number in what a program says about its version."""
    try:
        path = find_program(program, program)
    except ServiceError:
        return "not installed"
    said = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    found = re.search(r"\d+(\.\d+)+", said.stdout or said.stderr)
    return found[0] if found else "unknown"
