"""All mutants."""

from tools.mutants.kafka import KAFKA
from tools.mutants.worker import WORKER

MUTANTS = (*WORKER, *KAFKA)
