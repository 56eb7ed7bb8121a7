"""Mistakes with what spares a fetch, and with what breaks the network."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SEEDS = Simulator(2000)
_RECALL_TESTS = NamedTests(("tests/unit/worker/test_recall.py",))
_PASSES_TESTS = NamedTests(("tests/unit/emotion/test_planted.py",))
_ALIAS = "streamproc/records/alias.py"
_LOOKUP = "streamproc/worker/stages/lookup.py"
_PASSES = "streamproc/emotion/passes.py"
_RECALL = "streamproc/worker/stages/recall.py"

RECALL = (
    Mutant(
        "any object's etag",
        "an ETag names bytes whatever object has it",
        _ALIAS,
        'place = f"{event.bucket}\\n{event.object_key}\\n"',
        'place = f"{event.bucket}\\n"',
        _RECALL_TESTS,
    ),
    Mutant(
        "replaced object recalled",
        "an object is known by its name alone, whatever is there now",
        _ALIAS,
        'tuple(f"{place}{kind}{tag}" for',
        'tuple(f"{place}{kind}" for',
        _RECALL_TESTS,
    ),
    Mutant(
        "recalled from everybody",
        "what a tenant declares is looked for among what all tenants share",
        _RECALL,
        "scope(self._settings.scope, admitted.event.tenant)",
        'scope("global", admitted.event.tenant)',
        _RECALL_TESTS,
    ),
    Mutant(
        "flight without a leader",
        "who waits for a record whose bytes nobody has waits for ever",
        _LOOKUP,
        "        for waiting in (*self._give_up(leader), leader):\n            self._fetch_again(waiting)\n",
        "        self._fetch_again(leader)\n",
        _SEEDS,
    ),
    Mutant(
        "blamed together",
        "when a pass fails, all waveforms in it are to blame",
        _PASSES,
        "        return _halves(places)\n\n    def _take(",
        "        ends.update((place, ItemError(problem)) for place in places)\n        return []\n\n    def _take(",
        _SEEDS,
    ),
    Mutant(
        "neighbours of what is not finite",
        "numbers that a broken waveform spoilt are errors of their own",
        _PASSES,
        "        return _halves(broken)\n",
        "        ends.update((place, ItemError('not finite')) for place in broken)\n        return []\n",
        _PASSES_TESTS,
    ),
)
