"""Mistakes with what spares a fetch or a computation, and with what breaks the network."""

from tools.mutants.mutant import Mutant, NamedTests, Simulator

_SEEDS = Simulator(2000)
_RECALL_TESTS = NamedTests(("tests/unit/worker/test_recall.py",))
_TIERS_TESTS = NamedTests(("tests/unit/worker/test_tiers.py",))
_EMBEDDING_TESTS = NamedTests(("tests/unit/worker/test_embeddings.py",))
_PASSES_TESTS = NamedTests(("tests/unit/emotion/test_planted.py",))
_ALIAS = "streamproc/records/alias.py"
_LOOKUP = "streamproc/worker/stages/lookup.py"
_PASSES = "streamproc/emotion/passes.py"
_TIERS = "streamproc/worker/stages/tiers.py"
_ITEMS = "streamproc/worker/stages/items.py"
_EMBEDDING = "streamproc/records/embedding.py"
_RESUME = "streamproc/worker/stages/resume.py"
_RECALL = "streamproc/worker/stages/recall.py"

RECALL = (
    Mutant(
        "probes that are known",
        "what the tiers know of the newest record releases the brake, though the network computes nothing",
        _LOOKUP,
        "if one.taken.probe and leader is None:",
        "if False and leader is None:",
        _TIERS_TESTS,
    ),
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
        "admitted.key(self._settings.scope, sha256)",
        'admitted.key("global", sha256)',
        _RECALL_TESTS,
    ),
    Mutant(
        "scores for who wants an embedding",
        "whoever wants an embedding is answered with what was computed for who wants none",
        _ITEMS,
        "work_key(content, embedding=self.event.wants_embedding)",
        "work_key(content, embedding=False)",
        _EMBEDDING_TESTS,
    ),
    Mutant(
        "embeddings unweighted",
        "a segment of one word counts as much as one that is full of speech",
        _EMBEDDING,
        "total += one.segment.speech_ms * unpack(",
        "total += sum(other.segment.speech_ms for other in found) / len(found) * unpack(",
        _EMBEDDING_TESTS,
    ),
    Mutant(
        "kept without its embedding",
        "of a segment that is finished only its scores are kept for the next owner",
        _RESUME,
        "FinishedSegment(stretch, segment.scores, embedding)",
        "FinishedSegment(stretch, segment.scores)",
        _EMBEDDING_TESTS,
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
        "waited for ever",
        "a worker waits for what another one claimed until that one is done, whatever happens to it",
        _TIERS,
        "_Wait(now.mono + self._wait_s, ",
        "_Wait(now.mono + 1e9, ",
        _TIERS_TESTS,
    ),
    Mutant(
        "claim kept by a failure",
        "what one worker failed at no other one may try for a while",
        _LOOKUP,
        "        self._tiers.give_up(fetched.key)\n",
        "",
        _TIERS_TESTS,
    ),
    Mutant(
        "claimed by nobody",
        "every worker computes what it wants, whoever has claimed it",
        _TIERS,
        "                if key in ours:\n",
        "                if keys:\n",
        _TIERS_TESTS,
    ),
    Mutant(
        "blamed together",
        "when a pass fails, all waveforms in it are to blame",
        _PASSES,
        "                again, problem = _halves(places), _told(error)\n",
        "                again, problem = [], _told(error)\n"
        "                ends.update((place, ItemError(problem)) for place in places)\n",
        _PASSES_TESTS,
    ),
    Mutant(
        "neighbours of what is not finite",
        "numbers that a broken waveform spoilt are errors of their own",
        _PASSES,
        "                again = _halves(self._take(places, passed, ends))\n",
        "                again = []\n"
        "                ends.update((place, ItemError('not finite')) for place in self._take(places, passed, ends))\n",
        _PASSES_TESTS,
    ),
)
