# SPDX-License-Identifier: MIT
"""What one would read a log with instead: the guide's greps, ripgrep, ripgrep into mawk, Python, mtail."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

GUIDE = Path(__file__).with_name("guide")
COMBINED = (
    r"AppointmentPhaseObserver:|week_availability.*:pt_|SyncAppointmentToCalcomJob.*Processing Time"
    r"|processing_time_auto_create_phases.*false|\.(?:CRITICAL|ALERT|EMERGENCY):"
)
"""Finds the lines that any metric or rule is about; counts nothing for itself."""
_MAWK = r"""
!/^\[[0-9]/ { next }
/\.CRITICAL:|\.ALERT:|\.EMERGENCY:/ { n["critical"]++ }
/AppointmentPhaseObserver: Failed/ { n["failed"]++ }
/AppointmentPhaseObserver:.*Phases created/ {
    n["created"]++
    if (match($0, /duration_ms":[0-9.]+/)) sum += substr($0, RSTART + 13, RLENGTH - 13)
}
/week_availability.*:pt_/ {
    if (/from cache/) n["hit"]++
    if (/Cal\.com API response/) { n["miss"]++; minute[substr($0, 2, 16)]++ }
}
/SyncAppointmentToCalcomJob.*Processing Time/ {
    message = substr($0, 1, index($0, " {"))
    if (message ~ /success/) n["success"]++
    if (message ~ /failed|error/) { n["sync_failed"]++; hour[substr($0, 2, 13)]++ }
}
/processing_time_auto_create_phases.*false/ { n["disabled"]++ }
END { for (kind in n) print kind, n[kind]; printf "duration %.2f\n", sum }
"""
_MTAIL = {
    "failed": r"AppointmentPhaseObserver: Failed",
    "created": r"AppointmentPhaseObserver: Phases created",
    "hit": r"from cache.*week_availability.*:pt_",
    "miss": r"Cal\.com API response.*week_availability.*:pt_",
    "success": r"SyncAppointmentToCalcomJob.*Processing Time.*success",
    "sync_failed": r"SyncAppointmentToCalcomJob.*Processing Time.*failed",
    "disabled": r"processing_time_auto_create_phases.*false",
    "critical": r"\.(CRITICAL|ALERT|EMERGENCY):",
}


def guide(folder: Path) -> dict[str, str]:
    """What the guide's seven greps say about ``storage/logs/laravel.log`` in a folder."""
    said = _run([str(GUIDE / "log.sh"), str(folder)])
    return {
        title: answer.strip() for title, answer in re.findall(r"^(.+):\n((?:.*[^:]\n)?)", said, re.MULTILINE)
    }


def fourth_pattern(folder: Path) -> int:
    """The lines that the guide's fourth alert rule matches when its pattern is taken as it is written."""
    return int(_run([str(GUIDE / "log_fourth_pattern.sh"), str(folder)]))


def rg_count(path: Path) -> int:
    """Lines with any of the patterns."""
    return int(_run(["rg", "-c", COMBINED, str(path)]))


def rg_mawk(path: Path) -> Counter[str]:
    """How many of each kind, and the sum of the durations."""
    with subprocess.Popen(["rg", "-N", COMBINED, str(path)], stdout=subprocess.PIPE) as rg:
        said = subprocess.run(["mawk", _MAWK], stdin=rg.stdout, capture_output=True, text=True, check=True)
    return Counter({kind: round(float(n)) for kind, n in map(str.split, said.stdout.splitlines())})


def python_lines(path: Path) -> Counter[str]:
    """Line by line, with ``in`` and one ``re`` where it cannot be helped."""
    found: Counter[str] = Counter()
    duration = re.compile(rb'duration_ms":([0-9.]+)')
    with path.open("rb") as file:
        for line in file:
            if not line.startswith(b"["):
                continue
            if b"AppointmentPhaseObserver:" in line:
                found["failed"] += b"AppointmentPhaseObserver: Failed" in line
                if b"Phases created" in line and (match := duration.search(line)):
                    found["created"] += 1
                    found["duration"] += float(match[1])
            elif b"week_availability" in line and b":pt_" in line:
                found["hit"] += b"from cache" in line
                found["miss"] += b"Cal.com API response" in line
            elif b"SyncAppointmentToCalcomJob" in line and b"Processing Time" in line:
                message = line.partition(b" {")[0]
                found["success"] += b"success" in message
                found["sync_failed"] += b"failed" in message or b"error" in message
            if b"processing_time_auto_create_phases" in line:
                found["disabled"] += b"false" in line
            if b".CRITICAL:" in line or b".ALERT:" in line or b".EMERGENCY:" in line:
                found["critical"] += 1
    found["duration"] = round(found["duration"])
    return found


def mtail(path: Path, folder: Path, limit: float) -> Counter[str] | None:
    """Mtail's counters after one pass; ``None`` when it took longer than the limit."""
    program = folder / "processing_time.mtail"
    rules = (f'/{pattern}/ {{\n  found["{kind}"]++\n}}\n' for kind, pattern in _MTAIL.items())
    program.write_text("counter found by kind\n" + "".join(rules))
    command = ["mtail", "-one_shot", "-one_shot_format=json", "-progs", str(program), "-logs", str(path)]
    try:
        said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=limit).stdout
    except subprocess.TimeoutExpired:
        return None
    (metric,) = json.loads(said)["found"]
    return Counter({v["Labels"][0]: v["Value"]["Value"] for v in metric["LabelValues"]})


def missing(programs: Sequence[str]) -> list[str]:
    """Those that are not installed."""
    return [program for program in programs if not shutil.which(program)]


def _run(command: Sequence[str]) -> str:
    return subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True
    ).stdout
