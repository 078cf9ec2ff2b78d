#pragma once

#include "config/load.hpp"

namespace rotagate::proxy {

/// Looks into certificates, keys and tokens as a start would, so that `check` refuses what `run` could not use.
config::Inspectors file_inspectors();

}  // namespace rotagate::proxy
