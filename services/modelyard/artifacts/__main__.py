"""`python -m modelyard.artifacts --run URI`: bring weights into the artifact store."""

import sys

from modelyard.artifacts.fetch import fetch
from modelyard.artifacts.runs import run_job
from modelyard.domain.job import FetchJob

if __name__ == "__main__":
    sys.exit(run_job(sys.argv[1:], FetchJob, fetch))
