#include "model/errors.hpp"

namespace weir::model {

std::string Path::text() const {
    std::string out = up ? up->text() : std::string();
    if (index != no_index) return out + "[" + std::to_string(index) + "]";
    if (name.empty()) return out;
    return out.empty() ? std::string(name) : out + "." + std::string(name);
}

}  // namespace weir::model
