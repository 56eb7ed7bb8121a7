"""The schema registry: our schemas, and the rules that their next versions are held to."""

from streamproc.kafka.own_schemas import registered_schemas, rules
from streamproc.kafka.registry import connect
from streamproc.operate.doctor.check import Check, unknown_host
from streamproc.operate.doctor.finding import Finding, doubtful, well, wrong
from streamproc.operate.doctor.wire import wire_of
from streamproc.settings import Settings

_OPTIONAL = frozenset({"EmotionTrend", "EmotionAlert"})
"""Of the analytics app: a worker starts without them."""
_PUSH = "Run `streamproc schemas push`, once for each version"


def check(settings: Settings) -> Check:
    """What a worker looks up at its start, and what the analytics app does."""
    return Check(
        "registry",
        "Does it have this version's schemas under their subjects, with their compatibility rules?",
        lambda: _look(settings),
        "Start the registry, or set registry.url (and registry.username, registry.password) to its own.",
        4 * settings.registry.timeout_s + 20,
        (
            *((f"HTTP {code}", "Set registry.username and registry.password to what it takes.") for code in (401, 403)),
            ("HTTP 404", "Something else answers there: correct the path in registry.url, or its port."),
            *unknown_host("registry.url"),
        ),
        wire_of("registry.url", settings.registry.url),
    )


def _look(settings: Settings) -> Finding:
    with connect(settings.registry) as registry:
        found = registered_schemas(registry, settings.topics)
        held = rules(registry, [one.subject for one in found if one.latest is not None])
    missing = [one for one in found if one.schema_id is None]
    other = [
        f"{one.subject} has {held[one.subject]}, not {one.compatibility}"
        for one in found
        if held.get(one.subject, one.compatibility) != one.compatibility
    ]
    problems = []
    if missing:
        problems.append(f"not registered: {', '.join(f'{one.row} under {one.subject}' for one in missing)}")
    if other:
        problems.append(f"another rule: {', '.join(other)}")
    said = "; ".join(problems)
    if any(one.row not in _OPTIONAL for one in missing):
        return wrong(said, f"{_PUSH}, which sets the rules, too.")
    if missing:
        return doubtful(said, f"{_PUSH}: `streamproc analytics` does not start without them.")
    if other:
        return doubtful(
            said, "Run `streamproc schemas push`, which sets them: without, somebody's next schema may break readers."
        )
    return well(f"{len(found)} schemas and their rules, at {registry.address}")
