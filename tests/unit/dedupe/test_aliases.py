import tracemalloc

from streamproc.dedupe.aliases import MemoryAliases, weight


def test_the_ones_used_most_recently_are_kept() -> None:
    aliases = MemoryAliases(2 * weight("a"))
    aliases.put("a", "1")
    aliases.put("b", "2")
    assert aliases.get("a") == "1"
    aliases.put("c", "3")
    assert (aliases.get("a"), aliases.get("b"), aliases.get("c"), len(aliases)) == ("1", None, "3", 2)


def test_the_last_put_counts() -> None:
    aliases = MemoryAliases(1024)
    aliases.put("a", "1")
    aliases.put("a", "2")
    assert (aliases.get("a"), len(aliases)) == ("2", 1)


def test_without_room_nothing_is_kept() -> None:
    aliases = MemoryAliases(0)
    aliases.put("a", "1")
    assert aliases.get("a") is None


def test_all_that_is_kept_takes_no_more_than_the_limit_however_long_the_names() -> None:
    most = 1 << 20
    tracemalloc.start()
    try:
        aliases = MemoryAliases(most)
        for number in range(20_000):
            aliases.put(f"{number:05}" + "\N{GRINNING FACE}" * (number % 500), f"{number:064x}")
        assert tracemalloc.get_traced_memory()[0] < most
    finally:
        tracemalloc.stop()
    assert len(aliases) > 100
