"""State in conditions whether the version that a Model asks for serves, and what keeps it from that. Pure; asks for no step."""

from collections.abc import Sequence

from modelyard.domain.model import Model
from modelyard.domain.rollout import RolloutStatus
from modelyard.domain.rollout_situation import RolloutState
from modelyard.domain.serving import GATEWAY_APP, Route
from modelyard.domain.stage import Draft


def state_serving(draft: Draft, model: Model, verdict: str, desired: str, routes: Sequence[Route], state: RolloutState) -> None:
    """State how far the desired version serves, once it passed its gate; routes are carried out for all models at once.

    verdict: what the gate said, for people.
    """
    if desired in state.rolled_back:
        _tell_rolled_back(draft, model, desired, state.status)
        return
    rollout = state.status if state.status and state.status.live else None
    if rollout:
        draft.state("Promoted", "False", "Paused" if rollout.phase == "Paused" else "RollingOut", rollout.message)
    else:
        draft.state("Promoted", "True", "GatePassed", verdict)
    if model.spec.serving is None:
        draft.phase = "Ready"
        draft.state("Ready", "True", "Done", "no serving was asked for")
    elif not rollout and state.active != desired:  # made by this very plan, or a rollback before it is not over
        draft.wait("Serving", "Deploying", "Deploying", f"{desired} takes over next")
    elif _answers(draft, routes):
        draft.state("Serving", "True", "Answering", f"answers as {', '.join(route.name for route in routes)}")
        draft.phase = "RollingOut" if rollout else "Ready"
        if rollout:
            draft.state("Ready", "False", "RollingOut", _told(rollout))
        else:
            draft.state("Ready", "True", "Answering", "served as asked")


def _answers(draft: Draft, routes: Sequence[Route]) -> bool:
    """Whether everything that the routes need answers; states what does not."""
    seen = draft.seen
    apps = {name: seen.apps.get(name) for name in (GATEWAY_APP, *(route.engine for route in routes))}
    for name, app in apps.items():
        if app is not None and app.phase == "failed":
            draft.fail("Serving", "ApplicationFailed", f"Serve application {name} failed: {app.message}")
            return False
    problems = [seen.serving_problems[route.name] for route in routes if route.name in seen.serving_problems]
    if problems:
        draft.fail("Serving", "AdapterNotLoaded", problems[0])
        return False
    waiting = [name for name, app in apps.items() if app is None or app.phase != "running"]
    silent = [route for route in routes if route.name not in seen.answering]
    if waiting:
        draft.wait_for_app(waiting[0])
        return False
    if silent:
        draft.wait("Serving", "Deploying", "Deploying", f"waits until {silent[0].name} answers")
        return False
    return True


def _tell_rolled_back(draft: Draft, model: Model, desired: str, status: RolloutStatus | None) -> None:
    """State why a version does not serve although it passed its gate."""
    if status is not None and status.version == desired:
        draft.wait("Promoted", "Rejected", status.phase, _told(status))
        return
    remedy = f"run `modelyard rollout retry {model.metadata.name}` to try it again"
    draft.wait("Promoted", "Rejected", "RolledBack", f"{desired} was taken back before; {remedy}")


def _told(rollout: RolloutStatus) -> str:
    return f"{rollout.version}: {rollout.message}"
