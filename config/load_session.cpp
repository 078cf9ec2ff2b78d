#include <algorithm>
#include <filesystem>
#include <set>

#include "config/http_forms.hpp"
#include "config/sections.hpp"
#include "config/store_url.hpp"
#include "config/units.hpp"

namespace rotagate::config {
namespace {

constexpr std::string_view lmdb = "lmdb:";

/// What `store` says, taken apart.
struct Store {
    std::string text;
    std::optional<Redis> redis;
};

/// "lmdb:" and a folder, which comes out absolute.
Parsed<Store> store_on_disk(std::string_view text, const Files& files) {
    const auto folder = std::filesystem::absolute(files.folder / text.substr(lmdb.size())).lexically_normal();
    std::error_code ignored;
    if (files.check && std::filesystem::exists(folder, ignored) && !std::filesystem::is_directory(folder, ignored))
        return Refusal{"names a file; write the name of a folder, which may be a new one"};
    return Store{std::string(lmdb) + folder.string(), std::nullopt};
}

Parsed<Store> store(std::string_view text, const Files& files) {
    if (text == "memory") return Store{std::string(text), std::nullopt};
    if (text.starts_with(lmdb) && text.size() > lmdb.size()) return store_on_disk(text, files);
    if (is_redis_url(text)) {
        auto redis = redis_url(text);
        if (const auto* refusal = std::get_if<Refusal>(&redis)) return *refusal;
        return Store{without_credentials(text), std::get<Redis>(std::move(redis))};
    }
    return Refusal{
        "is not a store; write memory, lmdb:/PATH, redis://, rediss://, redis+unix://, "
        "redis+sentinel:// or redis+cluster://"};
}

/// The store, and what only one in Redis has.
void read_store(Reader& yaml, Session& session, const Files& files) {
    Store read{session.store, std::nullopt};
    yaml.read("store", read, [&](std::string_view text) { return store(text, files); });
    session.store = std::move(read.text);
    session.redis = std::move(read.redis);
    if (session.redis && !session.redis->password.empty() && files.open_to_all())
        yaml.warning("store", "has a password, and every user of this machine can get at this file; run chmod o= " +
                                  files.file.string());
    auto settings = yaml.map("redis");
    if (!settings) return;
    if (!session.redis) return yaml.error("redis", "belongs to a store in Redis; remove it, or write store: redis://…");
    Redis& redis = *session.redis;
    settings->read("replicas", redis.replicas, count(0, 16));
    if (std::string ca; settings->read("ca", ca, files.authorities())) redis.ca = ca;
    if (settings->has("ca") && !redis.tls)
        settings->warning("ca", "verifies TLS, but this store is spoken to in plain text; write store: rediss://…");
    settings->reject_unknown();
}

void check_key_files(Reader& yaml, const Cookie& cookie) {
    if (cookie.key_files.empty() && (!yaml.has("key_files") || yaml.is_empty("key_files")))
        yaml.warning("key_files",
                     "none: cookies are sealed with a random key, and all of them end with this process; "
                     "make a key by rotagate keygen --out FILE");
    std::set<std::filesystem::path> listed;
    for (const auto& file : cookie.key_files)
        if (!listed.insert(file).second)
            yaml.error("key_files", in_quotes(file.string()) + " is listed twice; keep one");
}

Cookie read_cookie(Reader yaml, const Files& files) {
    Cookie cookie;
    yaml.read("name", cookie.name, cookie_name);
    yaml.read("same_site", cookie.same_site,
              one_of<SameSite>({{"lax", SameSite::lax}, {"strict", SameSite::strict}, {"none", SameSite::none}}));
    yaml.read("domain", cookie.domain, cookie_domain);
    yaml.read_list("key_files", cookie.key_files, files.cookie_key());
    if (!cookie.domain.empty() && cookie.name.starts_with("__Host-"))
        yaml.error("domain",
                   "browsers refuse a domain on a __Host- cookie; remove it, or write name: __Secure-session");
    check_key_files(yaml, cookie);
    yaml.reject_unknown();
    return cookie;
}

Rotation read_rotation(Reader yaml) {
    Rotation rotation;
    yaml.read("grace", rotation.grace, between(100ms, 5min));
    yaml.read("strict", rotation.strict);
    yaml.reject_unknown();
    return rotation;
}

void check_lifetimes(Reader& yaml, const Session& session) {
    if (session.permanent_timeout < session.idle_timeout)
        yaml.error(yaml.has("permanent_timeout") ? "permanent_timeout" : "idle_timeout",
                   "permanent sessions (" + text_of(session.permanent_timeout) + ") would end before the others (" +
                       text_of(session.idle_timeout) + "); write permanent_timeout: " + text_of(session.idle_timeout) +
                       " or more");
    if (session.absolute_timeout != 0s && session.absolute_timeout < session.idle_timeout)
        yaml.warning("absolute_timeout", "sessions end after " + text_of(session.absolute_timeout) +
                                             " in any case, so that idle_timeout: " + text_of(session.idle_timeout) +
                                             " never ends one");
    if (session.idle_timeout <= 2 * session.rotation.grace)
        yaml.warning("idle_timeout", text_of(session.idle_timeout) + " is within twice the rotation's grace (" +
                                         text_of(session.rotation.grace) +
                                         "): sessions end before a stolen cookie can show");
}

}  // namespace

Session read_session(Reader yaml, const Files& files) {
    Session session;
    read_store(yaml, session, files);
    yaml.read("store_timeout", session.store_timeout, between(10ms, 60s));
    session.cookie = read_cookie(yaml.map_or_empty("cookie"), files);
    yaml.read("idle_timeout", session.idle_timeout, at_least(1s));
    yaml.read("permanent_timeout", session.permanent_timeout, at_least(1s));
    yaml.read("absolute_timeout", session.absolute_timeout, zero_or(at_least(1s)));
    yaml.read("max_sessions_per_user", session.max_sessions_per_user, count(0, 1000000));
    yaml.read(
        "on_replay", session.on_replay,
        one_of<OnReplay>(
            {{"end_session", OnReplay::end_session}, {"end_user", OnReplay::end_user}, {"report", OnReplay::report}}));
    if (auto rotation = yaml.map("rotation")) session.rotation = read_rotation(*rotation);
    check_lifetimes(yaml, session);
    yaml.reject_unknown();
    return session;
}

}  // namespace rotagate::config
