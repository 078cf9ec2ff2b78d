#include "proxy/admin.hpp"

#include <list>
#include <set>

#include <boost/asio/connect.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/post.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <sys/stat.h>

#include "tests/proxy/running_admin.hpp"

using namespace rotagate::proxy;
using namespace rotagate::proxy::test;
using rotagate::session::Completion;
namespace asio = boost::asio;
namespace http = boost::beast::http;
namespace json = boost::json;
namespace config = rotagate::config;
namespace session = rotagate::session;

namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

struct Response : http::response<http::string_body> {
    json::object json() const { return json::parse(body()).as_object(); }
};

/// A connection to the admin address; "host" among the headers replaces its own.
class Client {
public:
    explicit Client(const std::string& address) {
        const auto colon = address.rfind(':');
        asio::ip::tcp::resolver resolver{loop_};
        asio::connect(socket_, resolver.resolve(address.substr(0, colon), address.substr(colon + 1)));
    }
    Response ask(http::verb method, const std::string& target, const Headers& headers = {}) {
        http::request<http::empty_body> request{method, target, 11};
        request.set(http::field::host, "localhost");
        for (const auto& [name, value] : headers) request.set(name, value);
        http::write(socket_, request);
        return read(method == http::verb::head);
    }
    Response send(const std::string& bytes) {
        asio::write(socket_, asio::buffer(bytes));
        return read(false);
    }

private:
    Response read(bool head) {
        http::response_parser<http::string_body> parser;
        parser.skip(head);
        http::read(socket_, buffer_, parser);
        return {parser.release()};
    }

    asio::io_context loop_;
    asio::ip::tcp::socket socket_{loop_};
    boost::beast::flat_buffer buffer_;
};

/// A store that cannot be reached: it answers so later, on the event loop that asked.
class UnreachableStore final : public session::SessionStore {
public:
    session::Millis now() const override { return {}; }
    void start(session::NewSession, Completion<session::Started> done) override { fail(done); }
    void present(const session::SessionCookie&, session::Presentation, Completion<session::Session> done) override {
        fail(done);
    }
    void issue(const session::SessionId&, session::Millis, Completion<session::Millis> done) override { fail(done); }
    void touch(const session::SessionId&, bool, Completion<session::Millis> done) override { fail(done); }
    bool known_ended(const session::SessionId&) const override { return false; }
    void replace_data(const session::SessionId&, std::string, Completion<> done) override { fail(done); }
    void end(const session::SessionId&, Completion<bool> done) override { fail(done); }
    void end_user(const session::User&, Completion<std::vector<session::SessionId>> done) override { fail(done); }
    void end_selected(const session::Selection&, Completion<std::vector<session::SessionId>> done) override {
        fail(done);
    }
    void list(const session::Selection&, std::string, std::size_t, Completion<session::Page> done) override {
        fail(done);
    }
    void count_users(const std::optional<std::string>&, Completion<std::size_t> done) override { fail(done); }
    void ping(Completion<> done) override { fail(done); }

    asio::io_context* loop = nullptr;  ///< the one that asks

private:
    template <class T>
    void fail(Completion<T> done) {
        asio::post(*loop, [done = std::move(done)] { done(session::SessionErrc::unavailable); });
    }
};

std::multiset<std::string> users_of(const json::object& page) {
    std::multiset<std::string> users;
    for (const auto& one : page.at("sessions").as_array()) {
        users.insert(std::string{one.at("org").as_string()} + "/" + std::string{one.at("user").as_string()});
    }
    return users;
}

}  // namespace

SCENARIO("operators list and end sessions", "[admin]") {
    RunningAdmin admin;
    Client client{admin.address()};
    GIVEN("alice, outside and inside acme, carol of acme, and bob with a permanent session") {
        admin.sign_in("alice");
        admin.sign_in("alice", "acme");
        admin.sign_in("carol", "acme");
        const std::string bob = admin.sign_in("bob", "", true);
        THEN("a user is listed with her sessions in all organizations") {
            const auto page = client.ask(http::verb::get, "/v1/sessions?user=alice").json();
            CHECK(users_of(page) == std::multiset<std::string>{"/alice", "acme/alice"});
            CHECK(page.at("cursor") == "");
        }
        THEN("an organization is listed, and a user of it") {
            CHECK(users_of(client.ask(http::verb::get, "/v1/sessions?org=acme").json()) ==
                  std::multiset<std::string>{"acme/alice", "acme/carol"});
            CHECK(users_of(client.ask(http::verb::get, "/v1/sessions?org=acme&user=carol").json()) ==
                  std::multiset<std::string>{"acme/carol"});
        }
        THEN("a session is told with its times and its origin") {
            const auto page = client.ask(http::verb::get, "/v1/sessions?user=bob").json();
            const json::object session = page.at("sessions").as_array().at(0).as_object();
            CHECK(session.at("id").as_string() == bob);
            CHECK(session.at("user") == "bob");
            CHECK(session.at("org") == "");
            CHECK(session.at("permanent") == true);
            CHECK(session.at("client") == "203.0.113.9");
            for (const char* time : {"created", "expires", "last_seen"})
                CHECK(session.at(time).as_string().size() == 24);
            CHECK(session.at("created").as_string() < session.at("expires").as_string());
        }
        THEN("a long list comes in pages") {
            std::multiset<std::string> all;
            std::string cursor;
            int pages = 0;
            do {
                const auto page =
                    client.ask(http::verb::get, "/v1/sessions?user=alice&limit=1&cursor=" + cursor).json();
                CHECK(page.at("sessions").as_array().size() <= 1);
                all.merge(users_of(page));
                cursor = page.at("cursor").as_string();
            } while (!cursor.empty() && ++pages < 10);
            CHECK(all == std::multiset<std::string>{"/alice", "acme/alice"});
        }
        THEN("distinct users are counted") {
            CHECK(client.ask(http::verb::get, "/v1/users/count").json().at("users").as_int64() == 4);
            CHECK(client.ask(http::verb::get, "/v1/users/count?org=acme").json().at("users").as_int64() == 2);
        }
        WHEN("an operator ends what a user has") {
            const auto answer = client.ask(http::verb::delete_, "/v1/sessions?user=alice").json();
            THEN("it is gone, and each session has its line in the security log") {
                CHECK(answer.at("revoked") == 2);
                CHECK(admin.sessions.size() == 2);
                const auto events = admin.events();
                REQUIRE(events.size() == 2);
                for (const json::object& event : events) {
                    CHECK(event.at("event") == "session_ended");
                    CHECK(event.at("reason") == "revoked_user");
                    CHECK(event.at("user") == "alice");
                    CHECK(event.at("client") == "admin");
                    CHECK(event.at("session").as_string().size() == 8);
                }
            }
        }
        WHEN("an operator ends an organization's sessions") {
            CHECK(client.ask(http::verb::delete_, "/v1/sessions?org=acme").json().at("revoked") == 2);
            THEN("the reason says so") {
                REQUIRE(admin.events().size() == 2);
                CHECK(admin.events()[0].at("reason") == "revoked_org");
                CHECK(admin.events()[0].at("org") == "acme");
            }
        }
        WHEN("an operator ends one session, twice") {
            CHECK(client.ask(http::verb::delete_, "/v1/sessions/" + bob).json().at("revoked") == 1);
            CHECK(client.ask(http::verb::delete_, "/v1/sessions/" + bob).json().at("revoked") == 0);
            THEN("it ended once") {
                REQUIRE(admin.events().size() == 1);
                CHECK(admin.events()[0].at("reason") == "revoked_session");
            }
        }
        WHEN("an operator ends all") {
            CHECK(client.ask(http::verb::delete_, "/v1/sessions?all=true").json().at("revoked") == 4);
            THEN("nobody is signed in") {
                CHECK(client.ask(http::verb::get, "/v1/users/count").json().at("users").as_int64() == 0);
                CHECK(admin.events().at(0).at("reason") == "revoked_all");
            }
        }
    }
    GIVEN("users whose names need percent-encoding") {
        admin.sign_in("a+b c@x.org");
        admin.sign_in("\u00e9&=%", "\u6f22/x");
        THEN("they are found by them; a plus is a plus") {
            CHECK(users_of(client.ask(http::verb::get, "/v1/sessions?user=a+b%20c@x.org").json()).size() == 1);
            CHECK(users_of(client.ask(http::verb::get, "/v1/sessions?user=a%2bb%20c%40x.org").json()).size() == 1);
            CHECK(users_of(client.ask(http::verb::get, "/v1/sessions?user=%c3%a9%26%3d%25&org=%e6%bc%a2%2fx").json()) ==
                  std::multiset<std::string>{"\u6f22/x/\u00e9&=%"});
        }
    }
}

SCENARIO("the admin address tells what is wrong with a request", "[admin]") {
    RunningAdmin admin;
    admin.sign_in("alice");
    Client client{admin.address()};
    struct Wrong {
        http::verb method;
        std::string target;
        unsigned status;
        std::string says;
    };
    const auto wrong = GENERATE(values<Wrong>({
        {http::verb::get, "/v1/sessions", 400, "?user=U"},
        {http::verb::get, "/v1/sessions?name=x", 400, "unknown parameter 'name'; there are user, org, cursor, limit"},
        {http::verb::get, "/v1/sessions?user=", 400, "1 to 256 bytes"},
        {http::verb::get, "/v1/sessions?org=", 400, "1 to 256 bytes"},
        {http::verb::get, "/v1/sessions?user=%ff", 400, "1 to 256 bytes"},
        {http::verb::get, "/v1/sessions?user=a&user=b", 400, "user is given twice"},
        {http::verb::get, "/v1/sessions?user=%zz", 400, "percent-encoded"},
        {http::verb::get, "/v1/sessions?user=a&limit=0", 400, "1 to 1000"},
        {http::verb::get, "/v1/sessions?user=a&limit=1001", 400, "1 to 1000"},
        {http::verb::get, "/v1/sessions?user=a&limit=1x", 400, "1 to 1000"},
        {http::verb::delete_, "/v1/sessions", 400, "?all=true"},
        {http::verb::delete_, "/v1/sessions?all=yes", 400, "?all=true"},
        {http::verb::delete_, "/v1/sessions?user=alice&all=true", 400, "?all=true"},
        {http::verb::delete_, "/v1/sessions?user=alice&limit=1", 400, "unknown parameter 'limit'"},
        {http::verb::get, "/v1/users/count?user=a", 400, "unknown parameter 'user'; there is org"},
        {http::verb::get, "/v1/users", 404, "/v1/users"},
        {http::verb::get, "/%ff", 404, "there is no /%FF"},  // JSON is UTF-8
        {http::verb::get, "/v1/sessions?%ff=1", 400, "unknown parameter '%FF'"},
        {http::verb::get, "/v1/sessions/", 404, "/v1/sessions/"},
        {http::verb::post, "/v1/sessions?user=alice", 405, "DELETE"},
        {http::verb::get, "/v1/sessions/abc", 405, "DELETE"},
        {http::verb::delete_, "/metrics", 405, "GET"},
    }));
    GIVEN(std::string{http::to_string(wrong.method)} + " " + wrong.target) {
        const auto response = client.ask(wrong.method, wrong.target);
        THEN("the answer is its status, with the cure, and nothing was ended") {
            CHECK(response.result_int() == wrong.status);
            CHECK_THAT(std::string{response.json().at("error").as_string()}, Catch::Contains(wrong.says));
            CHECK((wrong.status == 405) == (response.count(http::field::allow) == 1));
            CHECK(admin.sessions.size() == 1);
        }
    }
}

SCENARIO("an id that names no session ends none", "[admin]") {
    RunningAdmin admin;
    Client client{admin.address()};
    const std::string id = admin.sign_in("alice");
    for (const std::string& other : {std::string{"nonsense"}, id + "A", id.substr(1), "00000000" + id.substr(8)}) {
        CHECK(client.ask(http::verb::delete_, "/v1/sessions/" + other).json().at("revoked") == 0);
    }
    CHECK(admin.sessions.size() == 1);
}

SCENARIO("the admin address is not for web pages", "[admin]") {
    RunningAdmin admin;
    admin.sign_in("alice");
    Client client{admin.address()};
    const std::string target = "/v1/sessions?all=true";
    GIVEN("a request that a page could make a browser send") {
        const auto headers = GENERATE(values<Headers>({{{"Origin", "https://evil.example"}},
                                                       {{"Origin", "null"}},
                                                       {{"Sec-Fetch-Site", "cross-site"}},
                                                       {{"Sec-Fetch-Site", "same-origin"}}}));
        THEN("it is refused") {
            CHECK(client.ask(http::verb::delete_, target, headers).result_int() == 403);
            CHECK(admin.sessions.size() == 1);
        }
    }
    GIVEN("a host name that was made to point here") {
        const auto host = GENERATE(as<std::string>{}, "evil.example", "evil.example:9901", "localhost.evil.example",
                                   "127.0.0.1.evil.example", "", "[evil");
        THEN("it is refused") {
            CHECK(client.ask(http::verb::delete_, target, {{"Host", host}}).result_int() == 421);
            CHECK(admin.sessions.size() == 1);
        }
    }
    GIVEN("two hosts, or none") {
        THEN("it is refused") {
            CHECK(client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n").result_int() ==
                  400);
            CHECK(client.send("GET /healthz HTTP/1.1\r\n\r\n").result_int() == 400);
        }
    }
    GIVEN("the address itself, an operator's tunnel, a person who typed the address, and a load balancer") {
        THEN("they are served") {
            CHECK(client.ask(http::verb::get, "/healthz", {{"Host", admin.address()}}).result_int() == 200);
            CHECK(client.ask(http::verb::get, "/healthz", {{"Host", "LOCALHOST:9999"}}).result_int() == 200);
            CHECK(client.ask(http::verb::get, "/healthz", {{"Host", "[::1]:9901"}}).result_int() == 200);
            CHECK(client.ask(http::verb::get, "/metrics", {{"Sec-Fetch-Site", "none"}}).result_int() == 200);
            CHECK(client.send("GET /readyz HTTP/1.0\r\n\r\n").result_int() == 200);
        }
    }
}

SCENARIO("idle connections keep nobody from the admin address", "[admin]") {
    RunningAdmin admin;
    std::list<Client> idle;
    for (int i = 0; i < 64; ++i) {
        idle.emplace_back(admin.address());
        REQUIRE(idle.back().ask(http::verb::get, "/healthz", {}).result_int() == 200);
    }
    Client operators{admin.address()};
    CHECK(operators.ask(http::verb::get, "/metrics", {}).result_int() == 200);
    CHECK(idle.back().ask(http::verb::get, "/healthz", {}).result_int() == 200);
    CHECK_THROWS(idle.front().ask(http::verb::get, "/healthz", {}));  // the one that was silent for longest
}

SCENARIO("the admin address can ask for a token", "[admin]") {
    Folder folder;
    const std::string file = folder.write("admin.token", "  open sesame \n");
    RunningAdmin admin{nullptr, {.address = RunningAdmin::any_port(), .token_file = file}};
    Client client{admin.address()};
    THEN("nothing is told or done without it") {
        const auto wrong = GENERATE(as<std::string>{}, "", "Bearer", "Bearer open sesam", "Bearer open sesame!",
                                    "Basic open sesame", "open sesame", "Bearer Open sesame");
        const Headers headers = wrong.empty() ? Headers{} : Headers{{"Authorization", wrong}};
        const auto response = client.ask(http::verb::get, "/v1/users/count", headers);
        CHECK(response.result_int() == 401);
        CHECK(response[http::field::www_authenticate] == "Bearer");
        CHECK(client.ask(http::verb::get, "/metrics", headers).result_int() == 401);
    }
    THEN("with it, all is as without") {
        CHECK(client.ask(http::verb::get, "/v1/users/count", {{"Authorization", "Bearer open sesame"}}).result_int() ==
              200);
        CHECK(client.ask(http::verb::get, "/metrics", {{"Authorization", "bearer open sesame"}}).result_int() == 200);
    }
    THEN("it may be reached by any name, for a page that was rebound to it has no token") {
        const auto named = [&](Headers headers) {
            headers.emplace_back("Host", "gateway.internal:9901");
            return client.ask(http::verb::get, "/v1/users/count", headers).result_int();
        };
        CHECK(named({{"Authorization", "Bearer open sesame"}}) == 200);
        CHECK(named({}) == 401);
        CHECK(named({{"Authorization", "Bearer open sesame"}, {"Origin", "https://gateway.internal:9901"}}) == 403);
    }
    THEN("load balancers need none to see whether the gateway lives") {
        CHECK(client.ask(http::verb::get, "/healthz").result_int() == 200);
        CHECK(client.ask(http::verb::get, "/readyz?verbose").result_int() == 200);
    }
    THEN("a token file that is empty or not there is an error at the start") {
        const config::Admin none{.address = RunningAdmin::any_port(), .token_file = folder.path / "none"};
        const config::Admin empty{.address = RunningAdmin::any_port(), .token_file = folder.write("empty", "\n")};
        CHECK_THROWS_WITH((RunningAdmin{nullptr, none}), Catch::Contains("none: No such file"));
        CHECK_THROWS_WITH((RunningAdmin{nullptr, empty}), Catch::Contains("is empty"));
    }
}

SCENARIO("readiness says what is missing", "[admin]") {
    GIVEN("all is well") {
        RunningAdmin admin;
        Client client{admin.address()};
        CHECK(client.ask(http::verb::get, "/readyz").json().at("ready") == true);
        CHECK(client.ask(http::verb::get, "/healthz").json().at("status") == "ok");
    }
    GIVEN("an upstream without a live server") {
        RunningAdmin admin;
        admin.dead_upstreams = {"shop"};
        Client client{admin.address()};
        const auto response = client.ask(http::verb::get, "/readyz");
        CHECK(response.result_int() == 503);
        CHECK(response.json().at("ready") == false);
        CHECK(response.json().at("reasons") == json::array{"upstream shop has no live server"});
        CHECK(client.ask(http::verb::get, "/healthz").result_int() == 200);
    }
    GIVEN("a store that does not answer") {
        UnreachableStore store;
        RunningAdmin admin{&store};
        store.loop = &admin.loop;
        Client client{admin.address()};
        THEN("it is told, and operators get 503 with Retry-After, not an empty list") {
            CHECK(client.ask(http::verb::get, "/readyz").json().at("reasons") ==
                  json::array{"the session store does not answer"});
            const auto method = GENERATE(http::verb::get, http::verb::delete_);
            const auto response = client.ask(method, "/v1/sessions?user=alice");
            CHECK(response.result_int() == 503);
            CHECK(response[http::field::retry_after] == "1");
            CHECK(client.ask(http::verb::get, "/v1/users/count").result_int() == 503);
        }
    }
}

SCENARIO("the admin address speaks HTTP/1.1 with limits", "[admin]") {
    RunningAdmin admin;
    Client client{admin.address()};
    THEN("a connection serves several requests, and no answer may be cached") {
        for (int i = 0; i < 3; ++i) {
            const auto response = client.ask(http::verb::get, "/metrics");
            CHECK(response[http::field::content_type] == "text/plain; version=0.0.4; charset=utf-8");
            CHECK(response[http::field::cache_control] == "no-store");
            CHECK(response.body().find("rotagate_build_info") != std::string::npos);
        }
    }
    THEN("HEAD tells the length alone") {
        const auto response = client.ask(http::verb::head, "/healthz");
        CHECK(response.result_int() == 200);
        CHECK(response[http::field::content_length] == "16");
        CHECK(client.ask(http::verb::get, "/healthz").result_int() == 200);
    }
    THEN("a head of more than 8 KiB is refused") {
        const auto response =
            client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + std::string(9000, 'x') + "\r\n\r\n");
        CHECK(response.result_int() == 431);
        CHECK(!response.keep_alive());
    }
    THEN("a body of more than 8 KiB is refused") {
        CHECK(client.send("GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 9000\r\n\r\n").result_int() ==
              413);
    }
    THEN("what is no HTTP is refused") { CHECK(client.send("nonsense\r\n\r\n").result_int() == 400); }
}

SCENARIO("the admin address can be a unix socket", "[admin]") {
    Folder folder;
    const std::string path = (folder.path / "admin.sock").string();
    const config::Admin settings{.address = {.host = {}, .port = 0, .unix_path = path}, .token_file = {}};
    const auto mode = [&] {
        struct stat file {};
        return lstat(path.c_str(), &file) == 0 ? file.st_mode & 07777 : 0;
    };
    GIVEN("it listens") {
        {
            RunningAdmin admin{nullptr, settings};
            CHECK(admin.address() == "unix:" + path);
            THEN("the file is for user and group, and nobody else can take it") {
                CHECK(mode() == 0660);
                CHECK_THROWS_AS((RunningAdmin{nullptr, settings}), boost::system::system_error);
                CHECK(mode() == 0660);
            }
        }
        THEN("the file goes with it") { CHECK(mode() == 0); }
    }
    GIVEN("a socket that a killed process left behind") {
        {
            asio::io_context loop;
            asio::local::stream_protocol::acceptor left{loop, asio::local::stream_protocol::endpoint{path}};
        }
        REQUIRE(mode() != 0);
        THEN("it is replaced") { CHECK_NOTHROW(RunningAdmin{nullptr, settings}); }
    }
    GIVEN("a file that is no socket") {
        folder.write("admin.sock", "precious");
        THEN("it is left alone") {
            CHECK_THROWS_AS((RunningAdmin{nullptr, settings}), boost::system::system_error);
            CHECK(std::filesystem::file_size(path) == 8);
        }
    }
}
