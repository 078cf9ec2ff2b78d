"""A real gRPC client and server with the gateway between them, TLS towards the client (SECURITY H9)."""

import concurrent.futures
import threading
import time

import grpc
import pytest

from harness.deadlines import PATIENCE, SCALE, poll
from harness.gateway import route

LARGE = 3 * 2**20


class Service(grpc.GenericRpcHandler):
    """Messages are bytes as they are."""

    def __init__(self):
        self.metadata: list[dict] = []
        self.cancelled = threading.Event()
        self.waiting = threading.Event()

    def service(self, details):
        self.metadata.append(dict(details.invocation_metadata))
        return {
            "/test.Calls/Unary": grpc.unary_unary_rpc_method_handler(self.unary),
            "/test.Calls/Fail": grpc.unary_unary_rpc_method_handler(self.fail),
            "/test.Calls/Wait": grpc.unary_unary_rpc_method_handler(self.wait),
            "/test.Calls/Count": grpc.unary_stream_rpc_method_handler(self.count),
            "/test.Calls/FailLate": grpc.unary_stream_rpc_method_handler(self.fail_late),
            "/test.Calls/Sum": grpc.stream_unary_rpc_method_handler(self.sum),
            "/test.Calls/Chat": grpc.stream_stream_rpc_method_handler(self.chat),
        }.get(details.method)

    def unary(self, request, context):
        context.send_initial_metadata((("x-initial", "first"),))
        context.set_trailing_metadata((("x-trailing", "last"), ("details-bin", b"\x00\xff\x01")))
        return request[::-1]

    def fail(self, request, context):
        context.abort(grpc.StatusCode.FAILED_PRECONDITION, "not so: ü")

    def wait(self, request, context):
        context.add_callback(self.cancelled.set)
        self.waiting.set()
        self.cancelled.wait(2 * PATIENCE)
        return b""

    def count(self, request, context):
        for number in range(int(request)):
            yield b"%d" % number

    def fail_late(self, request, context):
        yield b"one"
        context.abort(grpc.StatusCode.DATA_LOSS, "after one")

    def sum(self, requests, context):
        return b"%d" % sum(int(request) for request in requests)

    def chat(self, requests, context):
        for request in requests:
            yield b"re: " + request


@pytest.fixture(scope="module")
def service():
    return Service()


@pytest.fixture(scope="module")
def calls(module_sites, service):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(16), handlers=[service])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    upstream = {"servers": [f"127.0.0.1:{port}"], "protocol": "h2c", "response_timeout": f"{int(20 * SCALE)}s"}
    site = module_sites(upstreams={"calls": upstream}, routes=[
        route("/test.Calls/", "public") | {"upstream": "calls"}, route("/other.Calls/"), route("/", "public")])
    yield site
    server.stop(None)


@pytest.fixture
def channel(calls):
    credentials = grpc.ssl_channel_credentials(calls.gateway.trust.read_bytes())
    options = (("grpc.ssl_target_name_override", "example.test"), ("grpc.enable_http_proxy", 0))
    with grpc.secure_channel("%s:%d" % calls.gateway.address, credentials, options) as made:
        yield made


def test_unary(channel, service):
    answer, call = channel.unary_unary("/test.Calls/Unary").with_call(b"hello", timeout=PATIENCE, metadata=(
        ("x-mine", "yes"), ("blob-bin", b"\x00\x01\xfe")))
    assert answer == b"olleh" and call.code() == grpc.StatusCode.OK
    assert dict(call.initial_metadata())["x-initial"] == "first"
    trailing = dict(call.trailing_metadata())
    assert (trailing["x-trailing"], trailing["details-bin"]) == ("last", b"\x00\xff\x01")
    seen = service.metadata[-1]
    assert (seen["x-mine"], seen["blob-bin"]) == ("yes", b"\x00\x01\xfe")
    assert seen["x-forwarded-proto"] == "https" and "x-user-id" not in seen


def test_many_calls_at_a_time(channel):
    unary = channel.unary_unary("/test.Calls/Unary")
    futures = [unary.future(b"%d" % number, timeout=PATIENCE) for number in range(300)]
    assert [future.result() for future in futures] == [(b"%d" % number)[::-1] for number in range(300)]


@pytest.mark.parametrize("message", [b"", b"x" * LARGE])
def test_messages_of_any_size(channel, message):
    assert channel.unary_unary("/test.Calls/Unary")(message, timeout=PATIENCE) == message[::-1]


def test_an_error_is_in_the_trailers(channel):
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Calls/Fail")(b"", timeout=PATIENCE)
    assert failed.value.code() == grpc.StatusCode.FAILED_PRECONDITION and failed.value.details() == "not so: ü"


def test_an_error_behind_messages(channel):
    answers = channel.unary_stream("/test.Calls/FailLate")(b"", timeout=PATIENCE)
    assert next(answers) == b"one"
    with pytest.raises(grpc.RpcError) as failed:
        next(answers)
    assert failed.value.code() == grpc.StatusCode.DATA_LOSS and failed.value.details() == "after one"


def test_a_method_that_is_not_there(channel):
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Calls/None")(b"", timeout=PATIENCE)
    assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_server_streaming(channel):
    answers = channel.unary_stream("/test.Calls/Count")(b"1000", timeout=PATIENCE)
    assert list(answers) == [b"%d" % number for number in range(1000)]


def test_client_streaming(channel):
    assert channel.stream_unary("/test.Calls/Sum")((b"%d" % number for number in range(1000)), timeout=PATIENCE) == b"499500"


def test_bidirectional_streaming_in_turns(channel):
    """Each message waits for the answer to the one before; then the client half-closes."""
    answered = threading.Semaphore(1)

    def requests():
        for number in range(100):
            assert answered.acquire(timeout=PATIENCE)
            yield b"%d" % number

    answers = []
    for answer in channel.stream_stream("/test.Calls/Chat")(requests(), timeout=PATIENCE):
        answers.append(answer)
        answered.release()
    assert answers == [b"re: %d" % number for number in range(100)]


def test_a_deadline_passes(channel, service):
    """The client's own, and by grpc-timeout the server's."""
    service.cancelled.clear()
    began = time.monotonic()
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/test.Calls/Wait")(b"", timeout=0.5)
    assert failed.value.code() == grpc.StatusCode.DEADLINE_EXCEEDED and time.monotonic() - began < PATIENCE
    assert service.cancelled.wait(PATIENCE), "the server was told"


def test_a_cancellation_passes(channel, service):
    service.cancelled.clear()
    service.waiting.clear()
    call = channel.unary_unary("/test.Calls/Wait").future(b"", timeout=PATIENCE)
    assert service.waiting.wait(PATIENCE)
    call.cancel()
    assert service.cancelled.wait(PATIENCE), "the server was told"
    assert channel.unary_unary("/test.Calls/Unary")(b"on", timeout=PATIENCE) == b"no"


def test_who_is_not_signed_in_is_unauthenticated(channel):
    """gRPC's table of HTTP statuses: 401."""
    with pytest.raises(grpc.RpcError) as failed:
        channel.unary_unary("/other.Calls/Any")(b"", timeout=PATIENCE)
    assert failed.value.code() == grpc.StatusCode.UNAUTHENTICATED


def test_a_server_that_is_away_is_unavailable(new_site, service):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(4), handlers=[service])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    site = new_site(upstreams={"calls": {"servers": [f"127.0.0.1:{port}"], "protocol": "h2c"}},
                    routes=[route("/", "public") | {"upstream": "calls"}])
    credentials = grpc.ssl_channel_credentials(site.gateway.trust.read_bytes())
    options = (("grpc.ssl_target_name_override", "example.test"), ("grpc.enable_http_proxy", 0))
    with grpc.secure_channel("%s:%d" % site.gateway.address, credentials, options) as channel:
        unary = channel.unary_unary("/test.Calls/Unary")
        assert unary(b"on", timeout=PATIENCE) == b"no"
        server.stop(None).wait()

        def unavailable():
            try:
                unary(b"on", timeout=PATIENCE)
            except grpc.RpcError as failed:
                return failed.code() == grpc.StatusCode.UNAVAILABLE
            return False

        poll(unavailable, "the gateway says so")
