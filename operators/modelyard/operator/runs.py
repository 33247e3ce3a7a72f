"""Look at the run folders of a local platform from outside its process; changes nothing."""

from modelyard.artifacts.runs import RunFolder
from modelyard.domain.observed import JobSeen
from modelyard.operator.attempts import read_attempt
from modelyard.operator.jobs import read_job
from modelyard.operator.processes import ray_folder
from modelyard.operator.settings import Settings


def run_folder(settings: Settings, name: str) -> RunFolder:
    """The folder of a job."""
    return RunFolder(f"{settings.runs_uri}/{name}")


def list_jobs(settings: Settings) -> dict[str, JobSeen]:
    """Every job there is, by name."""
    folder = settings.root / "runs"
    names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
    return {name: seen for name in names if (seen := read_job(run_folder(settings, name))) is not None}


def read_log(settings: Settings, name: str) -> str:
    """The output of a job so far, or of its last attempt; empty where there is none."""
    run = run_folder(settings, name)
    attempt = read_attempt(run)
    if attempt is None or attempt.ended_at:
        return run.read("log.txt") or ""
    # Ray's own log API would take seconds to import and needs the token; the file is on this machine.
    log = ray_folder(settings) / "session_latest" / "logs" / f"job-driver-{attempt.submission_id}.log"
    return log.read_text(errors="replace") if log.is_file() else ""
