#include "api/openapi/reference.hpp"

#include <filesystem>
#include <fstream>
#include <limits>
#include <sstream>

#include "model/json.hpp"
#include "model/validate.hpp"
#include "model/yaml.hpp"

namespace weir::openapi {
namespace {

namespace fs = std::filesystem;
using model::FieldInfo;
using model::FieldType;

constexpr std::string_view mark = "<!-- Generated from the description in C++; do not edit. -->\n";

std::string code(std::string_view text) {
    return "`" + std::string(text) + "`";
}

// Text for a table cell.
std::string cell(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '|') out += '\\';
        out += c == '\n' ? ' ' : c;
    }
    return out;
}

std::string item_type(const FieldInfo& field) {
    switch (field.type) {
        case FieldType::boolean:
            return "`true` or `false`";
        case FieldType::integer:
            return "integer";
        case FieldType::text:
            return "text";
        case FieldType::notation:
            return std::string(field.notation) + (field.takes_numbers ? " or number" : "");
        case FieldType::labels:
            return "map of texts";
        case FieldType::structure:
            return "structure, see below";
        case FieldType::reference:
            return "name of a [" + std::string(field.target_kind) + "](" +
                   std::string(field.target_kind) + ".md)";
        case FieldType::choice:
            break;
    }
    std::string out;
    for (const std::string_view choice : field.choices)
        out += (out.empty() ? "" : ", ") + code(choice);
    return out;
}

std::string type_of(const FieldInfo& field) {
    return field.is_list ? "list: " + item_type(field) : item_type(field);
}

std::string range(std::string_view low, std::string_view high) {
    return std::string(low) + " – " + std::string(high);
}

// Bounds that say more than the type does.
std::string bounds_of(const FieldInfo& field) {
    std::string out;
    if (field.type == FieldType::integer)
        out = range(std::to_string(field.min),
                    field.min < 0 && field.max > std::numeric_limits<std::uint64_t>::max() / 2
                        ? std::to_string(static_cast<std::int64_t>(field.max))
                        : std::to_string(field.max));
    if (field.type == FieldType::text && !field.is_key)
        out = (field.min > 0 ? range(std::to_string(field.min), std::to_string(field.max))
                             : "at most " + std::to_string(field.max)) +
              " bytes";
    if (field.is_key) out = "at most 63 bytes: `a-z 0-9 - .`";
    if (field.is_list || field.type == FieldType::labels) {
        const std::string count =
            field.min_count > 0
                ? range(std::to_string(field.min_count), std::to_string(field.max_count))
                : "at most " + std::to_string(field.max_count);
        out += (out.empty() ? "" : "; ") + count + " entries";
    }
    return out;
}

std::string default_of(const FieldInfo& field) {
    if (field.is_required) return "required";
    return field.fallback.is_null() ? "" : code(model::dump_json(field.fallback));
}

std::string help_of(const FieldInfo& field) {
    std::string out = cell(field.help);
    if (!field.unit.empty()) out += " Unit: " + std::string(field.unit) + ".";
    return out;
}

void add_table(std::string& out, const std::vector<FieldInfo>& fields) {
    out += "| field | type | default | bounds | meaning |\n|---|---|---|---|---|\n";
    for (const FieldInfo& field : fields)
        out += "| " + code(field.name) + " | " + cell(type_of(field)) + " | " +
               cell(default_of(field)) + " | " + cell(bounds_of(field)) + " | " + help_of(field) +
               " |\n";
}

void add_structures(std::string& out, const std::vector<FieldInfo>& fields,
                    const std::string& prefix) {
    for (const FieldInfo& field : fields) {
        if (field.fields.empty()) continue;
        const std::string path = prefix + std::string(field.name);
        out += "\n## " + path + "\n\n";
        add_table(out, field.fields);
        add_structures(out, field.fields, path + ".");
    }
}

std::string index_page(const model::Registry& registry) {
    std::string out = std::string(mark) + "\n# Reference\n\nEverything that can be configured.\n\n";
    out +=
        "Names of fields, types, bounds and defaults are the same in YAML (`weir apply`), in JSON "
        "(`/v1/…`,\ndescribed by `/v1/openapi.json`) and in what `weir get -o yaml` prints. A "
        "field without default is empty unless\nwritten. What Weir makes itself can only be "
        "read.\n\n";
    out += "| kind | what it is |\n|---|---|\n";
    for (const model::Kind* kind : registry.kinds()) {
        const std::string name(kind->name());
        out += "| [" + name + "](" + name + ".md) | " + cell(kind->summary()) + " |\n";
    }
    return out;
}

Result<std::string> read_file(const fs::path& path) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream content;
    content << file.rdbuf();
    if (!file) return Error{Errc::io, path.string(), {}, "cannot be read"};
    return content.str();
}

// Markdown files there that would not be generated, but were once.
std::vector<fs::path> leftovers(const std::map<std::string, std::string>& pages,
                                const std::string& folder) {
    std::vector<fs::path> out;
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(folder, error)) {
        const fs::path& path = entry.path();
        if (path.extension() != ".md" || pages.contains(path.filename().string())) continue;
        const auto content = read_file(path);
        if (content.ok() && content->starts_with(mark)) out.push_back(path);
    }
    return out;
}

// Where a reader meets resources of the kind.
std::string where_it_is(const model::Kind& kind) {
    const std::string name(kind.name());
    if (!kind.shown_by().empty())
        return "`" + std::string(kind.shown_by()) +
               "` shows them. No store holds them, so `weir get " + name +
               "` lists none and none can be written.";
    const std::string both = "`weir get " + name + "`, `/v1/" + name + "/{name}`; ";
    return both +
           (kind.is_made_by_weir() ? "it can only be read." : "in YAML `kind: " + name + "`.");
}

}  // namespace

Result<Examples> read_examples(const model::Registry& registry,
                               const std::vector<std::string>& files) {
    std::vector<model::Document> documents;
    model::Errors errors;
    for (const std::string& file : files) {
        const auto text = read_file(file);
        if (!text.ok()) return text.error();
        for (model::Document& one : model::parse_documents(*text, errors))
            documents.push_back(std::move(one));
    }
    model::Snapshot whole;
    model::put_documents(registry, documents, whole, errors);
    if (errors.empty()) errors = model::validate(registry, whole);
    if (!errors.empty()) return errors.list().front();
    Examples out;
    for (const model::Document& one : documents)
        out.emplace(one.kind, model::dump_yaml(model::written(one)));
    return out;
}

std::string reference_page(const model::Kind& kind, const Examples& examples) {
    const std::string name(kind.name());
    std::string out = std::string(mark) + "\n# " + name + "\n\n" + std::string(kind.summary()) +
                      "\n\n" + where_it_is(kind) + "\n\n";
    add_table(out, kind.fields());
    add_structures(out, kind.fields(), "");
    if (const auto found = examples.find(name); found != examples.end())
        out += "\n## Example\n\n```yaml\n" + found->second + "```\n";
    return out;
}

std::map<std::string, std::string> reference_pages(const model::Registry& registry,
                                                   const Examples& examples) {
    std::map<std::string, std::string> pages{{"README.md", index_page(registry)}};
    for (const model::Kind* kind : registry.kinds())
        pages.emplace(std::string(kind->name()) + ".md", reference_page(*kind, examples));
    return pages;
}

Status write_reference(const std::map<std::string, std::string>& pages, const std::string& folder) {
    std::error_code error;
    fs::create_directories(folder, error);
    for (const auto& [name, content] : pages) {
        const fs::path path = fs::path(folder) / name;
        std::ofstream file(path, std::ios::binary | std::ios::trunc);
        file << content << std::flush;
        if (!file) return Error{Errc::io, path.string(), {}, "cannot be written"};
    }
    for (const fs::path& path : leftovers(pages, folder))
        if (!fs::remove(path, error))
            return Error{Errc::io, path.string(), {}, "cannot be removed"};
    return {};
}

std::vector<std::string> reference_drift(const std::map<std::string, std::string>& pages,
                                         const std::string& folder) {
    std::vector<std::string> out;
    for (const auto& [name, content] : pages) {
        const auto found = read_file(fs::path(folder) / name);
        if (!found.ok()) out.push_back(name + " is missing");
        if (found.ok() && *found != content) out.push_back(name + " is out of date");
    }
    for (const fs::path& path : leftovers(pages, folder))
        out.push_back(path.filename().string() + " describes no kind");
    return out;
}

}  // namespace weir::openapi
