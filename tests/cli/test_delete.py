from collections.abc import Callable

from typer.testing import Result

from modelyard.operator.store import ResourceStore

MODEL = ("Model", "default", "bot")

MANIFEST = "apiVersion: modelyard.io/v1alpha1\nkind: Model\nmetadata: {name: bot}\nspec: {source: {uri: 'hf://org/base'}}\n"


def test_deleting_waits_until_the_platform_is_done(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.script = [lambda: None, lambda: store.remove(MODEL)]
    result = run("delete", "model", "bot")
    assert (result.exit_code, result.stdout) == (0, "model/bot deleted\n")
    assert world.seconds == 1.0


def test_deleting_without_waiting(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    assert run("delete", "model/bot", "--no-wait").output == "model/bot marked for deletion\n"
    assert store.get(*MODEL).metadata.deletion_timestamp
    assert world.seconds == 0


def test_a_platform_that_is_down_cannot_be_waited_for(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.running = False
    result = run("delete", "model/bot")
    assert (result.exit_code, result.stdout) == (0, "model/bot marked for deletion\n")
    assert "the platform is not running" in result.stderr


def test_deleting_what_manifests_declare(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    assert run("delete", "-f", "-", "--no-wait", input=MANIFEST).output == "model/bot marked for deletion\n"


def test_nothing_is_deleted_when_one_is_not_there(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    result = run("delete", "model", "bot", "bott", "--no-wait")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: there is no Model 'bott' in namespace 'default'; did you mean bot? there is bot\n"
    assert not store.get(*MODEL).metadata.deletion_timestamp
    assert run("delete", "model", "bot", "bott", "--no-wait", "--ignore-not-found").stdout == "model/bot marked for deletion\n"


def test_a_deletion_that_takes_too_long(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_model(store)
    world.endless = True
    result = run("delete", "model/bot", "--timeout", "10s")
    assert result.exit_code == 1
    assert "error: model/bot did not reach deletion in 10s: it is Deleting" in result.stderr


def test_a_version_goes_with_its_model_only(run: Callable[..., Result], store: ResourceStore, world) -> None:
    world.add_version(store, world.add_model(store))
    assert run("delete", "mv", "bot-0123456789").stderr == (
        "error: modelversion/bot-0123456789 belongs to model/bot, which would make it again; "
        "delete model/bot, or lower its spec.retention.keepVersions\n"
    )


def test_names_or_manifests(run: Callable[..., Result], store: ResourceStore) -> None:
    message = "error: what to delete is not clear; name resources (KIND NAME, KIND/NAME) or manifests (-f), and not both\n"
    assert run("delete").stderr == message
    assert run("delete", "model/bot", "-f", "m.yaml").stderr == message
