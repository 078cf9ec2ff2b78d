#include <filesystem>
#include <fstream>
#include <sstream>
#include <utility>

#include <catch2/catch.hpp>
#include <sys/stat.h>

#include "loading.hpp"

using namespace rotagate::config;
using namespace rotagate::config::test;
namespace fs = std::filesystem;

namespace {

std::string text_of_file(const fs::path& path) {
    std::ifstream in(path);
    std::stringstream text;
    text << in.rdbuf();
    return text.str();
}

/// A folder of its own, gone with the test.
class Folder {
public:
    Folder() {
        std::string name = (fs::temp_directory_path() / "rotagate-config-XXXXXX").string();
        REQUIRE(mkdtemp(name.data()) != nullptr);
        path_ = name;
    }
    ~Folder() { fs::remove_all(path_); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    fs::path write(const fs::path& name, const std::string& text, mode_t mode = 0600) const {
        fs::create_directories((path_ / name).parent_path());
        std::ofstream(path_ / name) << text;
        REQUIRE(chmod((path_ / name).c_str(), mode) == 0);
        return path_ / name;
    }
    fs::path operator/(const fs::path& name) const { return path_ / name; }

private:
    fs::path path_;
};

/// The line and message of a file's mistakes, its own name left out.
std::vector<std::string> mistakes_in(const fs::path& file) {
    std::vector<std::string> lines;
    for (const Issue& issue : load_file(file).errors)
        lines.push_back(std::to_string(issue.line) + ":" + std::to_string(issue.column) + ": " + issue.message);
    return lines;
}

const fs::path source = SOURCE_DIR;

void check_listeners(const Config& config) {
    REQUIRE(config.listen.size() == 2);
    CHECK(config.listen[0].address == Address{"0.0.0.0", 8443, ""});
    REQUIRE(config.listen[0].tls);
    CHECK(config.listen[0].tls->certificates.at(0).key == "tls/example.org.key");
    CHECK(config.listen[0].tls->min_version == TlsVersion::tls1_2);
    CHECK_FALSE(config.listen[1].tls);
    CHECK(config.listen[1].redirect_to_https);
    CHECK(config.trusted_proxies == std::vector{Network{"10.0.0.0", 8}});
}

void check_session(const Session& session) {
    CHECK(session.store == "memory");
    CHECK(session.cookie.name == "__Host-session");
    CHECK(session.cookie.key_files == std::vector<fs::path>{"keys/cookie.key"});
    CHECK(session.idle_timeout == 1h);
    CHECK(session.permanent_timeout == 31 * 24h);
    CHECK(session.absolute_timeout == 0s);
    CHECK(session.on_replay == OnReplay::end_session);
    CHECK(session.rotation.grace == 10s);
}

void check_upstream(const Config& config) {
    REQUIRE(config.upstreams.size() == 1);
    const Upstream& shop = config.upstreams[0];
    CHECK(shop.name == "shop");
    REQUIRE(shop.servers.size() == 2);
    CHECK(shop.servers[1].text() == "127.0.0.1:9001");
    REQUIRE(shop.health);
    CHECK(shop.health->path == "/healthz");
    CHECK(shop.health->fall == 3);
    CHECK(shop.response_timeout == 60s);
}

void check_routes(const std::vector<Route>& routes) {
    REQUIRE(routes.size() == 5);
    CHECK(routes[0].access == Access::open);
    CHECK(routes[1].access == Access::optional);
    CHECK(routes[1].session_control);
    CHECK(routes[2].match.host == "api.example.org");
    CHECK(routes[2].match.methods == std::vector<std::string>{"GET", "POST"});
    CHECK(routes[2].on_unauthenticated.status == 401);
    CHECK(routes[3].strip_prefix == "/old");
    CHECK(routes[3].request_headers.set.at(0) == std::pair<std::string, std::string>{"X-Env", "production"});
    CHECK(routes[3].request_headers.remove == std::vector<std::string>{"X-Debug"});
    CHECK(routes[3].response_headers.set.at(0).second == "max-age=31536000");
    CHECK(routes[4].access == Access::required);
    CHECK(routes[4].session_data);
    CHECK(routes[4].on_unauthenticated.redirect == "/login?next={uri}");
}

}  // namespace

SCENARIO("the specification's example and the annotated one load, and say the same", "[config][load]") {
    for (const char* name : {"tests/config/spec_example.yaml", "config/example.yaml"}) {
        const auto loaded = load(text_of_file(source / name));
        INFO(name);
        CHECK(texts(loaded.errors).empty());
        CHECK(texts(loaded.warnings).empty());
        check_listeners(loaded.config);
        check_session(loaded.config.session);
        check_upstream(loaded.config);
        check_routes(loaded.config.routes);
        CHECK(loaded.config.admin->address.text() == "127.0.0.1:9901");
        CHECK(loaded.config.limits.header_bytes == 32 * KiB);
        CHECK(loaded.config.limits.connections == 20000);
        CHECK(loaded.config.log.access == "stdout");
        CHECK(loaded.config.threads == 0);
    }
}

SCENARIO("the example loads from a file once the files that it names are there", "[config][load]") {
    const Folder folder;
    const auto file = folder.write("rotagate.yaml", text_of_file(source / "config/example.yaml"));
    GIVEN("none of them") {
        const auto mistakes = mistakes_in(file);
        REQUIRE(mistakes.size() == 3);
        CHECK(mistakes[0] ==
              "9:19: listen[0].tls.certificates[0].cert: 'tls/example.org.crt' cannot be found (No such file "
              "or directory); looked for " +
                  (folder / "tls/example.org.crt").string());
    }
    GIVEN("all of them") {
        folder.write("tls/example.org.crt", "certificate", 0644);
        folder.write("tls/example.org.key", "key");
        folder.write("keys/cookie.key", "key", 0640);
        const auto loaded = load_file(file);
        CHECK(texts(loaded.errors).empty());
        CHECK(loaded.config.session.cookie.key_files.at(0) == folder / "keys/cookie.key");
        THEN("a secret that other users can get at is refused, with the cure") {
            for (const mode_t mode : {0604, 0602, 0666, 0644}) {
                folder.write("keys/cookie.key", "key", mode);
                CHECK(
                    mistakes_in(file) ==
                    Lines{
                        "40:17: session.cookie.key_files[0]: 'keys/cookie.key' holds a secret that every user of this "
                        "machine can get at; run chmod 600 " +
                        (folder / "keys/cookie.key").string()});
            }
        }
        THEN("an empty file and a folder are refused") {
            folder.write("tls/example.org.key", "");
            CHECK(mistakes_in(file) ==
                  Lines{"9:45: listen[0].tls.certificates[0].key: 'tls/example.org.key' is an empty "
                        "file; put in what it should hold"});
            fs::remove(folder / "tls/example.org.key");
            fs::create_directory(folder / "tls/example.org.key");
            CHECK(mistakes_in(file) ==
                  Lines{"9:45: listen[0].tls.certificates[0].key: 'tls/example.org.key' is not a file; "
                        "write the name of a regular file"});
        }
    }
}

SCENARIO("who knows how looks into the files, and what he finds is told at their place", "[config][load]") {
    const Folder folder;
    const auto file = folder.write("rotagate.yaml",
                                   "listen: [{ address: 127.0.0.1:8443, tls: { certificates: [\n"
                                   "  { cert: a.crt, key: a.key }] } }]\n"
                                   "session: { cookie: { key_files: [b.key] } }\n"
                                   "routes: []\n");
    folder.write("a.crt", "certificate", 0644);
    folder.write("a.key", "key");
    folder.write("b.key", "key");
    std::string key_of = "none";
    Inspectors inspectors{.certificate = [](const auto&) { return std::string(); },
                          .private_key =
                              [&](const auto&, const auto& certificate) {
                                  key_of = certificate.string();
                                  return std::string("is bad; write another");
                              },
                          .authorities = {},
                          .cookie_key = [](const auto& key) { return "is bad; see " + key.string(); },
                          .admin_token = {}};
    const std::string about_key = "2:23: listen[0].tls.certificates[0].key: 'a.key' is bad; write another";
    const std::string about_cookie = "3:34: session.cookie.key_files[0]: 'b.key' is bad; see ";
    CHECK(texts(load_file(file, inspectors).errors) ==
          Lines{file.string() + ":" + about_key, file.string() + ":" + about_cookie + (folder / "b.key").string()});
    CHECK(key_of == folder / "a.crt");
    inspectors.certificate = [](const auto&) { return std::string("is bad"); };
    CHECK(load_file(file, inspectors).errors.size() == 3);
    CHECK(key_of.empty());
    folder.write("b.key", "key", 0644);
    CHECK(load_file(file, inspectors).errors.at(2).message.find("every user") != std::string::npos);
}

SCENARIO("a certificate that no client can get is told of", "[config][load]") {
    const Folder folder;
    const Inspectors inspectors{.certificate = {},
                                .certificate_names = [](const auto& file) -> std::vector<std::string> {
                                    if (file.filename() == "both.crt") return {"a.test", "b.test"};
                                    if (file.filename() == "none.crt") return {};
                                    return {file.stem().string() + ".test"};
                                },
                                .private_key = {}};
    for (const char* name : {"a.crt", "b.crt", "both.crt", "none.crt", "ca.crt"}) folder.write(name, "text", 0644);
    folder.write("a.key", "key");
    const auto loaded = [&](const char* first, const char* second, const char* third = "a") {
        const auto file = folder.write(
            "rotagate.yaml", std::string("listen: [{ address: 127.0.0.1:8443, tls: { certificates: [\n  { cert: ") +
                                 first + ".crt, key: a.key },\n  { cert: " + second +
                                 ".crt, key: a.key },\n  { cert: " + third + ".crt, key: a.key }] } }]\nroutes: []\n");
        return load_file(file, inspectors);
    };
    const auto about = [&](const std::string& what) { return (folder / "rotagate.yaml").string() + ":" + what; };
    const auto never = [&](int line, const std::string& name) {
        return about(std::to_string(line) + ":11: listen[0].tls.certificates[" + std::to_string(line - 2) +
                     "].cert: '" + (folder / name).string() +
                     "' is never served: it has no host name (subjectAltName) that no certificate before it has; "
                     "remove one of them");
    };
    const auto warned = [](const Loaded& of) {
        Lines lines = texts(of.warnings);
        std::erase_if(lines, [](const std::string& line) { return line.find(".crt") == std::string::npos; });
        return lines;
    };
    CHECK(warned(loaded("none", "a", "both")).empty());
    CHECK(warned(loaded("both", "a", "none")) == Lines{never(3, "a.crt"), never(4, "none.crt")});
    CHECK(loaded("both", "a", "none").ok());
    GIVEN("one that would have asked clients for certificates") {
        CHECK(texts(loaded("a", "both.crt, client_ca: ca", "ca").errors) ==
              Lines{about("3:11: listen[0].tls.certificates[1].cert: '" + (folder / "both.crt").string() +
                          "' is for a.test like the certificate on line 2, which is served first and does not "
                          "ask the same of clients; keep one of the two")});
        CHECK(texts(loaded("a", "none.crt, client_ca: ca", "ca").errors) == Lines{never(3, "none.crt")});
        CHECK(loaded("a", "b.crt, client_ca: ca", "ca").ok());
        CHECK(loaded("a.crt, client_ca: ca", "both", "ca").ok());
    }
}

SCENARIO("a store's password is for nobody else to read", "[config][load]") {
    const Folder folder;
    const std::string text = base + "session: { cookie: { key_files: [k] }, store: \"redis://:secret@r:1\" }\n";
    folder.write("k", "key");
    const auto file = folder.write("rotagate.yaml", text, 0640);
    const std::string warning =
        "session.store: has a password, and every user of this machine can get at this file; run chmod o= ";
    const auto warns = [&] {
        return std::ranges::count(load_file(file).warnings, warning + file.string(), &Issue::message);
    };
    CHECK(warns() == 0);
    folder.write("rotagate.yaml", text, 0644);
    CHECK(warns() == 1);
}

SCENARIO("a log file's folder must be there, the file need not", "[config][load]") {
    const Folder folder;
    const auto file = folder.write("rotagate.yaml", base + "log: { access: new.log, security: none/new.log }\n");
    const auto loaded = load_file(file);
    CHECK(loaded.config.log.access == (folder / "new.log").string());
    REQUIRE(loaded.errors.size() == 1);
    CHECK(loaded.errors[0].message ==
          "log.security: 'none/new.log' cannot be written (No such file or directory); write stdout, off or a file");
}

SCENARIO("a configuration file that cannot be read is a mistake like others", "[config][load]") {
    const Folder folder;
    for (const auto& [name, why] :
         {std::pair(folder / "none.yaml", "No such file or directory"), std::pair(folder / ".", "Is a directory")})
        CHECK(texts(load_file(name).errors) == Lines{name.string() + ":1:1: cannot be read (" + why +
                                                     "); write the name of a configuration file after --config"});
}

SCENARIO("what an operator leaves out has its default", "[config][load]") {
    const auto loaded = load(base + "routes: [{ match: { path: / }, upstream: shop }]\n");
    CHECK(texts(loaded.errors).empty());
    CHECK(
        texts(loaded.warnings) ==
        Lines{
            "rotagate.yaml:1:1: session.cookie.key_files: none: cookies are sealed with a random key, and all of them "
            "end with this process; make a key by rotagate keygen --out FILE"});
    const Config& config = loaded.config;
    CHECK_FALSE(config.admin);
    CHECK(config.session.store_timeout == 1s);
    CHECK(config.session.cookie.name == "__Host-session");
    CHECK(config.upstreams.at(0).protocol == Protocol::http1);
    CHECK(config.upstreams.at(0).balance == Balance::round_robin);
    CHECK(config.upstreams.at(0).max_idle_connections == 64);
    CHECK(config.routes.at(0).access == Access::required);
    CHECK(config.routes.at(0).activity);
    CHECK(config.routes.at(0).on_unauthenticated.status == 401);
    CHECK(config.limits.idle_timeout == 75s);
}

SCENARIO("short times, as tests of a gateway need them, are taken", "[config][load]") {
    const auto loaded =
        load(base +
             "session: { idle_timeout: 1s, permanent_timeout: 2s, absolute_timeout: 3s, store_timeout: 100ms,\n"
             "  rotation: { grace: 200ms } }\n"
             "limits: { header_timeout: 500ms, idle_timeout: 500ms }\n");
    CHECK(texts(loaded.errors).empty());
    CHECK(loaded.config.session.rotation.grace == 200ms);
}
