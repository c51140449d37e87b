#include "apps/controller/intent.hpp"

#include "base/closest.hpp"
#include "base/log.hpp"
#include "model/json.hpp"
#include "model/secret.hpp"
#include "model/validate.hpp"

namespace weir::controller {
namespace {

// Marks the kinds of what hosts reported, in the store.
constexpr std::string_view reported_prefix = "reported.";

void add_difference(const model::Registry& registry, const model::Snapshot& before,
                    const model::Snapshot& after, std::string_view prefix,
                    std::vector<cluster::StoredResource>& puts,
                    std::vector<model::ResourceKey>& deletes) {
    const model::Delta delta = model::diff(registry, before, after);
    for (const model::Document& document : delta.puts) {
        puts.push_back({std::string(prefix) + document.kind, document.fields["name"].as_text(),
                        model::dump_json(document.fields)});
    }
    for (const model::ResourceKey& key : delta.deletes) {
        deletes.push_back({std::string(prefix) + key.kind, key.name});
    }
}

void refuse_what_weir_makes(const model::Registry& registry, const model::ResourceKey& key,
                            model::Errors& errors) {
    const model::Kind* kind = registry.kind(key.kind);
    if (kind != nullptr && kind->is_made_by_weir())
        errors.add({Errc::invalid, key.text(), "kind", "is made by Weir: operators only read it"});
}

// What was shown as hidden and is written back means what is stored.
void fill_secrets(const model::Registry& registry, const model::Snapshot& stored,
                  model::Document& document) {
    const model::Kind* kind = registry.kind(document.kind);
    if (kind == nullptr) return;
    const model::Value before = kind->encode(stored, document.fields["name"].as_text());
    model::fill_secrets(kind->fields(), before, document.fields);
}

}  // namespace

Status Outcome::status() const {
    if (ok()) return {};
    if (errors.empty()) return Error{Errc::io, "store", {}, "did not take the change"};
    return errors.front();
}

Intent::Intent(const model::Registry& registry, std::unique_ptr<cluster::Store> store,
               Listener listener, Remember remember)
    : registry_(registry),
      store_(std::move(store)),
      listener_(std::move(listener)),
      remember_(std::move(remember)),
      current_(std::make_shared<State>()) {}

Result<std::unique_ptr<Intent>> Intent::open(const model::Registry& registry,
                                             std::unique_ptr<cluster::Store> store,
                                             Listener listener, Remember remember) {
    std::unique_ptr<Intent> intent(new Intent(registry, std::move(store), std::move(listener),
                                              std::move(remember)));
    if (auto status = intent->load(); !status) return status.error();
    intent->listener_(intent->current_);
    return intent;
}

Status Intent::load() {
    auto contents = store_->load();
    if (!contents) return contents.error();
    std::vector<model::Document> declared, reported;
    for (const cluster::StoredResource& stored : contents->resources) {
        auto fields = model::parse_json(stored.json, model::trusted_limits);
        if (!fields) {
            Error error = fields.error();
            error.object = stored.kind + "/" + stored.name;
            return error;
        }
        if (stored.kind.starts_with(reported_prefix)) {
            reported.push_back({stored.kind.substr(reported_prefix.size()), std::move(*fields)});
        } else {
            declared.push_back({stored.kind, std::move(*fields)});
        }
    }
    auto state = std::make_shared<State>();
    model::Errors errors, ignored;
    model::put_documents(registry_, declared, state->intent, errors);
    if (!errors.empty()) return errors.status();
    model::put_documents(registry_, reported, state->reported, ignored);
    // It was valid when it was stored. A newer program may be stricter; the network goes on.
    const model::Errors doubts = model::validate(registry_, state->intent);
    for (const Error& doubt : doubts.list()) {
        log::warn("intent.no_longer_valid", {{"why", doubt.text()}});
    }
    state->revision = state->intent.revision = contents->revision;
    current_ = std::move(state);
    return {};
}

std::shared_ptr<const State> Intent::current() const {
    const std::lock_guard lock(mutex_);
    return current_;
}

Outcome Intent::apply(const std::vector<model::Document>& documents, const ApplyOptions& options) {
    const auto edit = [&](model::Snapshot& candidate, model::Errors& errors) {
        std::vector<model::Document> whole = documents;
        for (model::Document& document : whole) fill_secrets(registry_, candidate, document);
        if (options.prune) candidate = model::Snapshot();
        for (const model::Document& document : documents)
            refuse_what_weir_makes(registry_, {document.kind, document.fields["name"].as_text()},
                                   errors);
        model::put_documents(registry_, whole, candidate, errors);
        return Outcome::Failure::invalid;
    };
    return change(edit, options);
}

Outcome Intent::erase(const model::ResourceKey& key, const ApplyOptions& options) {
    const auto edit = [&](model::Snapshot& candidate, model::Errors& errors) {
        refuse_what_weir_makes(registry_, key, errors);
        if (!errors.empty()) return Outcome::Failure::invalid;
        const model::Kind* kind = registry_.kind(key.kind);
        if (kind != nullptr && kind->erase(candidate, key.name)) return Outcome::Failure::invalid;
        std::string meant;
        if (kind != nullptr) meant = did_you_mean(key.name, kind->names(candidate));
        errors.add({Errc::not_found, key.text(), {}, "there is no such resource" + meant});
        return Outcome::Failure::missing;
    };
    return change(edit, options);
}

Outcome Intent::edit(const Rewrite& rewrite, const ApplyOptions& options) {
    const auto edit = [&](model::Snapshot& candidate, model::Errors& errors) {
        if (Status done = rewrite(candidate); !done) errors.add(done.error());
        return Outcome::Failure::invalid;
    };
    return change(edit, options);
}

Outcome Intent::change(const Edit& edit, const ApplyOptions& options) {
    const std::lock_guard one_at_a_time(change_mutex_);
    const auto before = current();
    State candidate = *before;
    model::Errors errors;
    const Outcome::Failure why = edit(candidate.intent, errors);
    if (errors.empty()) errors = model::validate(registry_, candidate.intent);
    Outcome outcome;
    outcome.revision = before->revision;
    if (!errors.empty()) {
        outcome.failure = why;
        outcome.errors = errors.list();
        outcome.errors_found = errors.found();
        return outcome;
    }
    outcome.changes = model::changes(registry_, before->intent, candidate.intent);
    if (outcome.changes.empty() || options.dry_run) return outcome;
    if (remember_) remember_(before->intent, candidate.intent, candidate.reported);
    if (auto status = commit(*before, std::move(candidate), options.note); !status) {
        outcome.failure = Outcome::Failure::store;
        outcome.errors = {status.error()};
        outcome.errors_found = 1;
        outcome.changes.clear();
        return outcome;
    }
    outcome.revision = current()->revision;
    return outcome;
}

Status Intent::report(const Report& report, const std::string& note) {
    const std::lock_guard one_at_a_time(change_mutex_);
    const auto before = current();
    State candidate = *before;
    if (!report(candidate.reported)) return {};
    return commit(*before, std::move(candidate), note);
}

Status Intent::commit(const State& before, State candidate, const std::string& note) {
    std::vector<cluster::StoredResource> puts;
    std::vector<model::ResourceKey> deletes;
    add_difference(registry_, before.intent, candidate.intent, "", puts, deletes);
    add_difference(registry_, before.reported, candidate.reported, reported_prefix, puts, deletes);
    const auto revision = store_->commit(before.revision, puts, deletes, note);
    if (!revision) return revision.error();
    candidate.revision = candidate.intent.revision = *revision;
    const auto now = std::make_shared<const State>(std::move(candidate));
    {
        const std::lock_guard lock(mutex_);
        current_ = now;
    }
    listener_(now);
    return {};
}

Result<std::vector<cluster::Commit>> Intent::history() {
    return store_->history();
}

}  // namespace weir::controller
