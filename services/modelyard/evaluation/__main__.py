"""`python -m modelyard.evaluation --run URI`: score weights on suites."""

import sys

from modelyard.artifacts.runs import run_job
from modelyard.domain.job import EvaluateJob
from modelyard.evaluation.scoring import evaluate

if __name__ == "__main__":
    sys.exit(run_job(sys.argv[1:], EvaluateJob, evaluate))
