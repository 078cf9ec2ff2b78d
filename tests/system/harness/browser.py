"""A browser as far as sessions go: one cookie jar, several connections."""

import collections
import itertools
import threading
from dataclasses import dataclass
from urllib.parse import quote

from harness import http1
from harness.deadlines import wait_for_protocol_time
from harness.gateway import COOKIE, Gateway


@dataclass
class SetCookie:
    name: str
    value: str
    attributes: dict[str, str]  # names in lower case; flags have an empty value

    @property
    def deletes(self) -> bool:
        return self.attributes.get("max-age") == "0"

    @staticmethod
    def parse(text: str) -> "SetCookie":
        pair, *attributes = [part.strip() for part in text.split(";")]
        name, _, value = pair.partition("=")
        split = [attribute.partition("=") for attribute in attributes]
        return SetCookie(name, value, {key.lower(): content for key, _, content in split})


def set_cookies(response: http1.Response, name: str = COOKIE) -> list[SetCookie]:
    """What an answer sets or deletes under that name."""
    return [cookie for cookie in map(SetCookie.parse, response.all("Set-Cookie")) if cookie.name == name]


def session_cookie(response: http1.Response) -> SetCookie:
    """The one session cookie that the answer sets."""
    found = set_cookies(response)
    assert len(found) == 1 and not found[0].deletes, f"{response.status}: Set-Cookie {response.all('Set-Cookie')}"
    return found[0]


def deletes_cookie(response: http1.Response) -> bool:
    """Whether that is all that the answer does to the session cookie."""
    return [cookie.deletes for cookie in set_cookies(response)] == [True]


def asked(target: str, headers: dict | None = None, **wishes) -> str:
    """A target whose query asks the echoing app for an answer: headers, status=, body=."""
    parts = [f"{name}={quote(str(value), safe='')}" for name, value in wishes.items()]
    parts += ["header=" + quote(f"{name}: {value}", safe="", encoding="latin-1")
              for name, value in (headers or {}).items()]
    return target + ("?" + "&".join(parts) if parts else "")


class Browser:
    """Keeps the cookie that it received last, and idle connections for reuse. Safe for several threads."""

    def __init__(self, gateway: Gateway, host: str = "example.test", cookie: str | None = None):
        self.gateway, self.host, self.cookie = gateway, host, cookie
        self._idle = collections.defaultdict(list)  # by the gateway that they lead to
        self._lock = threading.Lock()

    def at(self, gateway: Gateway) -> "Browser":
        """The same browser, whose requests go to that gateway from now on."""
        self.gateway = gateway
        return self

    def fetch(self, method: str, target: str, headers: dict | None = None, body: bytes = b"") -> http1.Response:
        with self._lock:
            gateway = self._next_gateway()
            client = self._idle[gateway].pop() if self._idle[gateway] else None
        client = client or self._connect(gateway)
        response = client.request(method, target, self._with_cookie(headers), body)
        self.receive(response)
        if response.closes:
            client.close()
        else:
            with self._lock:
                self._idle[gateway].append(client)
        return response

    def _next_gateway(self) -> Gateway:
        return self.gateway

    def _connect(self, gateway: Gateway):
        return gateway.client(server_name=self.host)

    def get(self, target: str, headers: dict | None = None) -> http1.Response:
        return self.fetch("GET", target, headers)

    def _with_cookie(self, headers: dict | None) -> dict:
        own = {"Cookie": self.cookie_header} if self.cookie else {}
        return own | (headers or {})

    @property
    def cookie_header(self) -> str:
        return f"{COOKIE}={self.cookie}"

    def receive(self, response: http1.Response) -> None:
        with self._lock:
            for cookie in set_cookies(response):
                self.cookie = None if cookie.deletes else cookie.value

    def copy(self) -> "Browser":
        """Another machine that got hold of the same cookie."""
        return Browser(self.gateway, self.host, self.cookie)

    # ---- what the echoing app is asked to do ----------------------------------------------------------------------

    def login(self, user: str, org: str | None = None, permanent: bool = False, data: str | None = None,
              path: str = "/login") -> http1.Response:
        headers = {"X-Session-User": user.encode().decode("latin-1")}
        if org:
            headers["X-Session-Org"] = org.encode().decode("latin-1")
        if permanent:
            headers["X-Session-Permanent"] = "true"
        if data:
            headers["X-Session-Data"] = data
        response = self.get(asked(path, headers))
        assert response.status == 200 and self.cookie, f"login of {user}: {response}"
        return response

    def logout(self, what: str = "session") -> http1.Response:
        return self.get(asked("/control/logout", {"X-Session-End": what}))

    def user(self, target: str = "/account") -> str | None:
        """Who the app takes this browser's user for; none: the gateway refused."""
        response = self.get(target)
        if response.status == 401:
            return None
        assert response.status == 200, response
        return app_saw(response).one("X-User-Id")

    def close(self) -> None:
        with self._lock:
            for client in itertools.chain.from_iterable(self._idle.values()):
                client.close()
            self._idle.clear()


class Http2Browser(Browser):
    """A browser that speaks HTTP/2, over one connection."""

    def _connect(self, gateway):
        return gateway.http2(server_name=self.host, host=self.host)

    def fetch_all(self, targets: list[str]) -> list[http1.Response]:
        """Asks for all at once, in parallel streams that carry the same cookie; receives them as they come."""
        client = self._idle[self.gateway].pop() if self._idle[self.gateway] else self._connect(self.gateway)
        streams = [client.open("GET", target, self._with_cookie(None)) for target in targets]
        responses = {stream: client.read_response(stream) for stream in streams}
        for stream in client.finished:
            if stream in responses:
                self.receive(responses[stream])
        self._idle[self.gateway].append(client)
        return list(responses.values())


def outlive(browser: Browser, grace: float) -> str:
    """Goes on until the cookie that the browser has now is superseded, and its grace is over; returns that cookie."""
    old = browser.cookie
    wait_for_protocol_time(1.3 * grace)
    user = browser.user()
    assert user and browser.user() == user  # this presents a cookie minted more than 1.1 G later
    wait_for_protocol_time(2.1 * grace)
    return old


def is_refused_after_a_login(browser: Browser, old: Browser, grace: float) -> None:
    """R7: when a login has replaced a cookie, the cookie is refused at once, but deleted only after the grace: a late 401
    must not delete the cookie of the new session."""
    browser.login("alice")
    refused = old.get("/account")
    assert refused.status == 401 and set_cookies(refused) == []
    wait_for_protocol_time(2.2 * grace)
    refused = old.get("/account")
    assert refused.status == 401 and deletes_cookie(refused)


def app_saw(response: http1.Response) -> http1.Request:
    """The request as the echoing app received it."""
    seen = response.json()
    return http1.Request(seen["method"], seen["target"], [tuple(pair) for pair in seen["headers"]], None,
                         seen["body"].encode("latin-1"), True, seen["connection"])
