"""What is set below ``brake``."""

from streamproc.kinds import Count, Share
from streamproc.settings.section import Section


class BrakeSettings(Section):
    """When a worker takes no more records because too many end as dead letters."""

    window: Count = 100
    """The last so many records are looked at."""
    ratio: Share = 0.5
    """More dead letters among them than this share turn it on; 1 turns this rule off."""
    in_a_row: Count = 50
    """So many dead letters one after the other turn it on, too."""
