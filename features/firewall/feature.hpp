#pragma once
#include "features/feature.hpp"

namespace weir::firewall {

extern const features::Feature feature;

}  // namespace weir::firewall
