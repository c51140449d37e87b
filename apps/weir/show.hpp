#pragma once
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/value.hpp"

// What `weir show` can show of the hosts' service plane (spec service-plane §12.2), as a table of
// views. Rows are what engines answer (dataplane/queries.md).
namespace weir::command {

struct ViewColumn {
    enum class Kind : std::uint8_t {
        key,   // tells rows apart
        sum,   // workers of one host have a part each
        most,  // workers of one host saw it at different times
    };
    const char* header;
    const char* key;
    Kind kind = Kind::key;
};

struct View {
    std::string_view name;
    std::string_view what;    // the question
    std::string_view narrow;  // what NAME is: a key of the rows, or "port"
    std::string_view help;
    std::vector<ViewColumn> columns;
    bool is_asked = false;  // NAME is a part of the question: hosts show more of it
};

const std::vector<View>& views();
std::string view_names();  // "rules, chains, …"
std::string view_help();   // a line for each
const View* find_view(std::string_view name);

// The rows of one host, with its name in front: those of several workers that mean the same are
// one, with their counts added.
std::vector<model::Value> joined_rows(const View& view, const std::string& host,
                                      const model::Value& rows);

}  // namespace weir::command
