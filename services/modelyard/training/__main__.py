"""`python -m modelyard.training --run URI`: fine-tune as the run folder's `spec.json` asks."""

import sys

from modelyard.artifacts.runs import run_job
from modelyard.domain.job import TrainJob
from modelyard.training.job import train

if __name__ == "__main__":
    sys.exit(run_job(sys.argv[1:], TrainJob, train))
