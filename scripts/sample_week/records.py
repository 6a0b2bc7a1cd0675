"""The files of a data directory while they are made."""

import gzip

from .formats import JOB_COLUMNS, SHARE_COLUMNS, compact, rfc3339, sorted_keys, span

SEPARATOR = "-" * 80


class Records:
    """The rows of each file, with the times at which they are written."""

    def __init__(self):
        self.rows = {"shares.csv": [], "timing.csv": [], "events.jsonl": [], "alerts.log": []}
        self.alert_counts = {}

    def add(self, file, written, text):
        self.rows[file].append((written, text))

    def event(self, time, kind, severity, subject, text, data, worker=None, upstream=None, written=None):
        line = {"at": rfc3339(time), "kind": kind, "severity": severity, "subject": subject, "worker": worker}
        line |= {"upstream": upstream, "text": text, "data": sorted_keys(data)}
        self.add("events.jsonl", written or time, compact(line) + "\n")

    def alert(self, time, kind, severity, id, description, data, written=None):
        """`kind` is `begun`, `ended` or `happened`. Above info it is an event, too."""
        if kind != "ended":
            self.alert_counts[id] = self.alert_counts.get(id, 0) + 1
        text = f"[{rfc3339(time)}] {severity.upper()}: {id}\nDescription: {description}\n"
        text += f"Data: {compact(sorted_keys(data))}\n{SEPARATOR}\n"
        self.add("alerts.log", written or time, text)
        if severity != "info":
            about = {"worker": data.get("worker"), "upstream": data.get("upstream")}
            self.event(time, f"alert.{kind}", severity, id, description, data, **about, written=written)

    def lasting_alert(self, begin, end, severity, id, description, data, count=1):
        self.alert(begin, "begun", severity, id, description, data | {"count": 1})
        if end:
            seconds = int(end) - int(begin)
            seen = f", seen {count} times" if count > 1 else ""
            text = f"over since {rfc3339(end)}, lasted {span(seconds)}{seen}: {description}"
            self.alert(end, "ended", severity, id, text, data | {"count": count, "lasted_seconds": seconds}, end + 60)

    def write(self, to, state):
        """Writes a file for each day, compressed but for the last one, as rotation leaves them."""
        to.mkdir(parents=True, exist_ok=True)
        headers = {"shares.csv": SHARE_COLUMNS + "\n", "timing.csv": JOB_COLUMNS + "\n"}
        for name, rows in self.rows.items():
            stem, extension = name.split(".")
            rows.sort(key=lambda row: row[0])
            days = {}
            for time, text in rows:
                days.setdefault(rfc3339(time)[:10], []).append(text)
            for day, texts in days.items():
                content = (headers.get(name, "") + "".join(texts)).encode()
                if day == max(days):
                    (to / name).write_bytes(content)
                else:
                    # Without a time and a name, so that the same content is the same file.
                    packed = gzip.compress(content, 9, mtime=0)
                    (to / f"{stem}-{day}.1.{extension}.gz").write_bytes(packed)
        (to / "state.json").write_text(compact(state))
