#include "session/keys.hpp"

#include <fstream>

#include <catch2/catch.hpp>
#include <sys/stat.h>
#include <unistd.h>

using namespace rotagate::session;
namespace fs = std::filesystem;

namespace {

/// A key file in a folder of its own, which goes with it.
struct KeyFile {
    fs::path folder, path;

    explicit KeyFile(const std::string& text, mode_t mode = 0600) {
        std::string name = (fs::temp_directory_path() / "rotagate-keys-XXXXXX").string();
        REQUIRE(::mkdtemp(name.data()));
        folder = name;
        path = folder / "cookie.key";
        std::ofstream{path} << text;
        REQUIRE(::chmod(path.c_str(), mode) == 0);
    }
    ~KeyFile() { fs::remove_all(folder); }
    KeyFile(const KeyFile&) = delete;
    KeyFile& operator=(const KeyFile&) = delete;
};

}  // namespace

SCENARIO("a key survives its file", "[keys]") {
    const auto key = CookieKey::generate();
    for (const mode_t mode : {0600, 0400, 0640, 0440}) {
        const KeyFile file{key.file_text(), mode};
        const auto read = CookieKey::read(file.path);
        REQUIRE(read.has_value());
        CHECK(read->secret == key.secret);
        CHECK(read->id == key.id);
    }
}

SCENARIO("every key is another, and its id tells it apart", "[keys]") {
    const auto a = CookieKey::generate(), b = CookieKey::generate();
    CHECK(a.secret != b.secret);
    CHECK(a.id != b.id);
    CHECK(a.id.size() == 8);
    CHECK(CookieKey::from_secret(a.secret).id == a.id);
    CHECK(CookieKey::from_secret({}).id == "6a64fdb4");
}

SCENARIO("a key file that others may touch is refused", "[keys]") {
    for (const mode_t mode : {0604, 0602, 0601, 0644, 0666}) {
        const KeyFile file{CookieKey::generate().file_text(), mode};
        CHECK(CookieKey::read(file.path).error() == std::errc::permission_denied);
    }
}

SCENARIO("a file that holds no key is refused", "[keys]") {
    const std::string text = CookieKey::generate().file_text();
    const std::string line = text.substr(0, text.size() - 1);
    CHECK(CookieKey::read(KeyFile{line}.path).has_value());
    for (const std::string& bad :
         {std::string{}, std::string{"\n"}, line.substr(1), line + "A", text + "\n", text + text, "\n" + line,
          " " + text, line + "=\n", line + "\r\n", std::string(43, '+'), std::string(100'000, 'A')}) {
        CHECK(CookieKey::read(KeyFile{bad}.path).error() == std::errc::invalid_argument);
    }
}

SCENARIO("a path that is no file is refused without hanging", "[keys]") {
    const KeyFile file{""};
    const fs::path pipe = file.folder / "pipe";
    REQUIRE(::mkfifo(pipe.c_str(), 0600) == 0);
    CHECK(CookieKey::read(file.folder / "absent").error() == std::errc::no_such_file_or_directory);
    CHECK(CookieKey::read(file.folder).error() == std::errc::invalid_argument);
    CHECK(CookieKey::read(pipe).error() == std::errc::invalid_argument);
}
