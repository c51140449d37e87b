#include "apps/weir/session.hpp"

#include <cstdio>
#include <fstream>
#include <iterator>

#include "model/json.hpp"
#include "model/yaml.hpp"

namespace weir::command {

namespace {

rest::ClientOptions client_options(const Options& options) {
    auto target = rest::Target::parse(options.server);
    if (!target) throw Failure{2, {target.error()}};
    rest::ClientOptions out;
    out.target = *target;
    out.token = options.token;
    out.timeout = rest::Milliseconds(30'000);
    if (!options.authority.empty()) {
        std::ifstream in(options.authority);
        out.credentials.ca.assign(std::istreambuf_iterator<char>(in), {});
        if (out.credentials.ca.empty())
            throw Failure{2, {{Errc::io, options.authority, "", "cannot be read, or is empty"}}};
    }
    return out;
}

}  // namespace

Session::Session(Options options)
    : options_(std::move(options)), client_(client_options(options_)) {}

model::Value Session::get(const std::string& path) const {
    return send("GET", path);
}

model::Value Session::send(std::string_view method, const std::string& path, std::string body,
                           std::string_view content_type) const {
    const auto response = client_.request(method, path, std::move(body), content_type);
    if (!response) {
        Error error = response.error();
        error.message +=
            "\n  is the controller running? say where it is with --server or WEIR_SERVER (now: " +
            options_.server + ")";
        throw Failure{3, {error}};
    }
    if (auto errors = rest::errors_in(*response); !errors.empty())
        throw Failure{1, std::move(errors)};
    auto value = model::parse_json(response->body, model::trusted_limits);
    if (!value)
        throw Failure{1,
                      {{Errc::internal, "controller", "",
                        "its answer is no JSON: " + value.error().message}}};
    return std::move(value).value();
}

model::Value Session::ask(const std::string& host, const model::Value& question) const {
    model::Value answer =
        send("POST", "/v1/host/" + rest::escape(host) + "/query", model::dump_json(question));
    if (const std::string& error = answer["error"].as_text(); !error.empty())
        throw Failure{1, {{Errc::invalid, "host/" + host, "", error}}};
    return answer;
}

Session::Answers Session::ask_each(const std::vector<std::string>& hosts,
                                   const model::Value& question) const {
    Answers answers;
    Failure last;
    for (const std::string& host : hosts) {
        try {
            answers.emplace_back(host, ask(host, question));
        } catch (const Failure& failure) {
            if (hosts.size() == 1 || failure.code == 3) throw;  // 3: no controller, no host
            complain(failure.errors);
            last = failure;
            left_out_ = true;
        }
    }
    if (answers.empty() && left_out_) throw Failure{last.code, {}};  // told already
    return answers;
}

std::vector<std::string> Session::hosts() const {
    std::vector<std::string> out;
    const model::Value answer = get("/v1/host");
    for (const model::Value& item : answer["items"].items()) out.push_back(item["name"].as_text());
    return out;
}

void Session::print(const model::Value& value) const {
    const std::string text = yaml() ? model::dump_yaml(value) : model::pretty_json(value);
    std::fwrite(text.data(), 1, text.size(), stdout);
}

void Session::print_line(const model::Value& value) const {
    if (yaml()) std::printf("---\n%s", model::dump_yaml(value).c_str());
    else std::printf("%s\n", model::dump_json(value).c_str());
    std::fflush(stdout);
}

model::Value question(std::string_view what) {
    model::Value q = model::Value::object();
    q.set("what", what);
    return q;
}

void complain(const std::vector<Error>& errors) {
    for (const Error& error : errors) std::fprintf(stderr, "weir: %s\n", error.text().c_str());
}

}  // namespace weir::command
