#include "features/chain/feature.hpp"

#include "features/chain/planned.hpp"
#include "features/chain/resources.hpp"
#include "model/registry.hpp"

namespace weir::chain {

const features::Feature feature{"chain", add_kinds, validate, plan};

void add_kinds(model::Registry& registry) {
    registry.add<Service>();
    registry.add<ServiceProfile>();
    registry.add<ServiceNode>();
    registry.add<ServiceChain>();
    registry.add<ServiceRule>();
    registry.add<ServiceExclusion>();
    registry.add<ServicePath>();
    registry.add<ServiceNodeStatus>();
}

}  // namespace weir::chain
