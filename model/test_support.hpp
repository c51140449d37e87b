#pragma once
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "model/core_resources.hpp"
#include "model/errors.hpp"
#include "model/json.hpp"
#include "model/registry.hpp"
#include "model/validate.hpp"
#include "model/yaml.hpp"

namespace weir::model {

inline const Registry& core() {
    static const Registry registry = [] {
        Registry made;
        add_core_kinds(made);
        return made;
    }();
    return registry;
}

inline Value json(std::string_view text) {
    auto value = parse_json(text);
    EXPECT_TRUE(value.ok()) << (value.ok() ? "" : value.error().text());
    return value.ok() ? *std::move(value) : Value();
}

inline std::vector<std::string> texts(const Errors& errors) {
    std::vector<std::string> out;
    for (const Error& error : errors.list()) out.push_back(error.text());
    return out;
}

// What is wrong with these resources, each on its own and then together.
inline std::vector<std::string> problems(std::string_view yaml, Snapshot* into = nullptr) {
    Errors errors;
    Snapshot snapshot;
    put_documents(core(), parse_documents(yaml, errors), snapshot, errors);
    if (errors.empty()) errors = validate(core(), snapshot);
    if (into) *into = snapshot;
    return texts(errors);
}

}  // namespace weir::model
