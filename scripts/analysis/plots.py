#!/usr/bin/env python3
"""Draws Sluice's records: six pictures, each cell below can be run by itself.

    scripts/analysis/plots.py data/ plots/

Editors such as VS Code and Jupyter (with jupytext) take the `# %%` lines for the cells of a notebook. Needs pandas and
matplotlib.
"""

# %% Load
import sys
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.dates as mdates
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import sluice_records

WIDTHS = ["1min", "5min", "15min", "1h", "3h", "6h", "1D", "7D"]
RESULT_COLORS = {"accepted": "#2a7f62", "rejected": "#c8553d", "unanswered": "#d9a441", "unknown": "#8d99ae"}


def new_plot(title, unit):
    figure, axes = plt.subplots(figsize=(10, 4), layout="constrained")
    axes.set_title(title, loc="left")
    axes.set_ylabel(unit)
    axes.grid(alpha=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    return figure, axes


def width_of(records, points):
    """The width of a bucket, so that there are about this many."""
    span = records.shares["timestamp"].max() - records.shares["timestamp"].min()
    return next((width for width in WIDTHS if pd.Timedelta(width) * points >= span), WIDTHS[-1])


def of_time(axes):
    locator = mdates.AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(mdates.ConciseDateFormatter(locator))
    axes.set_xlabel("UTC")


# %% Hash rate of each miner, with the band in which chance explains two of three values
def draw_hash_rate(records):
    bucket = width_of(records, 30)
    figure, axes = new_plot(f"Hash rate, each {bucket}", "times the miner's own median")
    for miner, shares in records.shares.groupby("miner"):
        work = shares.set_index("timestamp")["proven_difficulty"].resample(bucket)
        # The first and the last are not whole.
        rate, count = work.sum()[1:-1], work.apply(lambda values: (values > 0).sum())[1:-1]
        usual = rate[count > 0].median()
        if not usual > 0:
            continue
        relative, width = rate / usual, 1 / np.sqrt(count.clip(lower=1))
        (line,) = axes.plot(relative.index, relative, label=f"{miner} ({len(shares):,} shares)")
        axes.fill_between(
            relative.index, relative * (1 - width), relative * (1 + width), alpha=0.15, color=line.get_color()
        )
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small", ncols=4, loc="upper right")
    of_time(axes)
    return figure


# %% Shares by result
def draw_results(records):
    bucket = width_of(records, 30)
    figure, axes = new_plot(f"Shares not accepted, each {bucket}", "shares")
    lost = records.shares[records.shares["result"] != "accepted"]
    counts = lost.groupby([lost["timestamp"].dt.floor(bucket), "result"]).size().unstack(fill_value=0)
    below = np.zeros(len(counts))
    for result in counts.columns:
        axes.bar(
            counts.index,
            counts[result],
            pd.Timedelta(bucket) * 0.9,
            below,
            align="edge",
            color=RESULT_COLORS.get(result),
            label=result,
        )
        below += counts[result].to_numpy()
    axes.margins(y=0.1)
    axes.legend(fontsize="small")
    of_time(axes)
    return figure


# %% Answer time of each pool
def draw_answers(records):
    bucket = width_of(records, 60)
    figure, axes = new_plot(f"Answer time, each {bucket}: p50 and p99", "ms")
    for pool, shares in records.shares.groupby("pool"):
        times = shares.set_index("timestamp")["response_ms"].resample(bucket)
        (line,) = axes.plot(times.median(), label=f"{pool} ({len(shares):,} shares)")
        axes.plot(times.quantile(0.99), color=line.get_color(), linestyle=":")
    axes.set_ylim(bottom=0)
    axes.legend(fontsize="small")
    of_time(axes)
    return figure


# %% Difficulty found against the exponential law
def draw_luck(records):
    figure, axes = new_plot("Difficulty found, in times of what was asked for", "part of the shares that reach it")
    proven = records.shares[records.shares["proven_difficulty"] > 0]
    for miner, shares in proven.groupby("miner"):
        times = np.sort(shares["share_difficulty"] / shares["assigned_difficulty"])
        axes.step(times, 1 - np.arange(len(times)) / len(times), label=f"{miner} ({len(times):,} shares)")
    law = np.geomspace(1, (proven["share_difficulty"] / proven["assigned_difficulty"]).max(), 50)
    axes.plot(law, 1 / law, "k--", linewidth=1, label="by chance: 1/x")
    axes.set(xscale="log", yscale="log", xlabel="difficulty found / difficulty asked for")
    axes.legend(fontsize="small")
    return figure


# %% Job age of accepted and stale shares
def draw_job_age(records):
    figure, axes = new_plot("Age of the job when a share came", "part of the shares")
    bins = np.linspace(0, records.shares["job_age_seconds"].quantile(0.99), 40)
    for name, shares in (
        ("accepted", records.shares[records.shares["result"] == "accepted"]),
        ("rejected as stale", records.shares[records.shares["reject_reason"] == "Stale"]),
    ):
        weights = np.full(len(shares), 1 / max(len(shares), 1))
        axes.hist(
            shares["job_age_seconds"], bins, weights=weights, histtype="step", label=f"{name} ({len(shares):,} shares)"
        )
    axes.set_xlabel("seconds")
    axes.legend(fontsize="small")
    return figure


# %% Time line: shares as dots, what Sluice said as lines
def draw_time_line(records):
    figure, axes = new_plot("Time line", "")
    miners = sorted(records.shares["miner"].unique())
    for place, miner in enumerate(miners):
        for result, color in RESULT_COLORS.items():
            shares = records.shares[(records.shares["miner"] == miner) & (records.shares["result"] == result)]
            height = place + (0 if result == "accepted" else 0.25)
            axes.plot(shares["timestamp"], np.full(len(shares), height), "|", color=color, markersize=9, alpha=0.6)
    axes.set_yticks(range(len(miners)), miners)
    for event in records.events.itertuples():
        if event.severity != "info":
            axes.axvline(event.at, color="#c8553d", linewidth=0.8)
        elif event.kind.startswith("program."):
            axes.axvline(event.at, color="#2b4c7e", linewidth=0.8, linestyle="--")
    axes.set_title("Time line: shares, events above info (red), starts and reloads (blue)", loc="left")
    of_time(axes)
    return figure


# %% All of them
DRAWINGS = {
    "hash_rate": draw_hash_rate,
    "results": draw_results,
    "answers": draw_answers,
    "luck": draw_luck,
    "job_age": draw_job_age,
    "time_line": draw_time_line,
}


def draw_all(records, to):
    """Draws the records in this directory into files, whose paths it returns."""
    loaded, to = sluice_records.load(records), Path(to)
    to.mkdir(parents=True, exist_ok=True)
    drawn = []
    for name, draw in DRAWINGS.items():
        figure = draw(loaded)
        drawn.append(to / f"{name}.png")
        figure.savefig(drawn[-1], dpi=110)
        plt.close(figure)
    return drawn


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    for path in draw_all(sys.argv[1], sys.argv[2]):
        print(path)
