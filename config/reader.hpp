#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "config/report.hpp"
#include "config/tree.hpp"

namespace rotagate::config {

/// Why a text is no value of some form: the rest of the sentence "'soon' ...", with the accepted range and the cure.
struct Refusal {
    std::string why;
};
/// What a form makes of a text. A form is any callable `Parsed<T> (std::string_view)`; see units.hpp and
/// http_forms.hpp.
template <class T>
using Parsed = std::variant<T, Refusal>;

/// Reads one YAML map: each key by its type, every mistake reported with the value's place and the key's full name,
/// such as "routes[2].match.path". Where a value is missing or wrong, what it was to be read into keeps its default.
class Reader {
public:
    /// @param map   outlives the reader
    /// @param name  of the map itself; empty for the file's own
    Reader(const TreeNode& map, std::string name, Report& report);

    bool has(std::string_view key);
    /// All keys, in the file's order, each once.
    const std::vector<std::string>& keys() const { return order_; }
    std::string name(std::string_view key) const;
    Position position() const { return at_; }
    Position position(std::string_view key) const;  ///< of the key's value; without the key: of the map
    bool is_empty(std::string_view key) const;      ///< whether the key's list or map has nothing in it

    /// @return whether the key was there and its value is good
    template <class T, class Form>
    bool read(std::string_view key, T& into, const Form& form) {
        const TreeNode* node = find(key);
        return node && take(*node, name(key), into, form);
    }
    bool read(std::string_view key, bool& into);  ///< true or false, nothing else

    /// The same, and a key that is not there is a mistake. @param cure  what to write, such as "address: 0.0.0.0:8443"
    template <class T, class Form>
    bool require(std::string_view key, T& into, const Form& form, std::string_view cure) {
        if (!find(key)) return missing(key, cure), false;
        return read(key, into, form);
    }

    /// A list of texts; a bad item is reported and left out.
    template <class T, class Form>
    void read_list(std::string_view key, std::vector<T>& into, const Form& form) {
        const TreeNode* list = find(key, TreeNode::Kind::list);
        if (!list) return;
        into.clear();
        for (std::size_t i = 0; i < list->children.size(); ++i)
            if (T item{}; take(list->children[i], name(key) + index(i), item, form)) into.push_back(std::move(item));
    }

    std::optional<Reader> map(std::string_view key);  ///< a key without a value is an empty map
    Reader map_or_empty(std::string_view key);        ///< the same, and so is a key that is not there
    std::vector<Reader> maps(std::string_view key);   ///< a list of maps

    void missing(std::string_view key, std::string_view cure);
    void error(std::string_view key, std::string_view message);    ///< at the key's value; without the key: at the map
    void warning(std::string_view key, std::string_view message);  ///< likewise
    void bad_key(std::string_view key, std::string_view message);  ///< at the key itself

    /// Reports every key that nobody has asked for.
    void reject_unknown();

private:
    const TreeNode* find(std::string_view key);
    const TreeNode* find(std::string_view key, TreeNode::Kind kind);
    Reader empty_at(Position at, std::string name) const;
    static std::string index(std::size_t i) { return "[" + std::to_string(i) + "]"; }

    bool is_text(const TreeNode& node, const std::string& name);
    void refuse(const TreeNode& node, const std::string& name, const std::string& why);

    template <class T, class Form>
    bool take(const TreeNode& node, const std::string& name, T& into, const Form& form) {
        if (!is_text(node, name)) return false;
        auto parsed = form(std::string_view(node.text));
        if (const auto* refusal = std::get_if<Refusal>(&parsed)) return refuse(node, name, refusal->why), false;
        into = std::get<0>(std::move(parsed));
        return true;
    }

    Position at_;
    std::string name_;
    Report* report_;
    std::map<std::string_view, const TreeNode*> values_;
    std::vector<std::string> order_;
    std::set<std::string, std::less<>> known_;
};

}  // namespace rotagate::config
