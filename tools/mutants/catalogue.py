"""All mutants."""

from tools.mutants.commits import OFFSETS, TRANSACTIONS
from tools.mutants.emotion import NETWORK
from tools.mutants.kafka import FAKE, SINK, SOURCE
from tools.mutants.outcomes import RECORDS
from tools.mutants.rebalance import REBALANCE
from tools.mutants.recall import RECALL
from tools.mutants.resources import RESOURCES
from tools.mutants.strikes import STRIKES

MUTANTS = (
    *TRANSACTIONS,
    *OFFSETS,
    *REBALANCE,
    *RECORDS,
    *RESOURCES,
    *RECALL,
    *STRIKES,
    *SINK,
    *SOURCE,
    *FAKE,
    *NETWORK,
)
