#pragma once

#include <string>

/// What of a command line can be refused before anything runs. Each returns what is wrong with a text, and the cure;
/// empty: nothing.
namespace rotagate::bench {

/// A path of the site; placeholders may be in it.
std::string path_mistake(const std::string& text);
/// A file that will be written once all is over. Leaves none behind: the run may yet fail.
std::string output_mistake(const std::string& file);

}  // namespace rotagate::bench
