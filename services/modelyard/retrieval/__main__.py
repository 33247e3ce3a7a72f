"""`python -m modelyard.retrieval --run URI`: build the index of a knowledge base."""

import sys

from modelyard.artifacts.runs import run_job
from modelyard.domain.job import IngestJob
from modelyard.retrieval.job import ingest

if __name__ == "__main__":
    sys.exit(run_job(sys.argv[1:], IngestJob, ingest))
