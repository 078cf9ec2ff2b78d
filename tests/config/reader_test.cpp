#include <catch2/catch.hpp>

#include "loading.hpp"

using namespace rotagate::config;
using namespace rotagate::config::test;

namespace {
using Lines = std::vector<std::string>;
}

SCENARIO("every mistake of a file is reported at once, by line, with its place, range and cure", "[config][reader]") {
    CHECK(
        errors(base + "session:\n"
                      "  idle_timeout: soon\n"
                      "  cookie: { same_site: lux }\n"
                      "threads: 5000\n"
                      "listne: []\n") ==
        Lines{
            "rotagate.yaml:6:17: session.idle_timeout: 'soon' is not a duration; write 30s, 15m or 12h (at least 1s)",
            "rotagate.yaml:7:24: session.cookie.same_site: 'lux' is not one of lax, strict or none; did you mean lax?",
            "rotagate.yaml:8:10: threads: '5000' is out of range; write 0 to 1024",
            "rotagate.yaml:9:1: listne: is not a known key; did you mean listen?"});
}

SCENARIO("values of the wrong kind are refused", "[config][reader]") {
    const Mistake mistakes[] = {
        {"limits: 5\n", "5:9: limits: '5' is not a map; write { key: value }, or indented lines of key: value"},
        {"limits: [1]\n", "5:9: limits: is not a map; write { key: value }, or indented lines of key: value"},
        {"trusted_proxies: 10.0.0.0/8\n",
         "5:18: trusted_proxies: '10.0.0.0/8' is not a list; write [first, second], or a "
         "line with \"- \" for each"},
        {"trusted_proxies:\n",
         "5:1: trusted_proxies: is not a list; write [first, second], or a line with \"- \" for each"},
        {"trusted_proxies: [[10.0.0.0/8]]\n",
         "5:19: trusted_proxies[0]: is not a single value; write it on one line, in "
         "quotes where it has special characters"},
        {"threads: {}\n",
         "5:10: threads: is not a single value; write it on one line, in quotes where it has special "
         "characters"},
        {"threads:\n", "5:1: threads: has no value; write one, or remove the line"},
        {"threads: ~\n", "5:1: threads: has no value; write one, or remove the line"},
        {"log: { access: \"a\\nb\" }\n",
         "5:16: log.access: 'a?b' has a line end or another control character; remove it"},
        {"routes: [text]\n",
         "5:10: routes[0]: 'text' is not a map; write { key: value }, or indented lines of key: value"},
        {"unheard_of: 1\n",
         "5:1: unheard_of: is not a known key; known here are admin, limits, listen, log, routes, "
         "session, threads, tls_tickets, trusted_proxies and upstreams"},
    };
    for (const auto& [yaml, message] : mistakes) CHECK(errors(base + yaml) == Lines{"rotagate.yaml:" + message});
}

SCENARIO("booleans are true and false, nothing else", "[config][reader]") {
    for (const std::string text : {"yes", "on", "True", "1", "\"true\""}) {
        const std::string bare = text.front() == '"' ? "true" : text;
        CHECK(errors(with("session: { rotation: { strict: ", text, " } }\n")) ==
              Lines{"rotagate.yaml:5:32: session.rotation.strict: '" + bare +
                    "' is not a boolean; write true or false, without quotes"});
    }
    CHECK(load(base + "session: { rotation: { strict: true } }\n").config.session.rotation.strict);
}

SCENARIO("a key that is given twice is a mistake, wherever it stands", "[config][reader]") {
    const Mistake mistakes[] = {
        {"threads: 1\nthreads: 2\n", "6:1: threads: is given twice, first on line 5; keep one"},
        {"upstreams: {}\n", "5:1: upstreams: is given twice, first on line 2; keep one"},
        {"limits: { connections: 5, connections: 5 }\n",
         "5:27: limits.connections: is given twice, first on line 5; keep one"},
        {"routes: [{ match: { path: / }, upstream: shop, headers: { request: { set: { X-A: 1, X-A: 2 } } } }]\n",
         "5:85: routes[0].headers.request.set.X-A: is given twice, first on line 5; keep one"},
    };
    for (const auto& [yaml, message] : mistakes) CHECK(errors(base + yaml) == Lines{"rotagate.yaml:" + message});
}

SCENARIO("a map without a value has its defaults", "[config][reader]") {
    const auto loaded = load(base + "session:\nlimits:\nlog:\n");
    CHECK(texts(loaded.errors).empty());
    CHECK(loaded.config.session.idle_timeout == 60min);
    CHECK(loaded.config.limits.connections == 20000);
}

SCENARIO("what is no single YAML map in UTF-8 is refused as a whole", "[config][reader]") {
    const std::string empty = "1:1: the file is empty; it needs listen, upstreams and routes";
    const std::string whole = "a configuration is a map of settings such as listen: and routes:";
    const Mistake mistakes[] = {
        {"", empty},
        {"# only a comment\n", empty},
        {"~\n", empty},
        {"text\n", "1:1: " + whole},
        {"\n- a\n", "2:1: " + whole},
        {"a: 1\n---\nb: 2\n", "2:1: the document ends before this; a configuration is one document"},
        {"a: \"open\n", "3:1: not YAML: illegal document indicator in scalar"},
        {"a: [1\n", "3:1: not YAML: end of sequence flow not found"},
        {"ab: \xff\n", "1:5: not UTF-8; save the file in that encoding"},
        {"a: \xc0\xaf\n", "1:4: not UTF-8; save the file in that encoding"},
        {"a: \xed\xa0\x80\n", "1:4: not UTF-8; save the file in that encoding"},
        {std::string("a: 1\nb: \0\n", 10), "2:4: a control character; remove it"},
        {"a: !!str 5\n", "1:4: tags such as !!str have no meaning here; write the value alone"},
        {"[a]: 1\n", "1:1: a list or map cannot be a key; write a plain word"},
        {"? { a: 1 }\n: 1\n", "1:3: a list or map cannot be a key; write a plain word"},
    };
    for (const auto& [yaml, message] : mistakes) CHECK(errors(yaml) == Lines{"rotagate.yaml:" + message});
}

SCENARIO("the marks of a document's beginning and end are fine", "[config][reader]") {
    CHECK(errors("---\n" + base).empty());
    CHECK(errors("%YAML 1.2\n---\n" + base).empty());
    CHECK(errors(base + "...\n").empty());
    CHECK(errors("\xEF\xBB\xBF" + base).empty());
}

SCENARIO("hostile YAML is refused in bounded time and memory", "[config][reader]") {
    GIVEN("nesting that would overflow a stack") {
        const std::pair<std::string, std::string> levels[] = {
            {"[", "]"}, {"{a: ", "}"}, {"? ", ""}, {"- ", ""}, {"- - ", ""}};
        for (const auto& [down, up] : levels) {
            std::string yaml = "a:\n ";
            for (int i = 0; i < 100000; ++i) yaml += down;
            for (int i = 0; i < 100000; ++i) yaml += up;
            REQUIRE(errors(yaml).size() == 1);
        }
        const auto deep = errors("a: " + std::string(50, '[') + std::string(50, ']'));
        CHECK(deep == Lines{"rotagate.yaml:1:35: nested deeper than 32 levels"});
    }
    GIVEN("aliases that multiply") {
        std::string yaml = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
        for (int i = 1; i < 10; ++i) {
            const std::string before = "*a" + std::to_string(i - 1);
            yaml += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [" + before;
            for (int copy = 0; copy < 9; ++copy) yaml += ", " + before;
            yaml += "]\n";
        }
        CHECK(errors(yaml) ==
              Lines{"rotagate.yaml:4:45: the aliases stand for more than 10000 values; write them out"});
    }
    GIVEN("an alias to itself") {
        CHECK(errors("a: &a [*a]\n") == Lines{"rotagate.yaml:1:8: an alias inside of what it stands for has no end"});
    }
    GIVEN("more than a mebibyte") {
        CHECK(errors(base + "#" + std::string(1 << 20, 'x')) ==
              Lines{"rotagate.yaml:1:1: the file is larger than 1 MiB"});
    }
    GIVEN("more mistakes than anyone reads") {
        std::string yaml = base;
        for (int i = 0; i < 20000; ++i) yaml += "k" + std::to_string(i) + ": 1\n";
        CHECK(errors(yaml).size() == 1000);
    }
}

SCENARIO("an alias stands for its value, a merge key for nothing", "[config][reader]") {
    const auto loaded = load(base + "limits: { header_timeout: &t 5s, idle_timeout: *t }\n");
    CHECK(texts(loaded.errors).empty());
    CHECK(loaded.config.limits.idle_timeout == 5s);
    CHECK(errors(base + "limits: &l { connections: 5 }\nlog: { <<: *l }\n") ==
          Lines{"rotagate.yaml:6:8: log.<<: is not a known key; known here are access, format, level and security"});
}
