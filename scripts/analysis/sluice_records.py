"""Loads Sluice's records into pandas, every column with its right type.

    import sluice_records
    records = sluice_records.load("data")          # or several directories, or files
    records.shares.groupby("worker")["proven_difficulty"].sum()

pandas guesses types by the first rows. Hex digits such as `20000000` look like a number until the first miner rolls its
version, a job id such as `7e3` looks like a float, and a worker may be called `NA`. So nothing is guessed here: fields
are read as text, and only the columns that count something become numbers. docs/records.md explains each column.

Needs Python 3.11 and pandas 2 or later.
"""

import csv
import gzip
import json
import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

# The hashes that a share of difficulty 1 takes on average, by every pool's convention.
HASHES_PER_DIFFICULTY = 2**32

SHARES = {
    "timestamp": "time",
    "miner_addr": "text",
    "worker": "text",
    "job_id": "text",
    "nonce": "text",
    "share_difficulty": "float",
    "job_age_seconds": "float",
    "is_block": "bool",
    "msg_id": "text",
    "assigned_difficulty": "float",
    "result": "text",
    "reject_code": "int",
    "reject_reason": "text",
    "response_ms": "float",
    "ntime": "text",
    "version": "text",
    "extranonce1": "text",
    "extranonce2": "text",
    "hash": "text",
    "height": "int",
    "network_difficulty": "float",
    "upstream": "text",
    "session": "int",
    "user_agent": "text",
}
TIMING = {
    "pool": "text",
    "job_id": "text",
    "height": "int",
    "ntime": "text",
    "ntp_time": "time",
    "ntime_minus_ntp_seconds": "float",
    "receive_gap_seconds": "float",
    "prevhash_age_seconds": "float",
    "branches": "int",
    "session": "int",
    "miner_addr": "text",
    "worker": "text",
}
EVENT_KEYS = ["at", "kind", "severity", "subject", "worker", "upstream", "text", "data"]
ALERT_HEAD = re.compile(r"\[(\S+)\] (INFO|LOW|MEDIUM|HIGH): (\S+)")


@dataclass
class Records:
    """The records of one or more data directories, the oldest rows first."""

    shares: pd.DataFrame
    timing: pd.DataFrame
    events: pd.DataFrame
    alerts: pd.DataFrame
    state: list[dict]


def load(*paths):
    """Loads everything in these directories, or these files."""
    return Records(
        shares=load_shares(*paths),
        timing=load_timing(*paths),
        events=load_events(*paths),
        alerts=load_alerts(*paths),
        state=[json.loads(path.read_text("utf-8")) for path in find_files(paths, "state", "json")],
    )


def load_shares(*paths):
    """`shares.csv`: a row for each share.

    Behind its columns: `miner`, the worker's name without the account; `pool`, the upstream without its scheme;
    `proven_difficulty`, what the share's hash proves, whatever the pool answered."""
    shares = load_csv(find_files(paths, "shares", "csv"), SHARES).sort_values("timestamp", ignore_index=True)
    is_first = ~shares["hash"].duplicated() | shares["hash"].isna()
    is_proven = (shares["share_difficulty"] >= shares["assigned_difficulty"]) & is_first
    # A group by worker would leave out those without a name.
    shares["worker"] = shares["worker"].fillna("")
    shares["miner"] = shares["worker"].str.replace(r"^[^.]*\.", "", regex=True)
    shares["pool"] = shares["upstream"].str.replace(r"^.*://", "", regex=True)
    shares["proven_difficulty"] = shares["assigned_difficulty"].where(is_proven, 0.0)
    return shares


def load_timing(*paths):
    """`timing.csv`: a row for each job."""
    timing = load_csv(find_files(paths, "timing", "csv"), TIMING)
    return timing.sort_values("ntp_time", ignore_index=True)


def load_events(*paths):
    """`events.jsonl`: the time line. `data` has objects."""
    events = []
    for path in find_files(paths, "events", "jsonl"):
        for line in read_text(path).split("\n"):
            try:
                event = json.loads(line)
                events.append({key: event.get(key) for key in EVENT_KEYS})
            except (ValueError, AttributeError):
                continue
    frame = pd.DataFrame(events, columns=EVENT_KEYS)
    frame["at"] = to_time(frame["at"])
    return frame.dropna(subset="at").sort_values("at", ignore_index=True, kind="stable")


def load_alerts(*paths):
    """`alerts.log`: `at`, `severity`, `id`, `kind` (`begun`, `ended` or `happened`), `description`, `data`.

    The file itself does not tell an alert that begins from one that happened. `begun` has an end later."""
    alerts = []
    for path in find_files(paths, "alerts", "log"):
        for line in read_text(path).split("\n"):
            if head := ALERT_HEAD.fullmatch(line):
                at, severity, id = head.groups()
                alerts.append({"at": at, "severity": severity.lower(), "id": id, "kind": "happened"})
            elif alerts and line.startswith("Description: "):
                alerts[-1]["description"] = line.removeprefix("Description: ")
            elif alerts and line.startswith("Data: "):
                try:
                    alerts[-1]["data"] = json.loads(line.removeprefix("Data: "))
                except ValueError:
                    continue
    open_alerts = {}
    for alert in alerts:
        alert.setdefault("data", {})
        key = alert["id"], alert["data"].get("subject")
        if "lasted_seconds" in alert["data"]:
            alert["kind"] = "ended"
            if key in open_alerts:
                open_alerts.pop(key)["kind"] = "begun"
        else:
            open_alerts[key] = alert
    frame = pd.DataFrame(alerts, columns=["at", "severity", "id", "kind", "description", "data"])
    frame["at"] = to_time(frame["at"])
    return frame.dropna(subset="at").sort_values("at", ignore_index=True, kind="stable")


def hash_rate(proven_difficulty, seconds):
    """The hash rate in H/s that this work took."""
    return proven_difficulty * HASHES_PER_DIFFICULTY / seconds


def find_files(paths, stem, extension):
    """The live file and the rotated ones, compressed or not. A file that is named itself is taken if its name fits."""
    name = re.compile(rf"{stem}(-\d{{4}}-\d\d-\d\d\.\d+)?\.{extension}(\.gz)?")
    found = []
    for path in map(Path, paths):
        files = sorted(path.iterdir()) if path.is_dir() else [path]
        files = [file for file in files if name.fullmatch(file.name)]
        # A crash in the middle of compressing leaves both; the compressed one is whole.
        found += [file for file in files if file.with_name(file.name + ".gz") not in files]
    return found


def read_text(path):
    with gzip.open(path, "rb") if path.suffix == ".gz" else open(path, "rb") as file:
        return file.read().decode("utf-8", "replace")


def load_csv(files, types):
    """Reads the columns that are there. Missing ones are empty. Left out are unknown ones, and rows that a crash has
    damaged: too many or too few fields, or a time that is none."""
    time = next(column for column, kind in types.items() if kind == "time")
    frames = [read_csv(file) for file in files]
    frame = pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()
    frame = frame.reindex(columns=list(types), fill_value=None)
    for column, kind in types.items():
        frame[column] = convert(frame[column], kind)
    return frame.dropna(subset=time, ignore_index=True)


def read_csv(file):
    """The rows with as many fields as the header. pandas' own reader would fill up those that are torn."""
    header, rows = [], []
    for line in read_text(file).split("\n"):
        try:
            # A line break ends every row, since Sluice escapes those in texts.
            row = next(csv.reader([line], strict=True)) if '"' in line else line.removesuffix("\r").split(",")
        except csv.Error:
            continue
        header = header or row
        if len(row) == len(header) and row != header:
            rows.append(row)
    return pd.DataFrame(rows, columns=header, dtype="str")


def convert(column, kind):
    column = column.replace("", None)
    match kind:
        case "time":
            return to_time(column)
        case "float":
            return pd.to_numeric(column, errors="coerce").astype("float64")
        case "int":
            return pd.to_numeric(column, errors="coerce").astype("Int64")
        case "bool":
            return column.map({"true": True, "false": False}).astype("boolean")
        case _:
            return column.astype("string")


def to_time(column):
    return pd.to_datetime(column, utc=True, errors="coerce", format="ISO8601")
