#pragma once

#include <string_view>

/// The demo app's public files under /static/: no session is looked at for them, so browsers may cache them.
namespace rotagate::demo {

extern const std::string_view stylesheet;       ///< /static/demo.css
extern const std::string_view parallel_script;  ///< /static/parallel.js
extern const std::string_view icon;             ///< /static/icon.svg

}  // namespace rotagate::demo
