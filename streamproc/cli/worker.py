"""``streamproc worker``."""

import typer

from streamproc.settings import LogSettings, load_settings


def worker(ctx: typer.Context) -> None:
    """Turn events into results until told to stop.

    Waits for brokers and registry (worker.start_wait_s), loads the model (model.name_or_dir), joins the consumer group
    and works. SIGTERM or Ctrl-C finishes what is in flight, commits and leaves. Start as many as you like, on as many
    machines; give each its own STREAMPROC_HTTP__PORT on one machine. Speaks on stderr, in JSON lines unless that is a
    terminal (log.format); answers /metrics, /healthz, /readyz, /startupz and /status over HTTP. A supervisor should
    start it again unless the exit code is 0, 2 or 5.

    Example: `STREAMPROC_HTTP__PORT=9465 streamproc worker`
    """
    from streamproc.telemetry.voice import configure_log

    configure_log(LogSettings())  # settings that cannot be read are told there too
    settings = load_settings()
    configure_log(settings.log)

    from streamproc.entrance import open_front

    with open_front(settings, ctx.obj) as front:
        from streamproc.wiring import work

        work(settings, front)
