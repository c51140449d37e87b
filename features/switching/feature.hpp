#pragma once
#include "features/feature.hpp"

namespace weir::switching {

extern const features::Feature feature;

}  // namespace weir::switching
