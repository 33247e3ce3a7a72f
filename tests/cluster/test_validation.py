import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client

from bad_manifests import ASKED, BAD, DOCS, MODEL, ROLLOUT, SUITES, TUNED, Bad
from harness.cluster import Cluster
from modelyard.domain.documents import KINDS, parse_documents
from modelyard.domain.errors import InvalidInputError
from modelyard.domain.resource import API_VERSION, Resource

ROOT = Path(__file__).parents[2]
CRDS = ROOT / "charts/platform/files/crds"
EXAMPLES = sorted((ROOT / "examples").glob("*/*.yaml"))
GROUP, _, VERSION = API_VERSION.partition("/")

GOOD = (
    pytest.param(MODEL, id="a base and nothing else"),
    pytest.param(TUNED, id="a fine-tuning of defaults"),
    pytest.param(TUNED + "    adapter: {targetModules: [q_proj, v_proj]}\n", id="named target modules"),
    pytest.param(TUNED + "    workers: {profile: gpu, resources: {GPU: 0.5}}\n    maxFailures: 0\n", id="a profile and half a GPU"),
    pytest.param(SUITES + "    gate: [{metric: t.a, atLeast: 0}]\n", id="a bar of nought"),
    pytest.param(SUITES + "    gate: [{metric: t.a, notWorseThan: active, margin: 0.01}]\n", id="a bar that moves"),
    pytest.param(MODEL + "  serving: {replicas: {min: 0, max: 4}}\n  suspend: true\n", id="an engine that may go"),
    pytest.param(ROLLOUT + "{steps: [10, 50], interval: 1h30m, abortIf: [{metric: error_rate, above: 0.01}]}\n", id="a rollout"),
    pytest.param(MODEL.replace("name: bot", "name: " + "b" * 63), id="the longest name"),
    pytest.param(ASKED, id="an evaluation"),
    pytest.param(DOCS + "  chunking: {maxTokens: 17, overlapTokens: 8}\n", id="a knowledge base"),
    pytest.param(ASKED + "  schedule: {cron: '30 6 * * MON-FRI', timeZone: Europe/Berlin}\n", id="an evaluation on workdays"),
    pytest.param(ASKED + "  schedule: {cron: '5,35 8-18/2 */3 jan-mar,12 *'}\n", id="all that a cron text may have"),
    pytest.param(DOCS + "  refresh: {cron: '@hourly'}\n", id="a knowledge base that is refreshed"),
    pytest.param(TUNED + "  retrain: on-change\n", id="a model that trains by itself"),
    *(pytest.param(path.read_text(encoding="utf-8"), id=f"the example {path.parent.name}/{path.name}") for path in EXAMPLES),
)


class Server:
    """The API server, as a table of manifests needs it."""

    def __init__(self, cluster: Cluster, namespace: str) -> None:
        self.namespace = namespace
        self._api = client.CustomObjectsApi(cluster.client())

    def create(self, document: dict[str, Any], dry_run: bool = False) -> dict[str, Any]:
        """What is stored. Raises ApiException."""
        options = {"dry_run": "All"} if dry_run else {}
        created: dict[str, Any] = self._api.create_namespaced_custom_object(
            GROUP, VERSION, self.namespace, _plural(document), document, field_validation="Strict", **options
        )
        return created

    def replace(self, document: dict[str, Any]) -> dict[str, Any]:
        """What is stored. Raises ApiException."""
        name = document["metadata"]["name"]
        replaced: dict[str, Any] = self._api.replace_namespaced_custom_object(
            GROUP, VERSION, self.namespace, _plural(document), name, document, field_validation="Strict"
        )
        return replaced

    def replace_status(self, document: dict[str, Any]) -> dict[str, Any]:
        """What is stored. Raises ApiException."""
        name = document["metadata"]["name"]
        replaced: dict[str, Any] = self._api.replace_namespaced_custom_object_status(
            GROUP, VERSION, self.namespace, _plural(document), name, document, field_validation="Strict"
        )
        return replaced


@pytest.fixture(scope="module")
def server(cluster: Cluster) -> Iterator[Server]:
    cluster.apply_crds(CRDS)
    namespace = cluster.namespace()
    yield Server(cluster, namespace)
    cluster.delete_namespace(namespace)


def _plural(document: dict[str, Any]) -> str:
    return f"{document['kind'].lower()}s"


def _document(text: str) -> dict[str, Any]:
    # Dates and the like reach the API server as JSON.
    document: dict[str, Any] = json.loads(json.dumps(yaml.safe_load(text), default=str))
    return document


def _message(error: client.ApiException) -> str:
    return str(json.loads(error.body)["message"])


def _resource(document: dict[str, Any]) -> Resource:
    """What the API server holds, without the metadata that only Kubernetes has."""
    named = {"metadata": {"name": document["metadata"]["name"]}}
    return KINDS[document["kind"]].model_validate({key: document[key] for key in ("spec", "status") if key in document} | named)


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.what) for bad in BAD])
def test_the_parser_refuses(bad: Bad) -> None:
    with pytest.raises(InvalidInputError) as raised:
        parse_documents(bad.text, "m.yaml")
    assert [word for word in bad.words if word not in str(raised.value)] == [], str(raised.value)


@pytest.mark.parametrize("bad", [pytest.param(bad, id=bad.what) for bad in BAD])
def test_the_server_refuses(server: Server, bad: Bad) -> None:
    with pytest.raises(client.ApiException) as raised:
        server.create(_document(bad.text), dry_run=True)
    message = _message(raised.value)
    assert raised.value.status in (400, 422)
    assert [word for word in bad.words + bad.server if word not in message] == [], message


@pytest.mark.parametrize("text", GOOD)
def test_what_is_left_out_means_the_same_to_both(server: Server, text: str) -> None:
    (parsed,) = parse_documents(text, "m.yaml")
    stored = server.create(_document(text), dry_run=True)
    assert _resource(stored) == parsed
    assert stored["spec"] == parsed.wire()["spec"], "the server's defaults and pydantic's differ"


# Versions never change


VERSION_SPEC = {
    "model": "bot",
    "source": {"uri": "hf://org/base"},
    "baseDigest": "b" * 64,
    "fineTune": {"dataset": {"uri": "rows.jsonl"}, "adapter": {"targetModules": ["q_proj"]}},
    "revision": 1,
}


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"revision": 2}, id="another revision"),
        pytest.param({"datasetDigest": "d" * 64}, id="other rows"),
        pytest.param(
            {"fineTune": {"dataset": {"uri": "rows.jsonl"}, "adapter": {"targetModules": ["v_proj"]}}}, id="what has no type in the schema"
        ),
        pytest.param({"fineTune": {"dataset": {"uri": "rows.jsonl"}}}, id="a field taken away"),
    ],
)
def test_the_spec_of_a_version_never_changes(server: Server, change: dict[str, Any]) -> None:
    metadata = {"generateName": "bot-"}
    stored = server.create({"apiVersion": API_VERSION, "kind": "ModelVersion", "metadata": metadata, "spec": VERSION_SPEC})
    with pytest.raises(client.ApiException) as raised:
        server.replace({**stored, "spec": {**stored["spec"], **change}})
    assert "the spec of a ModelVersion never changes; change its Model, and the operator makes another version" in _message(raised.value)
    labelled = server.replace({**stored, "metadata": {**stored["metadata"], "labels": {"a": "b"}}})
    assert labelled["spec"] == stored["spec"]


# Status


def _full(schema: dict[str, Any], definitions: dict[str, Any]) -> Any:
    """A value with every optional field in it, so that a field that the API server does not know is missed."""
    if "$ref" in schema:
        return _full(definitions[schema["$ref"].rpartition("/")[2]], definitions)
    if "anyOf" in schema:
        return _full(next(option for option in schema["anyOf"] if option.get("type") != "null"), definitions)
    if "enum" in schema or "const" in schema:
        return schema.get("enum", [schema.get("const")])[-1]
    match schema["type"]:
        case "object" if "properties" in schema:
            return {name: _full(field, definitions) for name, field in schema["properties"].items()}
        case "object":
            return {"key": _full(schema["additionalProperties"], definitions)}
        case "array":
            return [_full(schema["items"], definitions)]
        case "string":
            return "text"
        case "boolean":
            return True
        case "integer":
            return 3
        case _:
            return 0.25


SPECS = {
    "Model": {"source": {"uri": "hf://org/base"}},
    "ModelVersion": VERSION_SPEC,
    "Evaluation": {"model": "bot", "suites": [{"name": "t", "uri": "t.jsonl"}]},
    "KnowledgeBase": {"sources": [{"uri": "docs"}]},
}


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in KINDS])
def test_the_server_drops_nothing_of_a_status(server: Server, kind: str) -> None:
    schema = KINDS[kind].model_fields["status"].annotation.model_json_schema(by_alias=True)
    status = _full(schema, schema.get("$defs", {}))
    document = {"apiVersion": API_VERSION, "kind": kind, "metadata": {"name": "full"}, "spec": SPECS[kind], "status": status}
    stored = server.create(document)
    assert "status" not in stored, "the status is a subresource: who declares a resource cannot write it"
    written = server.replace_status({**stored, "status": status})
    assert written["status"] == status
    assert _resource(written) == _resource({**document, "spec": written["spec"]})
    assert written["metadata"]["generation"] == stored["metadata"]["generation"]


# kubectl


def test_kubectl_refuses_unknown_fields_by_itself(cluster: Cluster, server: Server) -> None:
    done = cluster.kubectl("apply", "-n", server.namespace, "-f", "-", stdin=TUNED + "    epochs: 3\n")
    assert done.returncode != 0
    assert 'unknown field "spec.fineTune.epochs"' in done.stderr


def test_kubectl_explains_like_documentation(cluster: Cluster, server: Server) -> None:
    told = " ".join(cluster.kubectl("explain", "model.spec.fineTune").stdout.split())
    for words in (
        "FIELD: fineTune <Object>",
        "How the base weights are changed.",
        "dataset <Object> -required- Rows to learn from: conversations of which the answers are learned, or texts.",
        '"sft": supervised fine-tuning on the answers of the dataset. Default: sft.',
        "maxFailures <integer> How often a crashed run is resumed from its last checkpoint. At least 0. Default: 3.",
    ):
        assert words in told
    told = " ".join(cluster.kubectl("explain", "mdl.spec.fineTune.adapter.rank").stdout.split())
    assert "costs more memory. At least 1 and at most 512. Default: 16." in told


@pytest.mark.parametrize(
    "way", [pytest.param("--server-side=true", id="on the server"), pytest.param("--server-side=false", id="by kubectl")]
)
def test_a_field_without_a_type_can_be_applied_over(cluster: Cluster, server: Server, way: str) -> None:
    named = TUNED.replace("bot", f"over-{way[-4:].strip('=')}")
    name = _document(named)["metadata"]["name"]
    for modules in ("all-linear", ["q_proj", "v_proj"], ["v_proj"], "all-linear"):
        text = named + f"    adapter: {{targetModules: {json.dumps(modules)}}}\n"
        done = cluster.kubectl("apply", way, "-n", server.namespace, "-f", "-", stdin=text)
        assert done.returncode == 0, done.stderr
        stored = json.loads(cluster.kubectl("get", "mdl", name, "-n", server.namespace, "-o", "json").stdout)
        assert stored["spec"]["fineTune"]["adapter"]["targetModules"] == modules


@pytest.mark.parametrize("kind", [pytest.param(kind, id=kind) for kind in KINDS])
def test_kubectl_explains_every_field(cluster: Cluster, server: Server, kind: str) -> None:
    done = cluster.kubectl("explain", f"{kind.lower()}.spec", "--recursive")
    assert done.returncode == 0
    assert "<no description>" not in cluster.kubectl("explain", kind.lower()).stdout


def test_kubectl_lists_models_at_a_glance(cluster: Cluster, server: Server) -> None:
    stored = server.create(_document(MODEL.replace("bot", "glance")))
    condition = {"status": "True", "observedGeneration": 1, "lastTransitionTime": "2026-01-01T00:00:00Z"}
    server.replace_status(
        {
            **stored,
            "status": {
                "phase": "Training",
                "progress": {"percent": 41.7},
                "version": "glance-0123456789",
                "servedNames": ["glance", "glance:base"],
                "conditions": [
                    {**condition, "type": "Evaluated", "reason": "Scored", "message": "t.a 0.900"},
                    {**condition, "type": "Promoted", "reason": "GatePassed", "message": "t.a 0.9 is at least 0.8"},
                    {**condition, "type": "Ready", "reason": "Running", "message": "job train-1 is running"},
                ],
            },
        }
    )
    head, row = cluster.kubectl("get", "mdl", "glance", "-n", server.namespace).stdout.splitlines()
    assert head.split() == ["NAME", "PHASE", "DONE%", "VERSION", "SCORES", "GATE", "SERVED", "AGE"]
    assert " ".join(row.split()[:-1]) == 'glance Training 41 glance-0123456789 t.a 0.900 GatePassed ["glance","glance:base"]'
    wide = cluster.kubectl("get", "mdl", "glance", "-n", server.namespace, "-o", "wide").stdout
    assert "job train-1 is running" in wide


@pytest.mark.parametrize(
    ("short", "kind"),
    [
        pytest.param("mdl", "Model", id="mdl"),
        pytest.param("mv", "ModelVersion", id="mv"),
        pytest.param("eval", "Evaluation", id="eval, since ev is Kubernetes' own for events"),
        pytest.param("kb", "KnowledgeBase", id="kb"),
        pytest.param("modelyard", "Model", id="modelyard, the category of all"),
    ],
)
def test_kubectl_knows_the_short_names(cluster: Cluster, server: Server, short: str, kind: str) -> None:
    metadata = {"generateName": "short-"}
    stored = server.create({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": SPECS[kind]})
    listed = cluster.kubectl("get", short, "-n", server.namespace, "-o", "name").stdout.split()
    assert f"{kind.lower()}.{GROUP}/{stored['metadata']['name']}" in listed


def test_kubectl_selects_by_phase_and_model(cluster: Cluster, server: Server) -> None:
    server.create(_document(ASKED.replace("name: ev", "name: chosen").replace("model: bot", "model: chooser")))
    done = cluster.kubectl("get", "eval", "-n", server.namespace, "--field-selector=spec.model=chooser", "-o", "name")
    assert done.stdout.split() == ["evaluation.modelyard.io/chosen"]
