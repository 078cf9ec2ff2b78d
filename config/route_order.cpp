#include "config/route_order.hpp"

#include <algorithm>
#include <set>
#include <string>
#include <unordered_map>

namespace rotagate::config {
namespace {

std::vector<std::string> in_order(std::vector<std::string> methods) {
    std::sort(methods.begin(), methods.end());
    methods.erase(std::unique(methods.begin(), methods.end()), methods.end());
    return methods;
}

/// The path itself, and every prefix that ends in "/": what a match of it may say.
std::vector<std::string_view> covering_paths(std::string_view path) {
    std::vector<std::string_view> paths{path};
    for (auto slash = path.find('/'); slash < path.size() - 1; slash = path.find('/', slash + 1))
        paths.push_back(path.substr(0, slash + 1));
    return paths;
}

using Methods = std::vector<std::string>;

/// The routes so far. Looked up by host and path, since a file may have thousands.
class Earlier {
public:
    /// The first routes that together take all that `match` would; none: something is left for it.
    std::set<int> covering(const Match& match, const Methods& methods) const {
        std::set<int> cover;
        const int by_any = first_with(match, [](const Methods& taken) { return taken.empty(); });
        for (const std::string& method : methods) {
            const int by_method = first_with(match, [&](const Methods& taken) { return takes(taken, method); });
            if (by_method < 0) return {};
            cover.insert(by_method);
        }
        if (by_any >= 0 && (methods.empty() || by_any <= *cover.rbegin())) return {by_any};
        return cover;
    }
    /// @return the route that has the same match; `index` itself where there was none
    int add(const Match& match, const Methods& methods, int index) {
        auto& routes = routes_[place(match.host, match.path)];
        const auto same = std::ranges::find(routes, methods, &Taken::methods);
        if (same != routes.end()) return same->index;
        routes.push_back({methods, index});
        return index;
    }

private:
    struct Taken {
        Methods methods;
        int index;
    };

    static std::string place(std::string_view host, std::string_view path) {
        return std::string(host).append(" ").append(path);
    }
    static bool takes(const Methods& taken, const std::string& method) {
        return taken.empty() || std::ranges::find(taken, method) != taken.end() ||
               (method == "HEAD" && takes(taken, "GET"));
    }
    template <class Wanted>
    int first_with(const Match& match, Wanted wanted) const {
        int first = -1;
        for (const std::string_view path : covering_paths(match.path))
            for (const std::string& host : {std::string(), match.host}) {
                const auto routes = routes_.find(place(host, path));
                if (routes == routes_.end()) continue;
                for (const Taken& route : routes->second)
                    if (wanted(route.methods) && (first < 0 || route.index < first)) first = route.index;
            }
        return first;
    }

    std::unordered_map<std::string, std::vector<Taken>> routes_;
};

}  // namespace

void check_order(const std::vector<Route>& routes, std::vector<Reader>& readers) {
    Earlier earlier;
    for (std::size_t i = 0; i < routes.size(); ++i) {
        const Match& match = routes[i].match;
        if (match.path.empty()) continue;  // reported already
        const auto methods = in_order(match.methods);
        const int index = static_cast<int>(i);
        const std::set<int> cover = earlier.covering(match, methods);
        const int same = earlier.add(match, methods, index);
        const auto named = [&](int route) {
            return "routes[" + std::to_string(route) + "] on line " +
                   std::to_string(readers[static_cast<std::size_t>(route)].position().line);
        };
        const auto all_named = [&](const std::set<int>& found) {
            std::string text;
            for (const int route : found) text.append(text.empty() ? "" : " and ").append(named(route));
            return text.append(found.size() == 1 ? " takes" : " take");
        };
        if (same != index)
            readers[i].error("match", "can never match: " + named(same) + " has the same match; remove one");
        else if (!cover.empty())
            readers[i].warning("match", "never matches: " + all_named(cover) + " all of its requests; move it up");
    }
}

}  // namespace rotagate::config
