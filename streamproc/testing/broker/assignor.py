"""Who gets which partition: balanced, moving as few as possible, and the same each time."""

from collections.abc import Mapping, Sequence

from streamproc.records.record import TopicPartition


def balance(
    partitions: Sequence[TopicPartition], members: Sequence[str], current: Mapping[TopicPartition, str]
) -> dict[str, list[TopicPartition]]:
    """The partitions of each member; ``current`` says who has what now."""
    given: dict[str, list[TopicPartition]] = {member: [] for member in members}
    if not members:
        return given
    for partition in partitions:
        holder = current.get(partition)
        if holder in given:
            given[holder].append(partition)
    least, larger = divmod(len(partitions), len(members))
    by_holdings = sorted(members, key=lambda member: -len(given[member]))
    rooms = {member: least + (place < larger) for place, member in enumerate(by_holdings)}
    taken = set()
    for member, kept in given.items():
        kept[:] = (kept[::2] + kept[1::2])[: rooms[member]]  # something of each topic goes, and something stays
        taken.update(kept)
    free = [partition for partition in partitions if partition not in taken]
    for partition in free:
        given[min((m for m in members if len(given[m]) < rooms[m]), key=lambda m: len(given[m]))].append(partition)
    return given
