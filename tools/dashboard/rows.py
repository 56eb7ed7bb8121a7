"""What the dashboard shows, from what users feel down to the servers."""

from tools.dashboard.panel import HERE, WINDOW, Panel, Query, Row, gauge, mean, quantiles, rate
from tools.dashboard.warehouse import WAREHOUSE

ENDED = rate("records_total", "job", 'outcome=~"result|dead_letter"')
DEAD = rate("records_total", "job", 'outcome="dead_letter"')
BUSY = rate("time_seconds_total", "thread", 'activity!="idle"')
PADDING = rate("pass_audio_seconds_total", "job", 'content="padding"')


def shares(thread: str) -> tuple[Query, ...]:
    """What one thread of each worker does with its time, on average."""
    spent = f'rate(streamproc_time_seconds_total{{{HERE}, thread="{thread}"}}[{WINDOW}])'
    return (Query(f"avg by (activity) ({spent})", "{{activity}}"),)


def of(part: str) -> str:
    """The share of a memory that is used."""
    used, total = (f'streamproc_{part}_memory_bytes{{{HERE}, part="{which}"}}' for which in ("used", "total"))
    return f"{used} / ignoring (part) {total}"


USERS = Row(
    "What users feel",
    (
        Panel(
            "Records by outcome",
            "What becomes of the input.",
            "reqps",
            (Query(rate("records_total", "outcome"), "{{outcome}}"),),
            stacked=True,
        ),
        Panel(
            "Response time",
            "From a record's first timestamp to its committed end.",
            "s",
            quantiles("response_seconds"),
            bound=5,
        ),
        Panel(
            "Error rate",
            "Dead letters, of what ended.",
            "percentunit",
            (Query(f"{DEAD} / {ENDED}", "{{job}}"),),
            most=1,
            bound=0.05,
        ),
        Panel(
            "Lag",
            "Age of the oldest record that is not committed.",
            "s",
            (Query(gauge("lag_seconds", "max", "topic"), "{{topic}}"),),
            bound=60,
        ),
        Panel(
            "Dead letters by reason",
            "Which reason needs a person first.",
            "reqps",
            (Query(rate("dead_letters_total", "reason"), "{{reason}}"),),
            stacked=True,
        ),
        Panel(
            "Retries by lane",
            "What failed for now.",
            "reqps",
            (Query(rate("retries_total", "lane"), "{{lane}}"),),
            stacked=True,
        ),
    ),
)

WORK = Row(
    "How much there is to do",
    (
        Panel(
            "Backlog and speed",
            "Audio that waits, and what five minutes can do, of all workers together.",
            "s",
            (
                Query(gauge("backlog_audio_seconds"), "waits"),
                Query(f"300 * {gauge('speed_ratio')}", "5 minutes' work"),
            ),
        ),
        Panel(
            "Time to drain",
            "The backlog at the measured speed, of the worker with most of it: the alert begins at five minutes.",
            "s",
            (Query(gauge("drain_seconds", "max"), "{{job}}"),),
            bound=300,
        ),
        Panel(
            "Audio",
            "Seconds of audio a second: committed, computed, and spared by what was known.",
            "none",
            (
                Query(rate("audio_seconds_total", "job"), "committed"),
                Query(rate("computed_audio_seconds_total", "job"), "computed"),
                Query(rate("saved_audio_seconds_total", "job"), "spared"),
                Query(rate("resumed_audio_seconds_total", "job"), "resumed"),
            ),
        ),
        Panel(
            "Device time spared",
            "Seconds of one device a second that known audio would have taken, as the device predicts.",
            "none",
            (Query(rate("saved_device_seconds_total", "job"), "spared"),),
        ),
        Panel(
            "Analyses by tier",
            "Where they came from: all but computed are hits.",
            "reqps",
            (Query(rate("analyses_total", "tier"), "{{tier}}"),),
            stacked=True,
        ),
        Panel(
            "In flight",
            "Records taken and not yet committed.",
            "none",
            (Query(gauge("in_flight_records", by="instance"), "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            "Oldest in flight",
            "It grows when work is stuck.",
            "s",
            (Query(gauge("oldest_in_flight_seconds", "max", "instance"), "{{instance}}"),),
        ),
    ),
)

TIMES = Row(
    "Where time goes",
    (
        Panel(
            "Stages",
            "Mean time of a record in each.",
            "s",
            (Query(mean("stage_seconds", "stage"), "{{stage}}"),),
            stacked=True,
        ),
        Panel(
            "Busy threads",
            "Time that is not idle: the one near 100 % holds the others up.",
            "percentunit",
            (
                Query(
                    f"{BUSY} / {gauge('threads', by='thread')}",
                    "{{thread}}",
                ),
            ),
            most=1,
        ),
        Panel(
            "Device",
            "Compute near 100 % is what it is bought for.",
            "percentunit",
            shares("device"),
            stacked=True,
            most=1,
        ),
        Panel("Loop", "The thread that steps the stages.", "percentunit", shares("loop"), stacked=True, most=1),
        Panel("Compute batches", "One on the device.", "s", quantiles("device_batch_seconds")),
        Panel(
            "Fill and padding",
            "Items of a batch, of what the device likes best; and what of its passes is computed for nothing.",
            "percentunit",
            (
                Query(mean("batch_fill_ratio"), "fill"),
                Query(
                    f"{PADDING} / {rate('pass_audio_seconds_total', 'job')}",
                    "padding",
                ),
            ),
            most=1,
        ),
    ),
)

COMMITS = Row(
    "Commits and the group",
    (
        Panel("Commits", "From the first try to what is committed.", "s", quantiles("commit_seconds"), bound=5),
        Panel("Transactions", "What the broker takes.", "s", quantiles("transaction_seconds")),
        Panel(
            "Records in a micro-batch",
            "Small ones waste commits.",
            "none",
            (Query(mean("micro_batch_records"), "mean"),),
        ),
        Panel("Micro-batches", "From poll to commit.", "s", quantiles("micro_batch_seconds")),
        Panel(
            "Partitions",
            "Held by each worker.",
            "none",
            (Query(gauge("partitions", by="instance"), "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            "Rebalances and aborts",
            "Partitions that came and went, and transactions that were done again, in ten minutes.",
            "none",
            (
                Query(f"sum by (event) (increase(streamproc_rebalances_total{{{HERE}}}[10m]))", "{{event}}"),
                Query(f"sum by (job) (increase(streamproc_transaction_aborts_total{{{HERE}}}[10m]))", "aborts"),
            ),
        ),
    ),
)

MACHINES = Row(
    "Workers and servers",
    (
        Panel(
            "Ready",
            "1 while /readyz says so; brake: 1 while no records are taken; probes: tries of the newest ones meanwhile.",
            "none",
            (
                Query(gauge("ready", "min", "instance"), "ready {{instance}}"),
                Query(gauge("brake_on", "max", "instance"), "brake {{instance}}"),
                Query(
                    f"sum by (instance) (increase(streamproc_brake_probes_total{{{HERE}}}[10m]))", "probes {{instance}}"
                ),
            ),
        ),
        Panel(
            "Servers away",
            "1 while one is.",
            "none",
            (Query(gauge("dependency_down", "max", "dependency"), "{{dependency}}"),),
        ),
        Panel(
            "Memory of workers",
            "Resident, by process.",
            "bytes",
            (Query(gauge("memory_bytes", by="process"), "{{process}}"),),
            stacked=True,
        ),
        Panel(
            "Memory used",
            "Of the computer or container, and of the accelerator (nothing without one).",
            "percentunit",
            (Query(of("host"), "{{instance}}"), Query(of("device"), "accelerator of {{instance}}")),
            most=1,
            bound=0.9,
        ),
        Panel(
            "Children replaced",
            "Decoders and device processes that died, and faults of the shared tiers, in ten minutes.",
            "none",
            (
                Query(f"sum by (job) (increase(streamproc_decoder_restarts_total{{{HERE}}}[10m]))", "decoders"),
                Query(f"sum by (job) (increase(streamproc_device_restarts_total{{{HERE}}}[10m]))", "devices"),
                Query(f"sum by (fault) (increase(streamproc_tier_errors_total{{{HERE}}}[10m]))", "tier {{fault}}"),
            ),
        ),
        Panel(
            "Clock of the broker",
            "Less the worker's.",
            "s",
            (Query(gauge("broker_clock_skew_seconds", "max", "instance"), "{{instance}}"),),
        ),
    ),
)

ROWS = (USERS, WORK, TIMES, COMMITS, MACHINES, WAREHOUSE)
