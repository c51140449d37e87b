#pragma once
#include <functional>
#include <memory>
#include <string>

#include "base/result.hpp"
#include "model/value.hpp"

namespace weir::rest {
class Server;
}

namespace weir::host {

// What the host says to those on its own machine, and to collectors of metrics.
//   POST /v1/host/{name}/query   a question of dataplane/queries.md   (Unix socket only)
//   GET  /metrics                the Prometheus text format
class LocalServer {
public:
    using Ask = std::function<model::Value(const model::Value& request)>;  // from any thread

    // `metrics`: "IP:PORT", or empty for none.
    static Result<std::unique_ptr<LocalServer>> start(const std::string& socket,
                                                      const std::string& metrics, Ask ask);
    ~LocalServer();
    void stop();

private:
    explicit LocalServer(std::unique_ptr<rest::Server> server);
    std::unique_ptr<rest::Server> server_;
};

}  // namespace weir::host
