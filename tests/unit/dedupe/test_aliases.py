from streamproc.dedupe.aliases import MemoryAliases


def test_the_ones_used_most_recently_are_kept() -> None:
    aliases = MemoryAliases(2 * 1024)
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
