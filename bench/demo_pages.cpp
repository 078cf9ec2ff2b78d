#include "bench/demo_pages.hpp"

#include <algorithm>

#include <boost/json.hpp>

#include "bench/demo_assets.hpp"

namespace rotagate::demo {

namespace json = boost::json;

namespace {

constexpr std::size_t max_name = 256;  // bytes, of a user or an organization

std::string signed_in_text(const Visitor& visitor) {
    std::string who = escape_html(visitor.user);
    if (!visitor.org.empty()) who += " of " + escape_html(visitor.org);
    return who;
}

/// Pages show what belongs to one user, so none of them may be kept by a cache.
Reply page(const Visitor& visitor, std::string_view title, std::string_view content) {
    std::string html = R"(<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="/static/icon.svg">
<link rel="stylesheet" href="/static/demo.css">
<title>)";
    html.append(title).append(
        " · rotagate demo</title>\n</head>\n<body>\n<header><b><img src=\"/static/icon.svg\" alt=\"\">");
    html.append("rotagate demo</b>\n<nav><a href=\"/\">Home</a> <a href=\"/account\">Account</a> ");
    html.append("<a href=\"/parallel\">Parallel</a></nav>\n");
    html.append(visitor.signed_in() ? "<span class=\"who\">" + signed_in_text(visitor) + "</span>"
                                    : R"(<a href="/login">Log in</a>)");
    html.append("</header>\n<main>\n").append(content);
    html.append("</main>\n<footer>This app keeps no login of its own: it believes the gateway's headers.</footer>\n");
    html.append("</body>\n</html>\n");
    return {200, "text/html; charset=utf-8", {{"Cache-Control", "no-store"}}, std::move(html)};
}

Reply message(unsigned status, const Visitor& visitor, std::string_view title, std::string_view text) {
    std::string content = "<section class=\"card\"><h1>";
    content.append(title).append("</h1>\n<p>").append(text).append("</p></section>\n");
    Reply reply = page(visitor, title, content);
    reply.status = status;
    return reply;
}

Reply see_other(std::string location) {
    return {303, "text/plain", {{"Location", std::move(location)}, {"Cache-Control", "no-store"}}, ""};
}

Reply home(const Visitor& visitor) {
    std::string content = R"(<section class="card"><h1>An old app behind a gateway</h1>
<p>This small app stands for one that was never good at logins. It has no session code and no cookies. The gateway in
front of it, rotagate, keeps the session, changes its cookie with every answer, and tells the app in the header
<code>X-User-Id</code> who is there.</p>
)";
    content += visitor.signed_in() ? R"(<p class="buttons"><a class="button" href="/account">Your account</a>)"
                                     R"( <a class="button plain" href="/parallel">Load 30 things at once</a></p>)"
                                   : R"(<p class="buttons"><a class="button" href="/login">Log in</a>)"
                                     R"( <a class="button plain" href="/account">Try the account page first</a></p>)";
    content += R"(</section>
<section class="card"><h2>What to try</h2>
<p>Open <a href="/account">your account</a> and reload it: with every request that it counts, the cookie has changed.</p>
<p>Open <a href="/parallel">thirty things in parallel</a>: the cookie changes under the browser's hands, and nobody is
logged out.</p>
<p>Copy the cookie from the developer tools, go on in this browser for a minute, then use the copy elsewhere: the
copy is refused, and the session ends.</p></section>
)";
    return page(visitor, "Home", content);
}

Reply login_form(const Visitor& visitor, std::string_view next, std::string_view user, std::string_view problem) {
    std::string content = "<section class=\"card\"><h1>Log in</h1>\n";
    if (!problem.empty()) content.append("<p class=\"notice bad\">").append(problem).append("</p>\n");
    if (visitor.signed_in())
        content += "<p class=\"notice\">You are signed in as " + signed_in_text(visitor) +
                   ". Logging in again starts a new session in place of this one.</p>\n";
    content.append(R"(<form method="post" action="/login"><input type="hidden" name="next" value=")");
    content.append(escape_html(next)).append(R"(">
<label>User <input type="text" name="user" value=")");
    content.append(escape_html(user))
        .append(R"(" autocomplete="username" autocapitalize="none" required autofocus></label>
<label>Organization <small>(optional)</small> <input type="text" name="org" autocomplete="organization"></label>
<label>Password <small>(not checked here)</small>
<input type="password" name="password" autocomplete="current-password"></label>
<label class="check"><input type="checkbox" name="permanent" value="true"> Keep me signed in</label>
<button>Log in</button></form></section>
)");
    return page(visitor, "Log in", content);
}

bool is_name(std::string_view name) {
    return name.size() <= max_name && std::none_of(name.begin(), name.end(), [](char c) {
               return static_cast<unsigned char>(c) < 0x20 || c == 0x7f;
           });
}

std::string field(const Params& form, std::string_view name) {
    const auto found = form.find(name);
    if (found == form.end()) return {};
    const auto first = found->second.find_first_not_of(' ');
    if (first == std::string::npos) return {};
    return found->second.substr(first, found->second.find_last_not_of(' ') - first + 1);
}

Reply parallel(const Visitor& visitor) {
    std::string content = R"(<section class="card"><h1>Thirty things in parallel</h1>
<p>Thirty pictures and thirty scripted requests, each answered after up to 300 ms, in no order. Every one of the answers
changes the session's cookie.</p>
<p class="notice" id="summary" data-user=")";
    content += escape_html(visitor.user) + "\" role=\"status\">Loading …</p>\n<div class=\"tiles\">\n";
    for (int number = 1; number <= 30; ++number) {
        const std::string n = std::to_string(number);
        content.append("<img src=\"/tile/").append(n).append("\" alt=\"tile ").append(n).append("\">\n");
    }
    content += "</div></section>\n<script src=\"/static/parallel.js\"></script>\n";
    return page(visitor, "Parallel", content);
}

/// The first `most` bytes of a text in UTF-8, or a few less: a character stays whole.
std::string_view beginning(std::string_view text, std::size_t most) {
    if (text.size() <= most) return text;
    while (most > 0 && (static_cast<unsigned char>(text[most]) & 0xc0U) == 0x80U) --most;
    return text.substr(0, most);
}

Reply tile(const Visitor& visitor, const Target& target) {
    const std::string number = target.path.substr(std::string_view("/tile/").size());
    if (target.text("format") == "json") {
        const json::object seen{{"tile", number}, {"user", visitor.user}};
        return {200, "application/json", {{"Cache-Control", "no-store"}}, json::serialize(seen)};
    }
    std::string svg = R"(<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 70">)";
    svg.append(R"(<rect width="120" height="70" rx="6" fill=")").append(visitor.signed_in() ? "#0b6b4f" : "#b3261e");
    svg.append(R"("/><g fill="#fff" font-family="system-ui, sans-serif" text-anchor="middle">)");
    svg.append(R"(<text x="60" y="36" font-size="24" font-weight="700">)").append(escape_html(number));
    svg.append(R"(</text><text x="60" y="55" font-size="12">)");
    svg.append(visitor.signed_in() ? escape_html(beginning(visitor.user, 16)) : "nobody").append("</text></g></svg>\n");
    return {200, "image/svg+xml", {{"Cache-Control", "no-store"}}, std::move(svg)};
}

std::optional<Reply> static_file(const Visitor& nobody, std::string_view path) {
    if (!path.starts_with("/static/")) return std::nullopt;
    const auto file = [](std::string type, std::string_view body) {
        return Reply{200, std::move(type), {{"Cache-Control", "public, max-age=300"}}, std::string(body)};
    };
    if (path == "/static/demo.css") return file("text/css", stylesheet);
    if (path == "/static/parallel.js") return file("text/javascript", parallel_script);
    if (path == "/static/icon.svg") return file("image/svg+xml", icon);
    return message(404, nobody, "Not found", "There is no such file.");
}

std::string user_key(const Visitor& visitor) {
    return std::to_string(visitor.org.size()) + ":" + visitor.org + "/" + visitor.user;
}

/// A form of another site cannot be sent in a visitor's name; clients that are not browsers send no Sec-Fetch-Site.
bool from_elsewhere(const Head& head) {
    const std::string_view site = header(head, "Sec-Fetch-Site");
    return !site.empty() && site != "same-origin" && site != "none";
}

}  // namespace

Visitor Visitor::from(const Head& head) {
    return {percent_decode(header(head, "X-User-Id")), percent_decode(header(head, "X-User-Org")),
            std::string(header(head, "X-Session-Data")), std::string(header(head, "X-Request-Id"))};
}

Reply Pages::answer(const Head& head, const Target& target, std::string_view body) {
    const std::string_view path = target.path;
    const bool is_post = head.method() == http::verb::post;
    const Visitor visitor = Visitor::from(head);
    if (visitor.signed_in())
        visitors_.record(user_key(visitor),
                         {visitor.request_id, std::string(head.method_string()) + " " + target.path});

    if (path == "/") return home(visitor);
    if (auto file = static_file(visitor, path)) return *file;
    if (path.starts_with("/tile/")) return tile(visitor, target);
    if (path == "/parallel") return parallel(visitor);
    if (path == "/account") return account(visitor);
    if (path == "/login" && !is_post) return login_form(visitor, target.text("next"), "", "");
    if (path == "/login" || path == "/logout") {
        if (!is_post) return message(405, visitor, "Not like this", "Logging out takes a click on the button.");
        if (from_elsewhere(head)) return message(403, visitor, "Refused", "This form was sent from another site.");
        const Params form = parse_form(body);
        return path == "/login" ? log_in(visitor, form) : log_out(visitor, form);
    }
    return message(404, visitor, "Not found", "There is no page at <code>" + escape_html(path) + "</code>.");
}

Reply Pages::account(const Visitor& visitor) {
    if (!visitor.signed_in())
        return message(200, visitor, "Nobody is signed in",
                       "The request came without <code>X-User-Id</code>: straight to the app, or by a route that does "
                       "not require a session.");

    // The browser cannot read its HttpOnly cookie; but every answer changes it, so to count requests is to count
    // cookies. They are counted by user: only here does the app learn anything that is of one session.
    const Visitors::Activity activity = visitors_.take(user_key(visitor));
    json::error_code error;
    const json::value parsed = json::parse(visitor.data, error);
    json::object data = !error && parsed.is_object() ? parsed.as_object() : json::object{};
    const json::value* counted = data.if_contains("requests");
    const std::uint64_t requests = (counted && counted->is_int64() ? counted->get_int64() : 0) + activity.requests;
    data["requests"] = requests;
    const std::string new_data = json::serialize(data);

    std::string content = "<section class=\"card\"><h1>Signed in as " + escape_html(visitor.user) + "</h1>\n<dl>";
    content +=
        "<dt>User</dt><dd id=\"user\">" + escape_html(visitor.user) + "</dd>\n<dt>Organization</dt><dd id=\"org\">";
    content += (visitor.org.empty() ? "none" : escape_html(visitor.org)) +
               "</dd>\n<dt>Session data</dt><dd><code id=\"data\">";
    content += escape_html(new_data) +
               "</code></dd></dl></section>\n<section class=\"card\"><p class=\"figure\" id=\"changes\">";
    content += std::to_string(requests) +
               "</p>\n<p>of your requests since you logged in, each answered with a new cookie. "
               "Those of other sessions of yours may be among them.</p>";
    content += R"(<div class="buttons"><a class="button" href="/account">Once more</a>
<a class="button plain" href="/parallel">Thirty at once</a>
<form method="post" action="/logout"><button class="plain">Log out</button></form>
<form method="post" action="/logout"><input type="hidden" name="everywhere" value="true">
<button class="plain">Log out everywhere</button></form></div></section>
<section class="card"><h2>Your latest requests</h2><ol class="visits">
)";
    for (const Visit& visit : activity.latest) {
        content += "<li><code>" + escape_html(visit.request) + "</code> <code>";
        content += (visit.request_id.empty() ? "no request id" : escape_html(visit.request_id)) + "</code></li>\n";
    }
    content += "</ol></section>\n";
    Reply reply = page(visitor, "Account", content);
    reply.headers.emplace_back("X-Session-Data", new_data);
    return reply;
}

Reply Pages::log_in(const Visitor& visitor, const Params& form) {
    const Visitor named{field(form, "user"), field(form, "org"), "", ""};
    if (named.user.empty() || !is_name(named.user) || !is_name(named.org)) {
        Reply reply =
            login_form(visitor, field(form, "next"), "", "A name has 1 to 256 bytes, and no control characters.");
        reply.status = 422;
        return reply;
    }
    visitors_.forget(user_key(named));
    Reply reply = see_other(safe_next(field(form, "next")));
    reply.headers.emplace_back("X-Session-User", named.user);
    if (!named.org.empty()) reply.headers.emplace_back("X-Session-Org", named.org);
    if (field(form, "permanent") == "true") reply.headers.emplace_back("X-Session-Permanent", "true");
    reply.headers.emplace_back("X-Session-Data", R"({"logins":1})");
    return reply;
}

Reply Pages::log_out(const Visitor& visitor, const Params& form) {
    if (visitor.signed_in()) visitors_.forget(user_key(visitor));
    Reply reply = see_other("/");
    reply.headers.emplace_back("X-Session-End", field(form, "everywhere") == "true" ? "user" : "session");
    return reply;
}

}  // namespace rotagate::demo
