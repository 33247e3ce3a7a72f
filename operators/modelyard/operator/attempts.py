"""What the operator remembers of a run, kept in its folder, so that it can be killed at any moment."""

import json
from dataclasses import asdict, dataclass

from modelyard.artifacts.runs import RunFolder

ATTEMPT_FILE = "attempt.json"


@dataclass
class Attempt:
    """The latest attempt of a run. Times are Unix seconds, 0 while it has not come to that."""

    queued_at: float
    count: int = 0
    preemptions: int = 0
    """How many of them were stopped from outside; those use up no attempt."""
    submission_id: str = ""
    """Of the local Ray."""
    started_at: float = 0.0
    ended_at: float = 0.0
    message: str = ""
    """Why it ended without a result, where the job itself left no word."""
    reason: str = ""
    """One CamelCase word for `message`, where there is one."""
    retryable: bool = True
    """Of a failure that `message` tells."""

    @property
    def counted(self) -> int:
        """The attempts that count as such."""
        return self.count - self.preemptions


def read_attempt(run: RunFolder) -> Attempt | None:
    """The latest attempt; None for a folder that no operator made."""
    text = run.read(ATTEMPT_FILE)
    return Attempt(**json.loads(text)) if text else None


def record_attempt(run: RunFolder, attempt: Attempt) -> None:
    """Replace what is remembered."""
    run.write(ATTEMPT_FILE, json.dumps(asdict(attempt)))
