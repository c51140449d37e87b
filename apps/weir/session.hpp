#pragma once
#include <string>
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
    std::vector<std::string> hosts() const;  // all that the configuration names

    bool json() const { return options_.output == "json"; }
    bool yaml() const { return options_.output == "yaml"; }
    void print(const model::Value& value) const;  // as -o says: json or yaml

private:
    const Options options_;
    rest::Client client_;
};

}  // namespace weir::command
