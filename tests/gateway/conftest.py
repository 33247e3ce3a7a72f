import pytest
from fastapi.testclient import TestClient
from tests.gateway.asking import CONFIG, FakeBackend

from modelyard.gateway.api import build_api
from modelyard.gateway.directory import Directory


@pytest.fixture
def backend() -> FakeBackend:
    return FakeBackend()


@pytest.fixture
def client(backend: FakeBackend) -> TestClient:
    return TestClient(build_api(backend, lambda: Directory(CONFIG)), raise_server_exceptions=False)
