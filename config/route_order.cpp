#include "config/route_order.hpp"

#include <algorithm>
#include <string>
#include <unordered_map>

namespace rotagate::config {
namespace {

/// A match as one text, so that the matches that would cover it can be looked up: a file may have thousands of routes.
std::string spelled(std::string_view host, std::string_view path, const std::vector<std::string>& methods) {
    std::string text(host);
    text.append(" ").append(path);
    for (const std::string& method : methods) text.append(" ").append(method);
    return text;
}

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

class Earlier {
public:
    /// The first route that takes all that `match` would; none: -1.
    int covering(const Match& match, const std::vector<std::string>& methods) const {
        int first = -1;
        for (const std::string_view path : covering_paths(match.path))
            for (const std::string& host : {std::string(), match.host})
                for (const auto& taken : {std::vector<std::string>(), methods}) {
                    const auto found = routes_.find(spelled(host, path, taken));
                    if (found != routes_.end() && (first < 0 || found->second < first)) first = found->second;
                }
        return first;
    }
    /// @return the route that has the same match; `index` itself where there was none
    int add(const Match& match, const std::vector<std::string>& methods, int index) {
        return routes_.try_emplace(spelled(match.host, match.path, methods), index).first->second;
    }

private:
    std::unordered_map<std::string, int> routes_;
};

}  // namespace

void check_order(const std::vector<Route>& routes, std::vector<Reader>& readers) {
    Earlier earlier;
    for (std::size_t i = 0; i < routes.size(); ++i) {
        const Match& match = routes[i].match;
        if (match.path.empty()) continue;  // reported already
        const auto methods = in_order(match.methods);
        const int index = static_cast<int>(i);
        const int cover = earlier.covering(match, methods);
        const int same = earlier.add(match, methods, index);
        const auto named = [&](int route) {
            return "routes[" + std::to_string(route) + "] on line " +
                   std::to_string(readers[static_cast<std::size_t>(route)].position().line);
        };
        if (same != index)
            readers[i].error("match", "can never match: " + named(same) + " has the same match; remove one");
        else if (cover >= 0)
            readers[i].warning("match", "never matches: " + named(cover) + " takes all of its requests; move it up");
    }
}

}  // namespace rotagate::config
