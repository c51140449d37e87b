#pragma once
#include <string>
#include <utility>
#include <vector>

#include "api/rest/client.hpp"
#include "base/result.hpp"
#include "model/value.hpp"

namespace weir::command {

struct Options {
    std::string server = "unix:/run/weir/controller.sock";
    std::string token;      // for https
    std::string authority;  // file of the authority's certificate, for https
    std::string output = "table";
};

// What went wrong, in lines for people; the command ends with `code`.
struct Failure {
    int code = 1;
    std::vector<Error> errors;
};

// One controller, asked over REST. Every call throws Failure when there is no good answer; main()
// prints it. (Exceptions stay inside this program.)
class Session {
public:
    explicit Session(Options options);

    model::Value get(const std::string& path) const;
    model::Value send(std::string_view method, const std::string& path, std::string body = {},
                      std::string_view content_type = "application/json") const;
    // Asks the engine or shell of a host (dataplane/queries.md).
    model::Value ask(const std::string& host, const model::Value& question) const;
    // The same of several hosts. One that does not answer is told of on standard error and left
    // out; the command then ends with status 1. If none answers, that is a Failure.
    using Answers = std::vector<std::pair<std::string, model::Value>>;
    Answers ask_each(const std::vector<std::string>& hosts, const model::Value& question) const;
    std::vector<std::string> hosts() const;  // all that the configuration names
    bool left_out() const { return left_out_; }

    bool table() const { return options_.output == "table"; }
    bool json() const { return options_.output == "json"; }
    bool names() const { return options_.output == "name"; }
    bool yaml() const { return options_.output == "yaml"; }
    void print(const model::Value& value) const;       // as -o says: json or yaml
    void print_line(const model::Value& value) const;  // the same; JSON in one line

private:
    const Options options_;
    rest::Client client_;
    mutable bool left_out_ = false;
};

// {"what": what}
model::Value question(std::string_view what);
// Tells what went wrong on standard error.
void complain(const std::vector<Error>& errors);

}  // namespace weir::command
