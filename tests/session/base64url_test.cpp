#include "session/base64url.hpp"

#include <array>
#include <vector>

#include <catch2/catch.hpp>

using namespace rotagate::session;

namespace {

std::string encoded(std::string_view bytes) {
    std::string text;
    append_base64url(text, {reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
    return text;
}

std::optional<std::string> decoded(std::string_view text) {
    std::array<std::uint8_t, 64> bytes;
    const auto size = from_base64url(text, bytes);
    if (!size) return std::nullopt;
    return std::string{reinterpret_cast<const char*>(bytes.data()), *size};
}

}  // namespace

SCENARIO("base64url is that of RFC 4648, without padding", "[base64url]") {
    const std::vector<std::pair<std::string, std::string>> vectors = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xFB\xFF\xBE", "-_--"}};
    for (const auto& [bytes, text] : vectors) {
        CHECK(encoded(bytes) == text);
        CHECK(decoded(text) == bytes);
        CHECK(base64url_size(bytes.size()) == text.size());
    }
}

SCENARIO("only the canonical text decodes", "[base64url]") {
    for (const char* text :
         {"Zg==", "Zm8=", "Zh", "Zm9", "Zm9vY", "Z", "Zm9v ", " Zm9v", "Zm\n9v", "Zm+v", "Zm/v", "Zm9v\x80"}) {
        CHECK_FALSE(decoded(text));
    }
}

SCENARIO("what does not fit is refused", "[base64url]") {
    std::array<std::uint8_t, 2> small;
    CHECK_FALSE(from_base64url("Zm9v", small));
    CHECK(from_base64url("Zm8", small) == 2U);
}
