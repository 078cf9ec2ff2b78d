"""Fixtures of the system tests. Every gateway is stopped by SIGTERM and must end well, without a sanitizer's report."""

import contextlib
import shutil

import pytest

pytest.register_assert_rewrite("harness.site", "harness.browser", "harness.gateway", "harness.deadlines",
                               "harness.fleet", "harness.http2", "harness.load", "harness.redis_server",
                               "harness.redis_sentinels", "harness.redis_cluster", "harness.conversation_ends")

from harness.certificates import Certificates
from harness.fleet import Fleet
from harness.gateway import Gateway, merged, rotagate, standard_config
from harness.redis_cluster import RedisCluster
from harness.redis_sentinels import RedisSentinels
from harness.redis_server import RedisServer
from harness.site import Site
from harness.upstream import RecordingUpstream


# Files of tests that ask one connection after the other, for what it is told: no thread meets another there. These are
# most tests, and ThreadSanitizer (tests/CMakeLists.txt) has nothing to find in them.
ONE_THREAD = {f"test_{name}.py" for name in (
    "cookies", "cors", "differential_framing", "framing", "http2", "http2_attacks", "identity_headers", "paths",
    "proxy_protocol", "tls_client_certificates", "tls_handshakes", "tls_hosts", "websocket_autobahn", "websocket_peers")}


def pytest_configure(config):
    config.addinivalue_line("markers", "one_thread: asks one connection after the other")


def pytest_collection_modifyitems(items):
    for item in items:
        if item.path.name in ONE_THREAD:
            item.add_marker(pytest.mark.one_thread)


@pytest.fixture(scope="session")
def certificates(tmp_path_factory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def cookie_key(tmp_path_factory):
    key = tmp_path_factory.mktemp("keys") / "cookie.key"
    made = rotagate("keygen", "--out", key)
    assert made.returncode == 0, made.stderr
    return key


class Sites:
    """Makes gateways with an app behind each; closes them all, and tells every failure."""

    def __init__(self, stack: contextlib.ExitStack, new_folder, certificates, cookie_key):
        self._stack, self._new_folder = stack, new_folder
        self._certificates, self._key = certificates, cookie_key

    def app(self, **options) -> RecordingUpstream:
        app = RecordingUpstream(**options)
        self._stack.callback(app.close)
        return app

    def config(self, app: RecordingUpstream, **changes) -> dict:
        folder = self._new_folder()
        return merged(standard_config(folder, self._certificates, self._key, [app.address]), changes) | {
            "folder": folder}

    def __call__(self, app: RecordingUpstream | None = None, environment: dict | None = None, **changes) -> Site:
        """Starts a gateway with the standard configuration, `changes` laid over it."""
        app = app or self.app()
        config = self.config(app, **changes)
        folder = config.pop("folder")
        site = Site(Gateway(folder, config, self._certificates.bundle, environment), app)
        self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        self._stack.callback(site.close)
        return site


def _sites(tmp_path_factory, certificates, cookie_key):
    with contextlib.ExitStack() as stack:
        yield Sites(stack, lambda: tmp_path_factory.mktemp("gateway"), certificates, cookie_key)


@pytest.fixture
def new_site(tmp_path_factory, certificates, cookie_key):
    """Makes sites that live for one test."""
    yield from _sites(tmp_path_factory, certificates, cookie_key)


@pytest.fixture(scope="module")
def module_sites(tmp_path_factory, certificates, cookie_key):
    """Makes sites that live for one file of tests."""
    yield from _sites(tmp_path_factory, certificates, cookie_key)


@pytest.fixture(scope="module")
def site(module_sites) -> Site:
    """The standard gateway of a file of tests."""
    return module_sites()


class Redises:
    """Makes servers of Redis, and deployments of several; closes them all."""

    def __init__(self, stack: contextlib.ExitStack, new_folder):
        self._stack, self._new_folder = stack, new_folder

    def __call__(self, **options) -> RedisServer:
        return self._closed(RedisServer(self._new_folder(), **options))

    def sentinels(self, **options) -> RedisSentinels:
        return self._closed(RedisSentinels(self._new_folder, **options))

    def cluster(self, **options) -> RedisCluster:
        return self._closed(RedisCluster(self._new_folder, **options))

    def _closed(self, made):
        self._stack.callback(made.close)
        return made


def _redises(tmp_path_factory):
    with contextlib.ExitStack() as stack:
        yield Redises(stack, lambda: tmp_path_factory.mktemp("redis"))


@pytest.fixture
def new_redis(tmp_path_factory):
    """Makes servers of Redis that live for one test."""
    yield from _redises(tmp_path_factory)


@pytest.fixture(scope="module")
def module_redis(tmp_path_factory):
    """Makes servers of Redis that live for one file of tests."""
    yield from _redises(tmp_path_factory)


def _fleets(new_site):
    with contextlib.ExitStack() as stack:
        def new(*arguments, **options) -> Fleet:
            fleet = Fleet(new_site, *arguments, **options)
            stack.callback(fleet.close)
            return fleet

        yield new


@pytest.fixture
def new_fleet(new_redis, new_site):
    """Makes fleets that live for one test, and end before their servers of Redis do."""
    yield from _fleets(new_site)


@pytest.fixture(scope="module")
def module_fleet(module_redis, module_sites):
    """Makes fleets that live for one file of tests."""
    yield from _fleets(module_sites)


@pytest.fixture(scope="module")
def server(module_redis) -> RedisServer:
    """The Redis of a file of tests."""
    return module_redis()


@pytest.fixture(scope="module")
def fleet(module_fleet, server) -> Fleet:
    """Two gateways on it, with the settings as they are by default."""
    return module_fleet(server.url)
