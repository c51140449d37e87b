#pragma once
#include <memory>

#include "dataplane/stage.hpp"

namespace weir::dataplane {

// Tables of a stage that compiles nothing of its own (it reads the topology).
struct NoTables {
    static Result<std::shared_ptr<const NoTables>> compile(
        const std::shared_ptr<const NoTables>& previous) {
        if (previous) return std::shared_ptr<const NoTables>(previous);
        return std::shared_ptr<const NoTables>(std::make_shared<NoTables>());
    }
};
struct NoState {};

}  // namespace weir::dataplane
