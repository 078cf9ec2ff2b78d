#include "session/redis/scripts.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

#include <fmt/format.h>
#include <openssl/evp.h>

#include "session/redis/command.hpp"
#include "session/redis/script_blocks.hpp"

namespace rotagate::session::redis {
namespace {

using namespace lua;
using namespace std::string_view_literals;

/// Puts the blocks in their places.
std::string filled_in(std::string_view script) {
    std::string text(script);
    for (const auto& [place, block] :
         {std::pair{"<rotate>"sv, rotate}, std::pair{"<renew>"sv, renew}, std::pair{"<rewrite_state>"sv, rewrite_state},
          std::pair{"<write_state>"sv, write_state}, std::pair{"<read_stored>"sv, read_stored}})
        for (auto at = text.find(place); at != std::string::npos; at = text.find(place))
            text.replace(at, place.size(), block);
    return text;
}

/// The settings as Lua: what does not change needs not be sent with every call.
std::string constants(const config::Session& settings) {
    // A renewal is spared while it would move the expiry by less than 2 s, or than a tenth of a short lifetime.
    const auto step = [](config::Duration lifetime) { return std::min<std::int64_t>(2000, lifetime.count() / 10); };
    return fmt::format(
        "local GRACE, IDLE, PERMANENT, ABSOLUTE, REPORT = {}, {}, {}, {}, {}\nlocal IDLE_STEP, PERMANENT_STEP = {}, "
        "{}\n",
        settings.rotation.grace.count(), settings.idle_timeout.count(), settings.permanent_timeout.count(),
        settings.absolute_timeout.count(), settings.on_replay == config::OnReplay::report ? "true" : "false",
        step(settings.idle_timeout), step(settings.permanent_timeout));
}

std::string sha1(std::string_view text) {
    std::array<unsigned char, 20> digest{};
    if (EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha1(), nullptr) != 1)
        throw std::runtime_error("no SHA-1, by which Redis names its scripts");
    std::string hex;
    for (const unsigned char byte : digest) hex += fmt::format("{:02x}", byte);
    return hex;
}

}  // namespace

Script::Script(std::string its_text)
    : text(std::move(its_text)),
      sha(sha1(text)),
      load(command({"SCRIPT", "LOAD", text})),
      name("$7\r\nEVALSHA\r\n$40\r\n" + sha + "\r\n") {}

void Script::append_call(std::string& wire, std::initializer_list<std::string_view> keys,
                         std::initializer_list<std::string_view> arguments) const {
    append_number(wire, '*', 3 + keys.size() + arguments.size());
    wire += name;
    append_text(wire, std::to_string(keys.size()));
    for (const std::string_view key : keys) append_text(wire, key);
    for (const std::string_view argument : arguments) append_text(wire, argument);
}

void Script::append_session_call(std::string& wire, std::string_view id,
                                 std::initializer_list<std::string_view> arguments) const {
    append_number(wire, '*', 4 + arguments.size());
    wire.append(name).append("$1\r\n1\r\n");
    append_number(wire, '$', 2 + id.size());
    wire.append("s:").append(id).append("\r\n");
    for (const std::string_view argument : arguments) append_text(wire, argument);
}

Scripts::Scripts(const config::Session& settings, std::string_view clock)
    : Scripts(constants(settings).append(clock).append(declare_state),
              std::string("local stored = redis.call('HGET', KEYS[1], 'state')\n").append(if_stored),
              filled_in(fmt::format("{}{}", unlist_function, prune_function))) {}

Scripts::Scripts(const std::string& head, const std::string& stored, const std::string& index)
    : present(filled_in(head + "local data\n" + stored + std::string(present_body))),
      present_with_data(
          filled_in(fmt::format("{}local stored, data = unpack(redis.call('HMGET', KEYS[1], 'state', 'data'))\n{}{}",
                                head, if_stored, present_body))),
      issue(filled_in(fmt::format("{}{}{}", head, stored, issue_body))),
      touch(filled_in(fmt::format("{}{}{}", head, stored, touch_body))),
      replace_data(filled_in(fmt::format("{}{}{}", head, stored, replace_data_body))),
      start(filled_in(fmt::format("{}{}{}", head, unlist_function, start_body))),
      end(filled_in(fmt::format("{}{}{}", head, unlist_function, end_body))),
      prune(fmt::format("{}{}{}", head, index, prune_body)),
      list(fmt::format("{}{}{}", head, index, list_body)),
      end_range(fmt::format("{}{}{}", head, index, end_range_body)) {}

std::vector<std::string_view> Scripts::texts() const {
    std::vector<std::string_view> texts;
    for (const Script* script :
         {&present, &present_with_data, &issue, &touch, &replace_data, &start, &end, &prune, &list, &end_range})
        texts.push_back(script->text);
    return texts;
}

}  // namespace rotagate::session::redis
