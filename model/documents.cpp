#include "model/documents.hpp"

#include <set>
#include <utility>

#include "base/closest.hpp"

namespace weir::model {

namespace {

void refuse(Errors& errors, const Value& at, std::string message, std::string object = {},
            std::string field = {}) {
    Sink sink{errors, std::move(object)};
    sink.fail(Path{}.field(field), std::move(message), &at);
}

void add_document(const Value& written, std::vector<Document>& out, Errors& errors) {
    const Value& kind = written["kind"];
    const std::string object = detail::object_of(
        kind.is_text() ? std::string_view(kind.as_text()) : std::string_view("?"), written);
    if (!written.is_object())
        return refuse(errors, written,
                      "expected a resource, found " + std::string(written.type_name()));
    if (!kind.is_text()) return refuse(errors, written, "is missing", object, "kind");
    Document document{kind.as_text(), Value::object()};
    document.fields.line = written.line;
    for (const auto& member : written.members()) {
        if (member.key != "kind") {
            document.fields.edit_members().push_back(member);
        } else if (&member.value != &kind) {
            refuse(errors, member.value, "is written twice", object, "kind");
        }
    }
    out.push_back(std::move(document));
}

}  // namespace

void split_documents(const Value& written, std::vector<Document>& out, Errors& errors) {
    if (written.is_null()) return;
    const Value* list = written.is_array() ? &written : written.find("resources");
    if (!list || written.find("kind")) return add_document(written, out, errors);
    if (list != &written && written.size() != 1)
        return refuse(errors, written, "nothing may stand beside it", {}, "resources");
    if (!list->is_array() && !list->is_null())
        return refuse(errors, *list, "expected a list, found " + std::string(list->type_name()), {},
                      "resources");
    if (list->size() + out.size() > max_resources) {
        errors.add(
            {Errc::limit, {}, {}, "more than " + std::to_string(max_resources) + " resources"});
        return;
    }
    for (const Value& item : list->items()) add_document(item, out, errors);
}

void put_documents(const Registry& registry, const std::vector<Document>& documents, Snapshot& into,
                   Errors& errors) {
    std::set<std::pair<std::string_view, std::string_view>> seen;
    for (const Document& document : documents) {
        const Kind* kind = registry.kind(document.kind);
        const std::string object = detail::object_of(document.kind, document.fields);
        if (!kind) {
            refuse(errors, document.fields,
                   in_quotes(document.kind) + " is no kind of resource" +
                       did_you_mean(document.kind, registry.kind_names()),
                   object, "kind");
            continue;
        }
        const Value& name = document.fields["name"];
        if (name.is_text() && !seen.emplace(document.kind, name.as_text()).second) {
            refuse(errors, document.fields, "is written twice", object);
            continue;
        }
        kind->put(into, document.fields, errors);
    }
}

std::vector<Document> documents_of(const Registry& registry, const Snapshot& snapshot) {
    std::vector<Document> out;
    for (const Kind* kind : registry.kinds())
        for (const std::string& name : kind->names(snapshot))
            out.push_back({std::string(kind->name()), kind->encode(snapshot, name)});
    return out;
}

Value written(const Document& document) {
    Value out = Value::object();
    out.edit_members().push_back({"kind", Value(document.kind)});
    for (const auto& member : document.fields.members()) out.edit_members().push_back(member);
    return out;
}

}  // namespace weir::model
