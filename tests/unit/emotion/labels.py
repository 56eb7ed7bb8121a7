"""Labels as models have them."""

FIRST_REVISION = (
    "生气/angry",
    "开心/happy",
    "unuse_0",
    "中立/neutral",
    "unuse_1",
    "难过/sad",
    "<unk>",
    "unuse_2",
    "unuse_3",
)
"""Of the first published one: five, and four that mean nothing."""
