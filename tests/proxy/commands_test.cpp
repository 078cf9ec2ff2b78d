#include "proxy/commands.hpp"

#include <initializer_list>
#include <iostream>
#include <iterator>
#include <sstream>

#include <sys/stat.h>

#include "session/keys.hpp"
#include "tests/proxy/running_admin.hpp"

using namespace rotagate::proxy;
using namespace rotagate::proxy::test;
namespace config = rotagate::config;
namespace session = rotagate::session;
using Catch::Contains;

namespace {

/// What a command did.
struct Ran {
    int code;
    std::string out, err;
};

/// Takes what is written to a stream while it lives.
class Captured {
public:
    explicit Captured(std::ostream& stream) : stream_{stream}, before_{stream.rdbuf(text_.rdbuf())} {}
    ~Captured() { stream_.rdbuf(before_); }
    std::string text() const { return text_.str(); }

private:
    std::ostringstream text_;
    std::ostream& stream_;
    std::streambuf* before_;
};

Ran rotagate_command(const std::vector<std::string>& arguments) {
    std::vector<const char*> argv{"rotagate"};
    for (const std::string& argument : arguments) argv.push_back(argument.c_str());
    Captured out{std::cout}, err{std::cerr};
    const int code = run_command(static_cast<int>(argv.size()), argv.data());
    return {code, out.text(), err.text()};
}

std::string text_of(const std::filesystem::path& file) {
    std::ifstream in{file};
    return {std::istreambuf_iterator<char>{in}, {}};
}

const std::string good_config =
    "listen: [{ address: 127.0.0.1:8080 }]\n"
    "upstreams: { app: { servers: [127.0.0.1:9000] } }\n"
    "routes: [{ match: { path: / }, upstream: app }]\n";

}  // namespace

SCENARIO("keygen makes a cookie key", "[commands]") {
    Folder folder;
    const std::string file = (folder.path / "cookie.key").string();
    GIVEN("a new file") {
        const Ran ran = rotagate_command({"keygen", "--out", file});
        THEN("it holds a key that only its owner can read") {
            CHECK(ran.code == 0);
            struct stat status {};
            REQUIRE(stat(file.c_str(), &status) == 0);
            CHECK((status.st_mode & 07777) == 0600);
            CHECK(session::CookieKey::read(file).has_value());
        }
        THEN("it is never overwritten") {
            const std::string key = text_of(file);
            const Ran again = rotagate_command({"keygen", "--out", file});
            CHECK(again.code == 1);
            CHECK_THAT(again.err, Contains(file) && Contains("left as it is"));
            CHECK(text_of(file) == key);
        }
    }
    GIVEN("no file") {
        THEN("a key is printed, another each time") {
            const Ran first = rotagate_command({"keygen"}), second = rotagate_command({"keygen"});
            CHECK(first.out.size() == 44);
            CHECK(first.out != second.out);
        }
    }
    GIVEN("a folder that is not there") {
        const Ran ran = rotagate_command({"keygen", "--out", (folder.path / "none" / "key").string()});
        CHECK(ran.code == 1);
        CHECK_THAT(ran.err, Contains("No such file"));
    }
}

SCENARIO("check tells whether a configuration can be used", "[commands]") {
    Folder folder;
    GIVEN("a good one") {
        const std::string file = folder.write("rotagate.yaml", good_config + "admin: { address: 127.0.0.1:9901 }\n");
        const Ran ran = rotagate_command({"check", "--config", file});
        THEN("it says so, and what is in it") {
            CHECK(ran.code == 0);
            CHECK_THAT(ran.out, Contains(file + ": ok\n") && Contains("1 listener, 1 upstream, 1 route") &&
                                    Contains("admin address 127.0.0.1:9901"));
        }
    }
    GIVEN("one with two mistakes") {
        const std::string file = folder.write("rotagate.yaml", good_config + "nonsense: 1\nthreads: many\n");
        for (const std::string command : {"check", "run"}) {
            const Ran ran = rotagate_command({command, "--config", file});
            THEN(command + " tells each with its place") {
                CHECK(ran.code == 1);
                CHECK(ran.out.empty());
                CHECK_THAT(ran.err, Contains(file + ":4:1: ") && Contains(file + ":5:10: "));
            }
        }
    }
}

SCENARIO("a wrong command line is told from a failure", "[commands]") {
    GIVEN("nothing") {
        const Ran ran = rotagate_command({});
        THEN("the help is shown") {
            CHECK(ran.code == 2);
            for (const char* command : {"run", "check", "keygen", "sessions", "users", "version"}) {
                CHECK_THAT(ran.out, Contains(command));
            }
        }
    }
    GIVEN("a command line that means nothing, or more than it says") {
        const auto arguments =
            GENERATE(values<std::vector<std::string>>({{"nonsense"},
                                                       {"run"},
                                                       {"check", "--config"},
                                                       {"sessions"},
                                                       {"sessions", "list"},
                                                       {"sessions", "revoke"},
                                                       {"sessions", "revoke", "--user", "a", "--all"},
                                                       {"sessions", "revoke", "--id", "a", "--user", "b"},
                                                       {"sessions", "revoke", "--user", "", "--org", "acme"},
                                                       {"sessions", "list", "--user", ""},
                                                       {"users", "count", "--org", ""},
                                                       {"version", "--nonsense"}}));
        const Ran ran = rotagate_command(arguments);
        THEN("nothing is done, and the exit code is 2") {
            CHECK(ran.code == 2);
            CHECK(!ran.err.empty());
        }
    }
    GIVEN("--help") {
        const Ran ran = rotagate_command({"sessions", "revoke", "--help"});
        CHECK(ran.code == 0);
        CHECK_THAT(ran.out, Contains("--all") && Contains("--admin"));
    }
    GIVEN("version") { CHECK(rotagate_command({"version"}).out == "rotagate " ROTAGATE_VERSION "\n"); }
}

SCENARIO("operators use a running gateway from the command line", "[commands]") {
    RunningAdmin admin;
    const auto command = [&](std::vector<std::string> arguments) {
        arguments.insert(arguments.end(), {"--admin", admin.address()});
        return rotagate_command(arguments);
    };
    GIVEN("alice and bob of acme") {
        const std::string alice = admin.sign_in("alice");
        const std::string bob = admin.sign_in("bo b+", "acme", true);
        THEN("a user's sessions are listed in a table") {
            const Ran ran = command({"sessions", "list", "--user", "bo b+"});
            CHECK(ran.code == 0);
            std::istringstream lines{ran.out};
            std::string head, row, more;
            std::getline(lines, head);
            std::getline(lines, row);
            CHECK(!std::getline(lines, more));
            CHECK(head.find("ID") == row.find(bob));
            CHECK(head.find("ORG") == row.find("acme"));
            CHECK(head.find("PERMANENT") == row.find("yes"));
            CHECK(head.find("CLIENT") == row.find("203.0.113.9"));
        }
        THEN("or as JSON") {
            const Ran ran = command({"sessions", "list", "--org", "acme", "--json"});
            CHECK(boost::json::parse(ran.out).at("id").as_string() == bob);
        }
        THEN("users are counted") {
            CHECK(command({"users", "count"}).out == "2\n");
            CHECK(command({"users", "count", "--org", "acme"}).out == "1\n");
        }
        THEN("sessions are ended by user, organization and id, and all of them") {
            CHECK(command({"sessions", "revoke", "--user", "bo b+"}).out == "revoked 1 session\n");
            CHECK(command({"sessions", "revoke", "--org", "acme"}).out == "revoked 0 sessions\n");
            CHECK(command({"sessions", "revoke", "--id", alice}).out == "revoked 1 session\n");
            admin.sign_in("carol");
            admin.sign_in("dave");
            CHECK(command({"sessions", "revoke", "--all"}).out == "revoked 2 sessions\n");
        }
    }
    GIVEN("more sessions than one page holds") {
        constexpr int many = 1001;
        for (int i = 0; i < many; ++i) admin.sign_in("alice");
        THEN("all of them are listed") {
            const Ran ran = command({"sessions", "list", "--user", "alice"});
            CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 1 + many);
        }
    }
    GIVEN("what the gateway refuses") {
        const Ran ran = command({"sessions", "list", "--user", std::string(257, 'x')});
        THEN("its reason is told") {
            CHECK(ran.code == 1);
            CHECK_THAT(ran.err, Contains("answered 400: user and org are"));
        }
    }
}

SCENARIO("the commands find the gateway", "[commands]") {
    Folder folder;
    GIVEN("a gateway with a token, on a unix socket") {
        const std::string token = folder.write("admin.token", "open sesame\n");
        std::filesystem::permissions(token, std::filesystem::perms{0600});
        const std::string path = (folder.path / "admin.sock").string();
        RunningAdmin admin{nullptr, {.address = {.host = {}, .port = 0, .unix_path = path}, .token_file = token}};
        THEN("its configuration says where, and gives the token, though its keys are for others") {
            const std::string file =
                folder.write("rotagate.yaml", good_config + "session: { cookie: { key_files: [not-readable.key] } }\n" +
                                                  "admin: { address: 'unix:" + path + "', token_file: admin.token }\n");
            CHECK(rotagate_command({"users", "count", "--config", file}).out == "0\n");
        }
        THEN("so do the options") {
            const Ran ran = rotagate_command({"users", "count", "--admin", "unix:" + path, "--token-file", token});
            CHECK(ran.out == "0\n");
        }
        THEN("without the token the cure is told") {
            const Ran ran = rotagate_command({"users", "count", "--admin", "unix:" + path});
            CHECK(ran.code == 1);
            CHECK_THAT(ran.err, Contains("--token-file"));
        }
    }
    GIVEN("nobody who listens") {
        const std::string path = "unix:" + (folder.path / "none.sock").string();
        const Ran ran = rotagate_command({"users", "count", "--admin", path});
        THEN("the cure is told") {
            CHECK(ran.code == 1);
            CHECK_THAT(ran.err, Contains("cannot reach the admin address " + path) && Contains("is rotagate running"));
        }
    }
    GIVEN("an address that is none") {
        CHECK_THAT(rotagate_command({"users", "count", "--admin", "9901"}).err, Contains("host:port"));
    }
    GIVEN("a configuration without an admin address") {
        const std::string file = folder.write("rotagate.yaml", good_config);
        CHECK_THAT(rotagate_command({"users", "count", "--config", file}).err, Contains("has no `admin:`"));
    }
}
